"""The cloud of codes as a table of points: what is drawn on a map, what colours it, what a lasso holds.

Shapes: E episodes, T steps, M points, Z code, F context features, k map dimensions.
"""

from dataclasses import dataclass

import numpy as np

from dali.codes.settled import SETTLED, mean_codes
from dali.envs.spec import EnvSpec
from dali.episodes import Episodes
from dali.errors import DaliError, unknown_name

REGIME_ORDER = ("train", "interpolation", "extrapolation", "mixed")


@dataclass(frozen=True)
class Points:
    """Codes of records, or of whole episodes.

    Attributes:
        code: (M, Z). episode: (M,) index into the episodes. step: (M,) record, or the episode's length for a mean.
        means: True where a point is an episode.
    """

    code: np.ndarray
    episode: np.ndarray
    step: np.ndarray
    means: bool

    def take(self, where: np.ndarray) -> "Points":
        """The points at an index or mask (M,)."""
        return Points(self.code[where], self.episode[where], self.step[where], self.means)


@dataclass(frozen=True)
class Colouring:
    """What colours points: numbers with a unit, or names.

    Attributes:
        values: (M,) floats, or strings of `categories`.
    """

    label: str
    unit: str
    values: np.ndarray
    categories: tuple[str, ...] = ()


def record_points(episodes: Episodes) -> Points:
    """Every record (episode, t) that is not padding."""
    episode, step = np.nonzero(episodes.alive())
    return Points(episodes.code[episode, step], episode, step, means=False)


def episode_points(episodes: Episodes) -> Points:
    """One point an episode: the mean of its codes once they have settled (32 records)."""
    return Points(mean_codes(episodes), np.arange(len(episodes.obs)), episodes.length, means=True)


def returns(episodes: Episodes) -> np.ndarray:
    """(E,) sums of the rewards of the recorded steps."""
    return episodes.reward.sum(1)


def colour_names(spec: EnvSpec) -> list[str]:
    """What points can be coloured by: each context feature first."""
    return [*(f.name for f in spec.features), "regime", "return", "time", "acted by"]


def colouring(name: str, points: Points, episodes: Episodes, spec: EnvSpec) -> Colouring:
    """The values of a name of `colour_names` at each point.

    Raises:
        DaliError: unknown name.
    """
    for i, feature in enumerate(spec.features):
        if feature.name == name:
            return Colouring(feature.label, feature.unit, episodes.context[points.episode, i])
    if name == "regime":
        present = set(episodes.regime.tolist())
        return Colouring("physics", "", episodes.regime[points.episode], tuple(r for r in REGIME_ORDER if r in present))
    if name == "return":
        return Colouring("return of the episode", "", returns(episodes)[points.episode])
    if name == "time":
        label = "length of the episode" if points.means else "time in the episode"
        return Colouring(label, "s", points.step * spec.timestep)
    if name == "acted by":
        names = np.where(episodes.explored, "exploratory noise", "the agent's policy")
        return Colouring("acted by", "", names[points.episode], ("the agent's policy", "exploratory noise"))
    raise unknown_name("colouring", name, colour_names(spec))


def inside_polygon(xy: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """(M,) bool: points (M, 2) inside a closed polygon (P, 2), by the even-odd rule."""
    xy, polygon = np.asarray(xy, float), np.asarray(polygon, float)
    if polygon.ndim != 2 or polygon.shape[1] != 2 or len(polygon) < 3:
        raise DaliError(f"A lasso needs at least 3 corners (x, y); found shape {polygon.shape}.")
    inside = np.zeros(len(xy), bool)
    near = np.flatnonzero(((xy >= polygon.min(0)) & (xy <= polygon.max(0))).all(1))
    x, y = xy[near].T
    odd = np.zeros(len(near), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        crosses = (y0 > y) != (y1 > y)
        if y1 != y0:
            odd ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    inside[near] = odd
    return inside


def records_of(points: Points, chosen: np.ndarray, episodes: Episodes) -> np.ndarray:
    """(E, T + 1) bool: the records that chosen (M,) bool points stand for; a mean stands for its whole episode."""
    records = np.zeros(episodes.obs.shape[:2], bool)
    if points.means:
        records[points.episode[chosen]] = True
        return records & episodes.alive()
    records[points.episode[chosen], points.step[chosen]] = True
    return records


def points_of(records: np.ndarray, points: Points) -> np.ndarray:
    """(M,) bool: the points that stand for any of the records (E, T + 1)."""
    if points.means:
        return np.asarray(records.any(1))[points.episode]
    return records[points.episode, points.step]


@dataclass(frozen=True)
class Neighbours:
    """The nearest records of other episodes, nearest first.

    Attributes:
        episode, step: (N,). distance: (N,) Euclidean in the code space, as the world model sees it.
    """

    episode: np.ndarray
    step: np.ndarray
    distance: np.ndarray


def nearest(episodes: Episodes, episode: int, step: int, count: int = 8) -> Neighbours:
    """The record nearest to (episode, step) in each other episode, of settled codes, the `count` nearest of them."""
    query = episodes.code[episode, step]
    distance = np.linalg.norm(episodes.code - query, axis=-1)
    settled = episodes.alive() & (np.arange(distance.shape[1]) >= min(SETTLED, distance.shape[1] - 1))
    settled[episode] = False
    distance = np.where(settled, distance, np.inf)
    best = distance.argmin(1)
    closest = distance[np.arange(len(best)), best]
    order = np.argsort(closest, kind="stable")[:count]
    order = order[np.isfinite(closest[order])]
    return Neighbours(order, best[order], closest[order])
