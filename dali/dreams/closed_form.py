"""Laws that a dream can be held against without a simulator: free fall, the period of a small swing, and its amplitude.

Each law starts from made-up observations, takes zero actions and is judged on what the dream observes:

- ball in cup, free fall: a ball at rest beside the cup, its string slack, falls with the acceleration g.
- pendulum, small swings: a uniform rod of length l that hangs by one end, let go at 0.2 rad, swings with the period
  2π √(2 l / 3 g), and never less wide. The simulator's step of dt (semi-implicit Euler) makes of the angular frequency
  ω the frequency 2 asin(ω dt / 2) / dt, and the swing's own size θ adds the share θ² / 16 to the period (series of the
  complete elliptic integral); both are part of the expected value, so that real runs are right to 0.1 %.

Shapes: N dreams, H steps, O observation of the simulator, A action, F context features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dali.envs.spec import EnvSpec

# Observations (N, H + 1, O), the given ones (N, O) first, under actions (N, H, A) and contexts (N, F) in units.
Dreamer = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

FALL = 0.25  # m that the ball falls at most; then the shortest way to the end of a 0.3 m string is not yet used up
BESIDE = (-0.2, -0.17, -0.14, -0.11, 0.11, 0.14, 0.17, 0.2)  # m, x of the ball: clear of the cup's walls
BALL_Z = 0.4  # m, height of the ball above its body's place in the model: that of the cup
SWING = 0.2  # rad
SWING_STEPS = 100
BALL_VZ = 7  # index of the observation


@dataclass(frozen=True)
class LawCheck:
    """One law held against dreams of N contexts.

    Attributes:
        law, unit: in words. contexts: (N, F). expected, found: (N,) in the unit.
        error: (N,) |found / expected - 1|; 1 where a dream shows nothing to measure.
    """

    law: str
    unit: str
    contexts: np.ndarray
    expected: np.ndarray
    found: np.ndarray
    error: np.ndarray

    def summary(self) -> dict[str, float | str]:
        """For JSON: the mean relative error over contexts, its largest, and the smallest ratio found / expected."""
        ratio = np.where(np.isfinite(self.found), self.found / self.expected, 0.0)
        return {
            "unit": self.unit,
            "error_mean": float(self.error.mean()),
            "error_max": float(self.error.max()),
            "ratio_min": float(ratio.min()),
        }


def check_laws(spec: EnvSpec, dreamer: Dreamer) -> list[LawCheck]:
    """The laws that an environment has, held against dreams; none for an environment without one."""
    if spec.name == "ball_in_cup":
        return [free_fall(spec, dreamer)]
    if spec.name == "pendulum":
        return list(small_swings(spec, dreamer))
    return []


def free_fall(spec: EnvSpec, dreamer: Dreamer) -> LawCheck:
    """Acceleration of the falling ball under five gravities, a line through its vertical speeds; eight falls each."""
    feature = spec.feature("gravity")
    found = []
    for g in feature.interpolate_single:
        context = spec.default_context.copy()
        context[spec.feature_index("gravity")] = g
        steps = int(np.sqrt(2 * FALL / g) / spec.timestep)
        obs = np.zeros((len(BESIDE), spec.obs_dim), np.float32)
        obs[:, 2], obs[:, 3] = BESIDE, BALL_Z
        dreamed = _at_rest(spec, dreamer, obs, np.tile(context, (len(BESIDE), 1)), steps)
        slope = np.polyfit(np.arange(steps + 1) * spec.timestep, dreamed[..., BALL_VZ].T, 1)[0]
        found.append((context, g, -slope.mean(), np.abs(-slope / g - 1).mean()))
    contexts, expected, accelerations, errors = (np.array(column) for column in zip(*found, strict=True))
    return LawCheck("acceleration of free fall", feature.unit, contexts, expected, accelerations, errors)


def small_swings(spec: EnvSpec, dreamer: Dreamer) -> tuple[LawCheck, LawCheck]:
    """Period, and share of the amplitude kept over 100 steps, on a 5 x 5 grid of gravities and rod lengths."""
    axes = [f.interpolate_single for f in spec.features]
    contexts = np.array([(g, length) for g in axes[0] for length in axes[1]])
    omega = np.sqrt(3 * contexts[:, 0] / (2 * contexts[:, 1]))  # rad/s
    period = np.pi * spec.timestep / np.arcsin(omega * spec.timestep / 2) * (1 + SWING**2 / 16)  # s
    side = np.where(np.arange(len(contexts)) % 2, -SWING, SWING)
    obs = np.stack([-np.cos(side), -np.sin(side), np.zeros(len(side))], 1).astype(np.float32)
    dreamed = _at_rest(spec, dreamer, obs, contexts, SWING_STEPS)
    angle, speed = np.arctan2(-dreamed[..., 1], -dreamed[..., 0]), dreamed[..., 2]
    found = np.array([crossing_period(row, spec.timestep) for row in angle])
    seen = np.isfinite(found)
    error = np.where(seen, np.abs(np.where(seen, found, 0.0) / period - 1), 1.0)
    size = np.hypot(angle, speed / omega[:, None])
    turns = np.round(period / spec.timestep).astype(int)  # over a whole period the phase of size's ripple cancels
    kept = np.array([row[-n:].mean() / row[:n].mean() for row, n in zip(size, turns, strict=True)])
    return (
        LawCheck("period of small swings", "s", contexts, period, found, error),
        LawCheck(f"amplitude kept over {SWING_STEPS} steps", "", contexts, np.ones(len(kept)), kept, np.abs(kept - 1)),
    )


def crossing_period(angle: np.ndarray, timestep: float) -> float:
    """Period in s of a swing (T,) about 0, by a line through the times of its zero crossings; inf with fewer than 2."""
    before = np.flatnonzero(np.signbit(angle[:-1]) != np.signbit(angle[1:]))
    if len(before) < 2:
        return np.inf
    times = timestep * (before + angle[before] / (angle[before] - angle[before + 1]))
    return 2.0 * float(np.polyfit(np.arange(len(times)), times, 1)[0])


def _at_rest(spec: EnvSpec, dreamer: Dreamer, obs: np.ndarray, contexts: np.ndarray, steps: int) -> np.ndarray:
    """(N, steps + 1, O) dreamed under actions of zero."""
    return np.asarray(dreamer(obs, np.zeros((len(obs), steps, spec.action_dim), np.float32), contexts), float)
