"""Dreams along a path of codes: one dream whose code turns as it runs, or a dream for each of several codes.

All start from one record of an episode and take its actions. No simulator has such a code, so the real runs beside them
are under the physics that the probe reads off each code, put into the features' limits; where the probe is wrong, so
is what the dream is held against. Codes between two records may be such as no episode has: `outlying` tells.

Shapes: H horizon, N codes, Z code, F context features, O observation of the agent, A action.
"""

from dataclasses import dataclass

import numpy as np
import torch

from dali.dreams.counterfactual import (
    DreamedWorld,
    Engine,
    changed_start,
    check_engine,
    dream,
    held_context,
    infer_start,
)
from dali.dreams.counterfactual import recorded_actions as actions_of
from dali.dreams.film import FilmSource
from dali.dreams.observation import Rollout
from dali.dreams.request import Request, check_request
from dali.dreams.steering import step_error
from dali.envs import catalogue
from dali.envs.trajectory import replay_actions, rollout, turning
from dali.episodes import Episodes, recorded_states
from dali.errors import DaliError
from dali.model.agent import Agent


@dataclass(frozen=True)
class Along:
    """Runs along a path.

    Attributes:
        code: (N, Z) that the dreams are under. physics: (N, F) that the probe reads off them, within the limits.
        outlying: (N,) share of the data's codes that lie at most as far out; 1 is beyond them all.
        real, dream: one run whose record k is under entry k of N = H + 1; or N runs of H steps, one a code.
        error: (H + 1,) or (N, H + 1) of the dream against the real run, in standard deviations of the data.
    """

    code: np.ndarray
    physics: np.ndarray
    outlying: np.ndarray
    real: tuple[Rollout, ...]
    dream: tuple[Rollout, ...]
    error: np.ndarray


def turning_dream(source: FilmSource, episode: int, t: int, code: np.ndarray, engine: Engine = "rssm") -> Along:
    """One dream under codes (H + 1, Z), the k-th in force at record k, beside the simulator turned with them.

    Raises:
        DaliError: the method's dynamics read no code, or the start and the horizon do not fit the episode.
    """
    agent = source.agent
    if agent.method.infers_context and agent.method.shallow:
        raise DaliError(
            f"{agent.method.title} reads the code where it observes and not where it dreams, so a dream under way does "
            "not follow a code that turns; dreams side by side each start under a code of their own."
        )
    one, action, physics = _begin(source, episode, t, len(code) - 1, code, engine)
    context = _contexts(agent, one, code)
    start = infer_start(agent, one, t, held_context(agent, one, one.code[:, t], one.context))
    simulator, steps = catalogue.make(agent.spec.name, 1), action.shape[1]
    state = recorded_states(simulator, one, t, t + 1)[0]
    simulator.set_context(physics[:1])
    turned = turning(action, lambda k: simulator.set_context(physics[k + 1 : k + 2]))
    real_run = rollout(simulator, simulator.set_state(state), turned, steps, ends=False, get_state=simulator.get_state)
    dreamed_world = DreamedWorld(agent, engine)
    turned = turning(action, lambda k: dreamed_world.set_context(context[k + 1 : k + 2]))
    dream_run = rollout(dreamed_world, dreamed_world.reset(start, context[:1]), turned, steps)
    observer = source.metric.observer
    real = observer.real_run(action[0], real_run.obs[0], real_run.state[0], physics)
    dreamed = observer.dreamed_run(action[0], dream_run.obs[0])
    error = step_error(dreamed.compared, real.compared, source.scale)
    return Along(code, physics, outlying(source, code), (real,), (dreamed,), error)


def dreams_side_by_side(
    source: FilmSource, episode: int, t: int, horizon: int, code: np.ndarray, engine: Engine = "rssm"
) -> Along:
    """A dream for each of the codes (N, Z), held, beside the simulator under the physics that is read off each.

    Raises:
        DaliError: the method infers no code, or the start and the horizon do not fit the episode.
    """
    agent, count = source.agent, len(code)
    one, action, physics = _begin(source, episode, t, horizon, code, engine)
    every = one.subset(np.zeros(count, int))
    action = action.repeat(count, 0)
    own, held = (held_context(agent, every, z, every.context) for z in (every.code[:, t], np.asarray(code, np.float32)))
    start = infer_start(agent, every, t, own)
    start = changed_start(agent, every, t, start, own, held, physics, "mean")
    obs = dream(agent, start, held, horizon, action, "mean", engine).obs
    simulator = catalogue.make(agent.spec.name, count)
    observed, states = replay_actions(simulator, recorded_states(simulator, every, t, t + 1)[:, 0], physics, action)
    observer = source.metric.observer
    real = tuple(observer.real_run(*parts) for parts in zip(action, observed, states, physics, strict=True))
    dreamed = tuple(observer.dreamed_run(*parts) for parts in zip(action, obs, strict=True))
    error = np.stack([step_error(d.compared, r.compared, source.scale) for d, r in zip(dreamed, real, strict=True)])
    return Along(code, physics, outlying(source, code), real, dreamed, error)


def physics_of(source: FilmSource, code: np.ndarray) -> np.ndarray:
    """(N, F) physics that the probe reads off codes (N, Z), put into the features' limits.

    Raises:
        DaliError: the method infers no code.
    """
    spec = source.agent.spec
    if source.steering is None:
        raise DaliError(f"{source.agent.method.title} infers no context code, so there is no path of codes to follow.")
    low, high = np.array([feature.limits for feature in spec.features]).T
    return source.steering.probe.predict(code).clip(low, high)


def outlying(source: FilmSource, code: np.ndarray) -> np.ndarray:
    """(N,) share of the data's codes that lie at most as far out as codes (N, Z)."""
    assert source.steering is not None
    return source.steering.support.quantile(code)


def _begin(
    source: FilmSource, episode: int, t: int, horizon: int, code: np.ndarray, engine: Engine
) -> tuple[Episodes, np.ndarray, np.ndarray]:
    """The episode alone, the actions (1, H, A) recorded from its record t on, and the physics of codes."""
    check_request(Request(episode, t, horizon), source.agent.spec, source.agent.method, source.episodes)
    check_engine(source.agent, engine)
    physics, one = physics_of(source, code), source.episodes.subset(np.array([episode]))
    return one, actions_of(one, t, horizon, "recorded"), physics


def _contexts(agent: Agent, one: Episodes, code: np.ndarray) -> torch.Tensor:
    """(N, X) as the networks read codes (N, Z)."""
    return held_context(agent, one.subset(np.zeros(len(code), int)), np.asarray(code, np.float32), one.context)
