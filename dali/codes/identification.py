"""How evidence accumulates: the probe's estimate of the physics along an episode, and when it has settled.

Shapes: E episodes, T steps, Z code, F context features.
"""

from dataclasses import dataclass

import numpy as np

from dali.codes.probes import Probe, error_over_time, identified_after
from dali.codes.settled import SETTLED
from dali.envs.spec import EnvSpec
from dali.episodes import Episodes


@dataclass(frozen=True)
class Estimates:
    """The probe's reading along one episode.

    Attributes:
        value: (T + 1, F) in units. usual_error: (T + 1, F) mean absolute error at the same record of held-out
            episodes that were acted in alike; not a number where there are none.
        truth: (F,).
    """

    value: np.ndarray
    usual_error: np.ndarray
    truth: np.ndarray


@dataclass(frozen=True)
class Identification:
    """When held-out episodes have told one feature to within a tolerance, and tell it from then on.

    Attributes:
        median: steps until half of the episodes have, None where fewer than half ever do. share: that ever do.
        episodes: held-out ones inside the train range that lasted to the end.
    """

    median: int | None
    share: float
    episodes: int


def held_out(episodes: Episodes, explored: bool) -> Episodes:
    """Episodes of contexts inside the train range that were not trained on and that ran to their recorded end.

    Args:
        explored: those of exploratory actions, or those of the policy: the two show the physics to unlike extents.
    """
    full = episodes.length == episodes.length.max()
    return episodes.subset((episodes.regime == "interpolation") & full & (episodes.explored == explored))


def mean_so_far(code: np.ndarray) -> np.ndarray:
    """(..., T, Z) at each record the mean of the settled codes up to it; before any has settled, the code itself."""
    mean = np.array(code, float)
    if mean.shape[-2] > SETTLED:
        settled = mean[..., SETTLED:, :]
        counts = np.arange(1, settled.shape[-2] + 1)[:, None]
        mean[..., SETTLED:, :] = settled.cumsum(-2) / counts
    return mean


def estimates(episodes: Episodes, probe: Probe, episode: int, average: bool = False) -> Estimates:
    """The probe's reading at every record of one episode that is not padding, with its usual error at that time.

    Args:
        average: read the mean of the codes so far instead of each moment's own.
    """
    stop = int(episodes.length[episode]) + 1
    others = held_out(episodes, bool(episodes.explored[episode]))
    code, codes = episodes.code[episode, :stop], others.code
    if average:
        code, codes = mean_so_far(code), mean_so_far(codes)
    shape = codes.shape[1], episodes.context.shape[1]
    error = error_over_time(probe, codes, others.context) if len(codes) else np.full(shape, np.nan)
    return Estimates(probe.predict(code), error[:stop], episodes.context[episode])


def default_tolerance(spec: EnvSpec, feature: int) -> float:
    """A twentieth of the train range, in the feature's unit."""
    low, high = spec.features[feature].train
    return (high - low) / 20.0


def identification(
    episodes: Episodes, probe: Probe, feature: int, tolerance: float, explored: bool, average: bool = False
) -> Identification:
    """After how many steps held-out episodes have identified a feature to ± tolerance, for good.

    Args:
        explored: as in `held_out`. average: as in `estimates`.
    """
    others = held_out(episodes, explored)
    value = probe.predict(mean_so_far(others.code) if average else others.code)[..., feature]
    after = [identified_after(v, c, tolerance) for v, c in zip(value, others.context[:, feature], strict=True)]
    steps = np.array([np.inf if a is None else a for a in after])
    middle = float(np.sort(steps)[(len(steps) - 1) // 2]) if len(steps) else np.inf
    share = float(np.isfinite(steps).mean()) if len(steps) else 0.0
    return Identification(int(middle) if np.isfinite(middle) else None, share, len(steps))
