"""How evidence accumulates: the probe's estimate of the physics along an episode, and when it has settled.

Shapes: E episodes, T steps, Z code, F context features.
"""

from dataclasses import dataclass

import numpy as np

from dali.analysis.probes import Probe, error_over_time, identified_after
from dali.analysis.rollouts import Episodes
from dali.envs.spec import EnvSpec


@dataclass(frozen=True)
class Estimates:
    """The probe's reading along one episode.

    Attributes:
        value: (T + 1, F) in units. usual_error: (T + 1, F) mean absolute error of held-out episodes at the same record.
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


def held_out(episodes: Episodes) -> Episodes:
    """Episodes of contexts inside the train range that were not trained on and that ran to their recorded end."""
    return episodes.subset((episodes.regime == "interpolation") & (episodes.length == episodes.length.max()))


def estimates(episodes: Episodes, probe: Probe, episode: int) -> Estimates:
    """The probe's reading at every record of one episode that is not padding, with its usual error at that time."""
    stop = int(episodes.length[episode]) + 1
    others = held_out(episodes)
    error = error_over_time(probe, others.code, others.context)
    return Estimates(probe.predict(episodes.code[episode, :stop]), error[:stop], episodes.context[episode])


def default_tolerance(spec: EnvSpec, feature: int) -> float:
    """A twentieth of the train range, in the feature's unit."""
    low, high = spec.features[feature].train
    return (high - low) / 20.0


def identification(episodes: Episodes, probe: Probe, feature: int, tolerance: float) -> Identification:
    """After how many steps held-out episodes have identified a feature to ± tolerance, for good."""
    others = held_out(episodes)
    value = probe.predict(others.code)[..., feature]
    after = [identified_after(v, c, tolerance) for v, c in zip(value, others.context[:, feature], strict=True)]
    steps = np.array([np.inf if a is None else a for a in after])
    middle = float(np.sort(steps)[(len(steps) - 1) // 2]) if len(steps) else np.inf
    return Identification(int(middle) if np.isfinite(middle) else None, float(np.isfinite(steps).mean()), len(steps))
