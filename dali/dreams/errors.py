"""Where dreams go wrong: the error of the dream from many starts of many episodes, under its own and another physics.

Shapes: E episodes, N starts of episodes, H horizon, F context features, Z code.
"""

from dataclasses import dataclass

import numpy as np

from dali.codes.code_map import CodeMap
from dali.dreams.counterfactual import dream_pair
from dali.dreams.observation import make_metric
from dali.dreams.steering import rollout_error
from dali.envs import catalogue
from dali.envs.spec import EnvSpec
from dali.envs.trajectory import replay_actions
from dali.episodes import ANCHOR, Episodes, recorded_states
from dali.errors import DaliError
from dali.jobs import Report, unreported
from dali.model.agent import Agent

HORIZON = 50  # steps dreamed from each start
EVERY = ANCHOR  # records between starts; the simulator's state is kept there
FIRST = 50  # of the starts: the code has looked at a window by then
BATCH = 64  # episodes dreamed together


@dataclass(frozen=True)
class DreamErrors:
    """Errors of dreams in standard deviations of the data, root mean square over the steps; one of N starts each.

    Attributes:
        episode, t: (N,) where a dream starts. asked: (N, F) physics of the counterfactual, in units.
        factual: (N,) of the dream under its own code against what was recorded.
        counterfactual: (N,) of the moved dream against the simulator at the asked physics.
    """

    episode: np.ndarray
    t: np.ndarray
    asked: np.ndarray
    factual: np.ndarray
    counterfactual: np.ndarray


def asked_physics(spec: EnvSpec, context: np.ndarray) -> np.ndarray:
    """(E, F) what each episode's dream is asked for: one feature at the end of its train range that is farther away.

    Features take turns over the episodes (E, F); the others stay.
    """
    asked = np.array(context, float)
    for i, feature in enumerate(spec.features):
        rows = np.arange(i, len(asked), len(spec.features))
        low, high = feature.train
        asked[rows, i] = np.where(asked[rows, i] - low > high - asked[rows, i], low, high)
    return asked


def dream_errors(
    agent: Agent,
    episodes: Episodes,
    code_map: CodeMap | None,
    report: Report = unreported,
) -> DreamErrors:
    """Dreams from every start that has HORIZON steps to come, of as many episodes as the observer affords.

    Args:
        code_map: turns a change of physics into one of the code; None for methods without a code.

    Raises:
        DaliError: no episode is long enough, or the environment cannot be put back into a state.
    """
    catalogue.check_restores_state(agent.spec.name)
    metric = make_metric(agent, episodes)
    observer = metric.observer
    starts = np.arange(FIRST, episodes.action.shape[1] - HORIZON + 1, EVERY)
    usable = np.flatnonzero(episodes.length >= FIRST + HORIZON)
    # Where drawing is costly episodes are left out evenly, so that every regime stays among them.
    usable = usable[np.unique(np.linspace(0, len(usable) - 1, min(len(usable), observer.episodes)).astype(int))]
    if not len(usable) or not len(starts):
        raise DaliError(f"No recorded episode lasts {FIRST + HORIZON} steps, so no dream can be judged.")
    jobs = [(t, usable[i : i + BATCH]) for t in starts.tolist() for i in range(0, len(usable), BATCH)]
    asked = asked_physics(agent.spec, episodes.context)
    parts = []
    for number, (t, members) in enumerate(jobs):
        report(number, len(jobs), f"dreaming from step {t}")
        rows = members[episodes.length[members] >= t + HORIZON]
        if not len(rows):
            continue
        chosen, target = episodes.subset(rows), asked[rows]
        dz = code_map.shift(chosen.context, target) if code_map else np.zeros((len(rows), chosen.code.shape[-1]))
        factual, moved = (observer.dreamed(dream.obs) for dream in dream_pair(agent, chosen, t, HORIZON, dz, target))
        simulator = catalogue.make(agent.spec.name, len(rows))
        state = recorded_states(simulator, chosen, t, t + 1)[:, 0]
        actions = chosen.action[:, t : t + HORIZON]
        real, other = (
            observer.real(*replay_actions(simulator, state, physics, actions), physics)
            for physics in (chosen.context, target)
        )
        errors = [rollout_error(a, b, metric.scale) for a, b in ((factual, real), (moved, other))]
        parts.append((rows, np.full(len(rows), t), target, *errors))
    report(len(jobs), len(jobs), "all dreams judged")
    return DreamErrors(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def error_of_records(values: np.ndarray, found: DreamErrors, episode: np.ndarray, step: np.ndarray) -> np.ndarray:
    """(M,) the value (N,) of the start nearest to each record (M,) of its episode; NaN where no dream was judged."""
    out = np.full(len(episode), np.nan)
    order = np.lexsort((found.t, found.episode))
    episodes, times, values = found.episode[order], found.t[order], values[order]
    first = np.searchsorted(episodes, episode, "left")
    last = np.searchsorted(episodes, episode, "right")
    for row in np.flatnonzero(last > first):
        near = slice(first[row], last[row])
        out[row] = values[near][np.abs(times[near] - step[row]).argmin()]
    return out
