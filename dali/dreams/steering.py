"""Do dreams follow physics? Errors of dreams against the simulator, steering skill, effective physics, selectivity.

All errors are root mean squares over observation dimensions, each divided by the data's standard deviation; for an
agent of pixels, over pixels, divided by theirs (dali.dreams.observation).

Shapes: E episodes, H horizon, O what is compared, F context features, Z code, A action.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dali.codes.code_map import CodeMap
from dali.dreams.counterfactual import Dream, Engine, Manner, dream_pair
from dali.dreams.observation import Metric
from dali.dreams.skill import skill_interval, skill_of_medians
from dali.envs import catalogue
from dali.envs.base import Simulator
from dali.envs.trajectory import replay_actions
from dali.episodes import Episodes, recorded_states
from dali.model.agent import Agent

START = 60  # record that steered dreams start from; the code has seen a window by then
HORIZONS = (25, 50)  # steps


def rollout_error(a: np.ndarray, b: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(...,) error between rollouts (..., H + 1, O), the shared start at index 0 left out."""
    return np.sqrt(((_apart(a, b)[..., 1:, :] / scale) ** 2).mean((-2, -1)))


def step_error(a: np.ndarray, b: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(..., H + 1) error between rollouts (..., H + 1, O) at each step."""
    return np.sqrt(((_apart(a, b) / scale) ** 2).mean(-1))


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a - b in floats, since a difference of uint8 wraps."""
    return np.subtract(a, b, dtype=np.result_type(a, b, np.float32))


def steering_skill(error_moved: np.ndarray, error_unmoved: np.ndarray) -> float:
    """1 - err(dream under z', real at c') / err(dream under z, real at c'), errors averaged over episodes first.

    1 is ideal; 0 means that the slider does nothing useful; below 0 it harms.
    """
    return float(1.0 - error_moved.mean() / error_unmoved.mean())


def nearest_physics(
    simulator: Simulator,
    dreamed: np.ndarray,
    state: np.ndarray,
    contexts: np.ndarray,
    features: Sequence[int],
    actions: np.ndarray,
    metric: Metric,
) -> tuple[np.ndarray, np.ndarray]:
    """ĉ: the physics whose real run from the same state and actions is nearest to the dream, one feature at a time.

    A grid over each feature's limits with the others at ``contexts`` (E, F), refined by the parabola through the best
    candidate and its neighbours.

    Args:
        simulator: of E copies, or of E times a divisor of all candidates: so many run together.
        dreamed: (E, H + 1, O). state: (E, S). features: indices, n of them. actions: (E, H, A).

    Returns:
        ĉ (E, n), and the error (E, n) of the nearest candidate.
    """
    episodes, count = contexts.shape[0], metric.observer.candidates
    grids = np.stack([np.linspace(*simulator.spec.features[i].limits, count) for i in features])  # (n, C)
    tried = np.tile(contexts, (len(features), count, 1, 1))
    for row, feature in enumerate(features):
        tried[row, :, :, feature] = grids[row][:, None]
    tried = tried.reshape(-1, *contexts.shape)  # (n C, E, F)
    together, every = simulator.num // episodes, min(metric.observer.every, actions.shape[1])
    states, actions = np.tile(state, (together, 1)), np.tile(actions, (together, 1, 1))
    errors = []
    for first in range(0, len(tried), together):
        physics = tried[first : first + together].reshape(-1, contexts.shape[1])
        obs, reached = replay_actions(simulator, states, physics, actions)
        real = metric.observer.real(obs[:, ::every], reached[:, ::every], physics)
        real = real.reshape(together, episodes, *real.shape[1:])
        errors.append(rollout_error(real, dreamed[:, ::every], metric.scale))
    by_feature = np.concatenate(errors).reshape(len(features), count, episodes)
    squared = (by_feature**2).astype(np.float64)
    found = [refine_minimum(values, column) for values, column in zip(grids, squared, strict=True)]
    return np.stack(found, 1), by_feature.min(1).T


def refine_minimum(values: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Where (E,) the squared errors (C, E) at evenly spaced values (C,) are least.

    The best candidate, refined by the parabola through it and its neighbours; at either end the candidate itself.
    """
    best = errors.argmin(0)
    middle = best.clip(1, len(values) - 2)
    rows = np.arange(errors.shape[1])
    left, centre, right = errors[middle - 1, rows], errors[middle, rows], errors[middle + 1, rows]
    curvature = left - 2 * centre + right
    offset = np.where(curvature > 1e-12, 0.5 * (left - right) / np.maximum(curvature, 1e-12), 0.0).clip(-1.0, 1.0)
    refined = values[middle] + offset * (values[1] - values[0])
    return np.where(best == middle, refined, values[best])


@dataclass(frozen=True)
class FactorFidelity:
    """How dreams follow one context feature, over held-out episodes inside the train range."""

    name: str
    unit: str
    skill: dict[int, float]  # steering skill by horizon
    skill_median: dict[int, float]  # the same of median errors, which a few divergent episodes leave as they are
    skill_interval: tuple[float, float]  # 95 % bootstrap interval over contexts, at the shorter horizon
    skill_control: dict[int, float]  # the same with moves of the code shuffled between episodes
    factual_error: dict[int, float]  # of the unmoved dream against the real run at the unchanged physics
    slope: float  # of ĉ against the requested c', ideal 1
    r2: float  # of that line, ideal 1
    mae: float  # |ĉ - c'|, in the unit
    selectivity: float | None  # mean change of ĉ in the features not asked for, in train ranges, ideal 0
    requested: np.ndarray  # (E,) c'
    effective: np.ndarray  # (E,) ĉ


def steerable(episodes: Episodes, explored: bool) -> Episodes:
    """Held-out episodes inside the train range, of one behaviour, that are long enough to be steered."""
    long = episodes.length >= START + max(HORIZONS)
    return episodes.subset((episodes.regime == "interpolation") & (episodes.explored == explored) & long)


def evaluate_fidelity(
    agent: Agent, chosen: Episodes, code_map: CodeMap, metric: Metric, seed: int = 0, engine: Engine = "rssm"
) -> list[FactorFidelity]:
    """Steers episodes to other physics inside the train range, drawn at random, one feature at a time.

    Dreams start from record START, take the recorded actions and hand on the means of their latents: draws add noise
    that the deterministic simulators have none of, and the modes are not a likely path (docs/experiments.md).

    Args:
        chosen: held-out episodes, as ``steerable`` gives them.
    """
    spec, observer, starts, horizons, longest = agent.spec, metric.observer, START, HORIZONS, max(HORIZONS)
    chosen = chosen.subset(np.arange(min(observer.episodes, len(chosen.obs))))
    rng = np.random.default_rng(seed)
    simulator = catalogue.make(spec.name, len(chosen.obs))
    state = recorded_states(simulator, chosen, starts, starts + 1)[:, 0]
    actions = chosen.action[:, starts : starts + longest]
    results = []
    for index, feature in enumerate(spec.features):
        target = chosen.context.copy()
        target[:, index] = feature.at_share(rng.random(len(target)))
        dz = code_map.shift(chosen.context, target)
        real = observer.real(*replay_actions(simulator, state, target, actions), target)
        unchanged = observer.real(*replay_actions(simulator, state, chosen.context, actions), chosen.context)
        elsewhere = dz[rng.permutation(len(dz))]

        def dreamed_under(shift: np.ndarray, target: np.ndarray = target) -> tuple[Dream, Dream]:
            return dream_pair(agent, chosen, starts, longest, shift, target, Manner(engine=engine))

        pair = dreamed_under(dz)
        factual, moved = (observer.dreamed(dream.obs) for dream in pair)  # (E, H + 1, O) each
        control = observer.dreamed(dreamed_under(elsewhere)[1].obs)

        def error(dreamed: np.ndarray, truth: np.ndarray, horizon: int) -> np.ndarray:
            """(E,)."""
            return rollout_error(dreamed[:, : horizon + 1], truth[:, : horizon + 1], metric.scale)

        short = min(horizons)
        dreamed = moved[:, : short + 1]
        asked = nearest_physics(simulator, dreamed, state, target, [index], actions[:, :short], metric)[0][:, 0]
        slope, intercept = np.polyfit(target[:, index], asked, 1)
        residual = asked - slope * target[:, index] - intercept
        results.append(
            FactorFidelity(
                name=feature.name,
                unit=feature.unit,
                skill={h: steering_skill(error(moved, real, h), error(factual, real, h)) for h in horizons},
                skill_median={h: skill_of_medians(error(moved, real, h), error(factual, real, h)) for h in horizons},
                skill_interval=skill_interval(error(moved, real, short), error(factual, real, short), seed),
                skill_control={h: steering_skill(error(control, real, h), error(factual, real, h)) for h in horizons},
                factual_error={h: float(error(factual, unchanged, h).mean()) for h in horizons},
                slope=float(slope),
                r2=float(1.0 - residual.var() / asked.var()),
                mae=float(np.abs(asked - target[:, index]).mean()),
                selectivity=_selectivity(simulator, dreamed, state, target, index, asked, actions[:, :short], metric),
                requested=target[:, index],
                effective=asked,
            )
        )
    return results


def _selectivity(
    simulator: Simulator,
    dreamed: np.ndarray,
    state: np.ndarray,
    target: np.ndarray,
    asked_index: int,
    asked: np.ndarray,
    actions: np.ndarray,
    metric: Metric,
) -> float | None:
    """Mean |ĉ - c| of the other features, each fitted with the asked one at its effective value, in train ranges.

    None where there is no other.
    """
    at_effective = target.copy()
    at_effective[:, asked_index] = asked
    changes = []
    for index, feature in enumerate(simulator.spec.features):
        if index != asked_index:
            found, _ = nearest_physics(simulator, dreamed, state, at_effective, [index], actions, metric)
            changes.append(np.abs(found[:, 0] - target[:, index]).mean() / (feature.train[1] - feature.train[0]))
    return float(np.mean(changes)) if changes else None
