"""A counterfactual film as numbers: four rollouts from one start, how far they are apart, and what the dream obeys.

The real factual run and the dream under z are the same for every change of the sliders, so they are made apart
(`make_factual`) and can be kept. All errors are in standard deviations of the data (dali.dreams.steering); those of
an agent of pixels are of pixels (dali.dreams.observation).

Shapes: H horizon, V observation of the simulator, A action, S simulator state, F context features, Z code dimensions,
C candidates.
"""

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from torch import Tensor

from dali.codes.code_map import CodeMap, round_trip_error
from dali.codes.probes import Probe
from dali.codes.support import Support, Verdict
from dali.dreams.counterfactual import Start, changed_start, dream, held_context, infer_start, recorded_actions
from dali.dreams.observation import Metric, Rollout, make_metric
from dali.dreams.request import Request, check_request
from dali.dreams.steering import nearest_physics, rollout_error, steering_skill, step_error
from dali.envs import catalogue
from dali.envs.base import Simulator
from dali.envs.trajectory import replay_actions
from dali.episodes import Episodes, recorded_states
from dali.model.agent import Agent

EFFECTIVE_STEPS = 25  # of a film that the effective physics is sought on, as in dali.dreams.steering


class Steering(Protocol):
    """What turns physics into codes and back; a Readout of dali.runs.artifacts is one."""

    @property
    def probe(self) -> Probe: ...
    @property
    def code_map(self) -> CodeMap: ...
    @property
    def support(self) -> Support: ...


@dataclass(frozen=True)
class FilmSource:
    """What all films of one checkpoint share. Safe to use from several threads: simulators are stepped under a lock."""

    agent: Agent
    episodes: Episodes
    steering: Steering | None  # None for methods that infer no code
    metric: Metric  # what errors are measured on
    single: Simulator  # of 1 copy, for real runs
    crowd: Simulator  # of as many copies as there are candidates, for the effective physics of one feature
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def scale(self) -> np.ndarray:
        """(V,) standard deviation of the data, or that of all pixels, ()."""
        return self.metric.scale


@dataclass(frozen=True)
class Factual:
    """The half of a film that no slider changes."""

    start: Start  # at record t under z
    state: np.ndarray  # (S,) the simulator's at record t, which every real run starts from
    real: Rollout
    dream: Rollout


@dataclass(frozen=True)
class Film:
    """Four rollouts and what is measured on them. A dream and the real run beside it take the same actions."""

    request: Request
    context: np.ndarray  # (F,) c, in units
    context_to: np.ndarray  # (F,) c'
    code: np.ndarray  # (Z,) z at record t; Z is 0 for methods that infer none
    sigmas: np.ndarray  # (Z,) z' - z in the data's standard deviations
    moved_by_physics: np.ndarray  # (Z,) the part of it that the physics sliders ask for
    real: Rollout
    real_counterfactual: Rollout
    dream: Rollout
    dream_counterfactual: Rollout
    error: np.ndarray  # (H + 1,) dream against real, factual
    error_counterfactual: np.ndarray  # (H + 1,) dream under z' against real under c'
    mean_error: float  # root mean square over the steps of ``error``
    mean_error_counterfactual: float
    mean_error_unsteered: float  # the dream under z, same actions, against real under c'
    skill: float | None  # steering skill of this request; None where c' = c
    read: np.ndarray | None  # (F,) the probe's reading of z'; None without a code
    back_error: np.ndarray | None  # (F,) probe(m(c')) - c', the round-trip error; None without a code
    support: Verdict | None  # of z'; None without a code
    outside: tuple[str, ...]  # features whose c' lies outside their train range
    source: FilmSource = field(repr=False)
    state: np.ndarray = field(repr=False)  # (S,) that real runs start from

    @cached_property
    def _nearest(self) -> tuple[np.ndarray, np.ndarray]:
        """Sought when it is asked for: it costs more than all of the rest, which can be shown before."""
        return effective_physics(self.source, self.state, self.context_to, self.dream_counterfactual)

    @property
    def effective_known(self) -> bool:
        """Whether ``effective`` was found before."""
        return "_nearest" in vars(self)

    @property
    def effective(self) -> np.ndarray:
        """(F,) physics whose real run is nearest to the dream under z', one feature at a time."""
        return self._nearest[0]

    @property
    def effective_error(self) -> np.ndarray:
        """(F,) how far that real run still is from the dream."""
        return self._nearest[1]


def make_film_source(agent: Agent, episodes: Episodes, steering: Steering | None) -> FilmSource:
    """Everything that films of a checkpoint need.

    Args:
        steering: None for methods that infer no code.

    Raises:
        DaliError: the environment cannot be put back into a state.
    """
    catalogue.check_restores_state(agent.spec.name)
    metric = make_metric(agent, episodes)
    crowd = catalogue.make(agent.spec.name, metric.observer.candidates)  # a copy of MuJoCo's takes 0.4 MB
    return FilmSource(agent, episodes, steering, metric, catalogue.make(agent.spec.name, 1), crowd)


def make_factual(source: FilmSource, request: Request, beside: Film | None = None) -> Factual:
    """The real run and the dream under the episode's own physics and code.

    Args:
        beside: another agent's film of the same request, whose actions and real runs this one takes.

    Raises:
        DaliError: the request does not fit the episodes or the method.
    """
    check_request(request, source.agent.spec, source.agent.method, source.episodes)
    episode = _episode(source, request)
    context = _held(source, request, _code(source, request), episode.context)
    start = infer_start(source.agent, episode, request.t, context, request.latents)
    given = _given_actions(source, request) if beside is None else beside.dream.action[None]
    dreamed = _dream(source, request, start, context, given)
    if beside is not None:
        return Factual(start, beside.state, beside.real, dreamed)
    with source.lock:
        state = recorded_states(source.single, episode, request.t, request.t + 1)[0, 0]
    return Factual(start, state, _real(source, state, episode.context[0], dreamed.action), dreamed)


def make_film(source: FilmSource, request: Request, factual: Factual | None = None, beside: Film | None = None) -> Film:
    """The film of a request.

    Args:
        factual: what ``make_factual`` gave for this episode, start, horizon, actions and latents, if it was kept.
        beside: another agent's film of the same request, whose actions and real runs this one takes.

    Raises:
        DaliError: the request does not fit the episodes or the method.
    """
    factual = factual or make_factual(source, request, beside)
    check_request(request, source.agent.spec, source.agent.method, source.episodes)
    spec, method = source.agent.spec, source.agent.method
    context = source.episodes.context[request.episode]
    context_to = request.context_to(spec, context)
    code = _code(source, request)
    by_physics, sigmas = _moves(source, request, context, context_to)
    moved = code + sigmas * source.steering.support.std if source.steering else code
    told = method.source == "given" and (context_to != context).any()
    dreamed, unsteered = _counterfactual(source, request, factual, moved, bool(sigmas.any() or told), beside)
    changed = (context_to != context).any() or dreamed is not factual.dream
    if beside is not None:
        real = beside.real_counterfactual
    else:
        real = _real(source, factual.state, context_to, dreamed.action) if changed else factual.real
    total = rollout_error(
        np.stack([factual.dream.compared, dreamed.compared, unsteered.compared]),
        np.stack([factual.real.compared, real.compared, real.compared]),
        source.scale,
    )
    steering = source.steering
    return Film(
        request=request,
        context=context,
        context_to=context_to,
        code=code,
        sigmas=sigmas,
        moved_by_physics=by_physics,
        real=factual.real,
        real_counterfactual=real,
        dream=factual.dream,
        dream_counterfactual=dreamed,
        error=step_error(factual.dream.compared, factual.real.compared, source.scale),
        error_counterfactual=step_error(dreamed.compared, real.compared, source.scale),
        mean_error=float(total[0]),
        mean_error_counterfactual=float(total[1]),
        mean_error_unsteered=float(total[2]),
        skill=steering_skill(total[1:2], total[2:3]) if (context_to != context).any() else None,
        read=steering.probe.predict(moved) if steering else None,
        back_error=round_trip_error(steering.code_map, steering.probe, context_to) if steering else None,
        support=steering.support.verdict(moved) if steering else None,
        outside=tuple(f.name for f, c in zip(spec.features, context_to, strict=True) if not f.inside(c)),
        source=source,
        state=factual.state,
    )


def effective_physics(
    source: FilmSource, state: np.ndarray, context: np.ndarray, dreamed: Rollout
) -> tuple[np.ndarray, np.ndarray]:
    """ĉ (F,) of each feature, from the state (S,), the others at ``context``; and the error (F,) of what is nearest."""
    steps = min(len(dreamed.action), EFFECTIVE_STEPS)
    features, action = range(len(context)), dreamed.action[None, :steps]
    with source.lock:
        found, error = nearest_physics(
            source.crowd,
            dreamed.compared[None, : steps + 1],
            state[None],
            context[None],
            features,
            action,
            source.metric,
        )
    return found[0], error[0]


def _moves(
    source: FilmSource, request: Request, context: np.ndarray, context_to: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The change of the code (Z,) in the data's standard deviations: what physics asks for, and all of it."""
    size = source.episodes.code.shape[-1]
    if source.steering is None:
        return np.zeros(size), np.zeros(size)
    std = source.steering.support.std
    shift = source.steering.code_map.shift(context, context_to)
    by_physics = shift / np.where(std > 0, std, 1.0)
    return by_physics, by_physics + request.code_sigmas(size)


def _episode(source: FilmSource, request: Request) -> Episodes:
    return source.episodes.subset(np.array([request.episode]))


def _code(source: FilmSource, request: Request) -> np.ndarray:
    return source.episodes.code[request.episode, request.t]


def _held(source: FilmSource, request: Request, code: np.ndarray, context: np.ndarray) -> Tensor:
    """The context (1, X) as the networks read it, of a code (Z,) or of physics (1, F)."""
    return held_context(source.agent, _episode(source, request), code[None], context)


def _given_actions(source: FilmSource, request: Request) -> np.ndarray | None:
    """(1, H, A), or None where the policy chooses."""
    if request.actions == "policy":
        return None
    return recorded_actions(_episode(source, request), request.t, request.horizon, request.actions)


def _dream(source: FilmSource, request: Request, start: Start, context: Tensor, action: np.ndarray | None) -> Rollout:
    result = dream(source.agent, start, context, request.horizon, action, request.latents, request.engine)
    spread = None if result.spread is None else result.spread[0]
    return source.metric.observer.dreamed_run(result.action[0], result.obs[0], result.reward[0], spread)


def _counterfactual(
    source: FilmSource, request: Request, factual: Factual, moved: np.ndarray, steered: bool, beside: Film | None
) -> tuple[Rollout, Rollout]:
    """The dream under a moved code (Z,) and the physics asked for, and the unmoved one under the same actions.

    Both are the factual dream where nothing is ``steered`` and the film beside acts no other way.
    """
    action = None if beside is None else beside.dream_counterfactual.action
    if not steered and (action is None or np.array_equal(action, factual.dream.action)):
        return factual.dream, factual.dream
    given = _given_actions(source, request) if action is None else action[None]
    episode, context = _episode(source, request), source.episodes.context[request.episode][None]
    asked = request.context_to(source.agent.spec, context[0])[None]
    held, own = _held(source, request, moved, asked), _held(source, request, _code(source, request), context)
    start = changed_start(source.agent, episode, request.t, factual.start, own, held, asked, request.latents)
    dreamed = _dream(source, request, start, held, given)
    if request.actions != "policy":
        return dreamed, factual.dream
    # The two dreams act differently; what the change of code brings is judged under the same actions.
    return dreamed, _dream(source, request, factual.start, own, dreamed.action[None])


def _real(source: FilmSource, state: np.ndarray, context: np.ndarray, action: np.ndarray) -> Rollout:
    """The simulator from a state (S,) under physics (F,) and actions (H, A)."""
    with source.lock:
        obs, reached = replay_actions(source.single, state[None], context[None], action[None])
    return source.metric.observer.real_run(action, obs[0], reached[0], context)
