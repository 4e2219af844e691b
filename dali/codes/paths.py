"""Paths through the code space: from record to record, straight in between, as text, as a table, and read back.

Shapes: W waypoints, N points along a path, Z code, F context features, E episodes, T steps.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dali.codes.points import Points
from dali.codes.probes import Probe
from dali.codes.selections import read_records
from dali.codes.settled import SETTLED
from dali.codes.support import Support
from dali.envs.spec import EnvSpec
from dali.episodes import Episodes
from dali.errors import DaliError
from dali.files.text import quote

MOST = 16  # waypoints; a longer path fits no URL that people pass on
PER_LEG = 20  # rows of the table from a waypoint to the next
DRAWN = 8  # waypoints of a line that was drawn by hand


@dataclass(frozen=True)
class CodePath:
    """Waypoints in the order they are passed; each is a record (episode, t), so that codes there are real ones."""

    records: tuple[tuple[int, int], ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether there is a way to go."""
        return len(self.records) > 1

    def to_text(self) -> str:
        """ "12-60.40-100" for record 60 of episode 12, then record 100 of episode 40; fit for a URL."""
        return ".".join(f"{episode}-{t}" for episode, t in self.records)

    def then(self, episode: int, t: int) -> "CodePath":
        """The path with one more waypoint; the same one twice in a row is one. Raises DaliError where it is full."""
        if self.records and self.records[-1] == (episode, t):
            return self
        if len(self.records) >= MOST:
            raise DaliError(f"A path has at most {MOST} points; take one back or start anew.")
        return CodePath((*self.records, (int(episode), int(t))))


def path_from_text(text: str, episodes: Episodes) -> CodePath:
    """The path of ``CodePath.to_text``.

    Raises:
        DaliError: another form, too many points, or a record that these episodes do not have.
    """
    records = []
    for part in text.split(".") if text else []:
        episode, dash, t = part.partition("-")
        if not (dash and episode.isascii() and episode.isdigit() and t.isascii() and t.isdigit() and len(part) < 20):
            raise DaliError(f"A path is written as 12-60.40-100, episode-step by episode-step; found {quote(text)}.")
        records.append((int(episode), int(t)))
    return checked_path(records, episodes, f"The path {quote(text)}")


def checked_path(records: list[tuple[int, int]], episodes: Episodes, name: str) -> CodePath:
    """A path along records. Raises DaliError where these episodes lack one, or there are too many."""
    if len(records) > MOST:
        raise DaliError(f"{name} has {len(records)} points; at most {MOST} are followed.")
    for episode, t in records:
        if not (0 <= episode < len(episodes.obs) and 0 <= t <= episodes.length[episode]):
            raise DaliError(f"{name} names record {t} of episode {episode}, which this checkpoint has not.")
    return CodePath(tuple(records))


def codes_along(waypoints: np.ndarray, count: int) -> np.ndarray:
    """(N, Z) codes on the straight lines between waypoints (W, Z), N = count of them evenly spaced by distance.

    Raises:
        DaliError: fewer than two waypoints, or all in one place.
    """
    waypoints = np.asarray(waypoints, float)
    if len(waypoints) < 2:
        raise DaliError(f"A path needs at least 2 points; found {len(waypoints)}.")
    at = np.concatenate([[0.0], np.linalg.norm(np.diff(waypoints, axis=0), axis=1).cumsum()])
    if at[-1] == 0:
        raise DaliError("All points of the path have the same code; there is no way to go.")
    where = np.linspace(0.0, at[-1], count)
    return np.stack([np.interp(where, at, column) for column in waypoints.T], 1)


def waypoints_of(path: CodePath, episodes: Episodes) -> np.ndarray:
    """(W, Z) codes of a path's records."""
    episode, t = np.array(path.records, int).reshape(-1, 2).T
    return np.asarray(episodes.code[episode, t], float)


def path_along_line(line: np.ndarray, coordinates: np.ndarray, points: Points) -> CodePath:
    """A line (P, 2) drawn on a map, as the records nearest to a few evenly spaced points of it.

    Args:
        coordinates: (M, 2) of the points on the map. A mean of an episode stands for its last record. Records from
            before codes have settled are passed by, where there are others.
    """
    spaced = codes_along(line, DRAWN)
    settled = np.flatnonzero(points.step >= SETTLED)
    rows = settled if len(settled) else np.arange(len(coordinates))
    path = CodePath()
    for place in spaced:
        row = rows[((coordinates[rows, :2] - place) ** 2).sum(1).argmin()]
        path = path.then(int(points.episode[row]), int(points.step[row]))
    return path


def path_table(path: CodePath, episodes: Episodes, spec: EnvSpec, probe: Probe, support: Support) -> pd.DataFrame:
    """One row a point along the path: its share of the legs, the code, the physics that the probe reads off it.

    Columns: leg (0 at the first waypoint, 1 at the second, ...), episode and t (of waypoints alone), z0 ..., for each
    feature NAME_read and, of waypoints alone, NAME (the true physics), and outlying: the share of the data's codes that
    lie at most as far out.
    """
    waypoints = waypoints_of(path, episodes)
    share = np.arange(PER_LEG * (len(waypoints) - 1) + 1) / PER_LEG
    code = np.stack([np.interp(share, np.arange(len(waypoints)), column) for column in waypoints.T], 1)
    at = np.arange(len(share)) % PER_LEG == 0
    records = np.array(path.records, int).reshape(-1, 2)
    columns: dict[str, object] = {"leg": share}
    for name, values in zip(("episode", "t"), records.T, strict=True):
        whole = pd.array([pd.NA] * len(share), dtype="Int64")
        whole[at] = values
        columns[name] = whole
    columns |= {f"z{j}": values for j, values in enumerate(code.T)}
    read = probe.predict(code)
    for i, feature in enumerate(spec.features):
        true = np.full(len(share), np.nan)
        true[at] = episodes.context[records[:, 0], i]
        columns |= {feature.name: true, f"{feature.name}_read": read[:, i]}
    return pd.DataFrame({**columns, "outlying": support.quantile(code)})


def read_path(data: bytes, name: str, episodes: Episodes) -> CodePath:
    """The path of a CSV or Parquet file: its rows with an episode and a t, in their order.

    Raises:
        DaliError: not such a table, fewer than two points or too many, or records that these episodes do not have.
    """
    path = checked_path(read_records(data, name), episodes, quote(name))
    if not path.is_whole:
        raise DaliError(f"{quote(name)} names {len(path.records)} records; a path needs at least 2.")
    return path
