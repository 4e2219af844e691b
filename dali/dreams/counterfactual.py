"""Counterfactual dreams: an episode's first t steps, then H imagined steps under the same or another code.

Two engines dream. ``rssm`` is the world model's own imagination, in which the policy was trained. ``dynamics`` rolls
out the mean of the dynamics ensemble (dali.model.dynamics) from the observation itself; the world model is filtered
over what it predicts, and so gives such a dream its rewards and its policy's actions. Neither is told the physics.

Shapes: E episodes, T steps, H horizon, O observation, A action, Z code, F context features, M members of the ensemble.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dali.dreams.observation import observer_of
from dali.envs.base import Step
from dali.envs.trajectory import Policy, rollout, taking
from dali.episodes import Episodes
from dali.errors import DaliError, unknown_name
from dali.model.agent import Agent
from dali.model.dists import Draw, draw_at
from dali.model.dynamics import DynamicsEnsemble
from dali.model.rssm import LatentState

FILTERED = 5  # records that a deep method's start is filtered from; the code has looked at far more

Engine = Literal["rssm", "dynamics"]
ENGINES: tuple[Engine, ...] = ("rssm", "dynamics")
ActionSource = Literal["recorded", "zero", "policy"]
Latents = int | Literal["mean", "mode"]  # of a dream: drawn with this seed, or their means or modes
ACTION_SOURCES: tuple[ActionSource, ...] = ("recorded", "zero", "policy")


class Manner(NamedTuple):
    """How to dream: what acts, how latents are handed on, and what dreams."""

    actions: ActionSource = "recorded"
    latents: Latents = "mean"
    engine: Engine = "rssm"


@dataclass(frozen=True)
class Dream:
    """What an engine imagines from E starts."""

    obs: np.ndarray  # (E, H + 1, O) as the agent observes; index 0 is the decoded start, of ``dynamics`` the observed
    reward: np.ndarray  # (E, H), expected
    cont: np.ndarray  # (E, H), probability that the episode goes on
    action: np.ndarray  # (E, H, A)
    spread: np.ndarray | None  # (E, H + 1, O) standard deviation of the members' own rollouts; None of ``rssm``


@dataclass(frozen=True)
class Start:
    """Where E dreams start."""

    latent: LatentState  # (E, ...) posterior
    obs: Tensor  # (E, O) the observation itself


def engines(agent: Agent) -> tuple[Engine, ...]:
    """The engines that an agent can dream with."""
    return ENGINES if agent.world_model.ensemble is not None else ("rssm",)


def check_engine(agent: Agent, engine: str) -> None:
    """Raises DaliError for an engine that the agent lacks or that does not exist."""
    if engine not in ENGINES:
        raise unknown_name("engine", engine, ENGINES)
    if engine not in engines(agent):
        raise DaliError(
            "This agent has no dynamics ensemble (model.ensemble is 0); it dreams with the engine rssm alone."
        )


@torch.inference_mode()
def infer_start(
    agent: Agent,
    episodes: Episodes,
    t: int,
    context: Tensor,
    latents: Latents = "mean",
    shown_under: np.ndarray | None = None,
) -> Start:
    """Where dreams from record t start: the posterior filtered from the records before it under a held context (E, X).

    Where the dynamics read the context, a few records are filtered: they tell the state, and more would tell the
    physics too, in h, where no change of the code reaches it (docs/experiments.md). Elsewhere h is all that the
    dynamics know the physics from, so as many are filtered as training ever carried a state for.
    """
    begin = max(0, t + 1 - (FILTERED if agent.method.deep else agent.config.train.stream))
    obs = torch.from_numpy(observer_of(agent).observations(episodes, begin, t + 1, shown_under))
    prev_action = episodes.prev_action(begin, t + 1)
    held = context.unsqueeze(1).expand(-1, obs.shape[1], -1)
    noise = _draw(agent, latents, (1, obs.shape[1]))
    state = agent.world_model.rssm.initial(len(obs), agent.device)
    states, _ = agent.world_model.observe(obs, torch.from_numpy(prev_action), held, state, noise)
    return Start(states.index(slice(None), -1), obs[:, -1])


class DreamedWorld:
    """E copies of a world that an engine dreams, reset and stepped as a simulator is: ``rollout`` rolls out both.

    Attributes:
        num: E.
        features: (E, I) what the heads and the policy read, of each record so far.
        spread: (E, O) standard deviation of the members' own rollouts, of each record so far; empty of ``rssm``.

    Raises:
        DaliError: the agent lacks the engine.
    """

    def __init__(self, agent: Agent, engine: Engine = "rssm"):
        check_engine(agent, engine)
        self._model, self._weights = agent.world_model, agent.world_model.rssm.prior_weights()
        self._ensemble = agent.world_model.ensemble if engine == "dynamics" else None

    @torch.inference_mode()
    def reset(self, start: Start, context: Tensor, noise: Draw = "mean") -> np.ndarray:
        """(E, O) where E dreams start, under (E, X); ``noise`` (1, H, S) draws the latents of H steps."""
        self.num, self._noise = len(start.obs), noise
        self._latent, self._obs, self._context = start.latent, start.obs, context
        self._decoded: Tensor | None = None  # normalized, where the dreams stand
        self.features = [self._model.features(start.latent, context)]
        self.spread: list[np.ndarray] = []
        if self._ensemble is not None:
            self._own = start.obs.expand(self._ensemble.members, -1, -1)
            self.spread.append(np.zeros_like(start.obs.numpy()))
        return self._observe()

    def set_context(self, context: Tensor) -> None:
        """Dreams on under (E, X)."""
        self._context = context
        self.features[-1] = self._model.features(self._latent, context)
        self._decoded = None

    @torch.inference_mode()
    def step(self, action: np.ndarray) -> Step:
        """One step under actions (E, A), with the reward that is expected. No dream ends by itself."""
        taken = torch.from_numpy(np.ascontiguousarray(action, np.float32))
        noise = draw_at(self._noise, len(self.features) - 1)
        if self._ensemble is None:
            self._latent = self._model.imagine_step(
                self._latent, taken, self._context, noise, self._weights, self._decoded
            )
        else:
            self._step_members(self._ensemble, taken, noise)
        self.features.append(self._model.features(self._latent, self._context))
        unending = np.zeros(self.num, bool)
        return Step(self._observe(), self._model.predict_reward(self.features[-1]).numpy(), unending, unending)

    @torch.inference_mode()
    def predict_continue(self) -> np.ndarray:
        """(E, T) probability that the episode goes on, of each step so far."""
        return self._model.predict_continue(torch.stack(self.features[1:], 1)).numpy()

    def _observe(self) -> np.ndarray:
        if self._ensemble is not None:
            return self._obs.numpy()
        self._decoded = self._model.decode_normalized(self.features[-1])
        return self._model.normalizer.denormalize(self._decoded).numpy()

    def _step_members(self, ensemble: DynamicsEnsemble, action: Tensor, noise: Draw) -> None:
        """Steps the members' mean, each member along its own rollout, and the world model filtered over the mean."""
        scales, each = self._model.normalizer, (ensemble.members, -1, -1)
        change = ensemble.changes(self._own, action.expand(each), self._context.expand(each), scales)
        self._own = self._own + scales.delta_std * change
        self.spread.append(self._own.std(0, correction=0).numpy())
        self._obs = ensemble.step(self._obs, action, self._context, scales).mean(0)
        alone = noise[:, None] if isinstance(noise, Tensor) else noise
        obs, taken, context = (part[:, None] for part in (self._obs, action, self._context))
        self._latent = self._model.observe(obs, taken, context, self._latent, alone)[0].index(slice(None), 0)


@torch.inference_mode()
def dream(
    agent: Agent,
    start: Start,
    context: Tensor,
    horizon: int,
    action: np.ndarray | None,
    latents: Latents,
    engine: Engine = "rssm",
) -> Dream:
    """Imagines from E starts under a held context (E, X).

    Args:
        action: (E, H, A) to take, or None for the policy's own.
        latents: a seed draws latents and the policy's actions, the same numbers for every episode and every code, so
            that two dreams differ by their code alone. "mean" hands on the prior's probabilities in place of a draw:
            what a draw adds to a dream is noise, since the simulators are deterministic (docs/experiments.md). With
            "mean" and "mode" the policy takes its modes.
    """
    world = DreamedWorld(agent, engine)
    obs = world.reset(start, context, _draw(agent, latents, (1, horizon)))
    policy = taking(action) if action is not None else _policy(agent, world, horizon, latents)
    run = rollout(world, obs, policy, horizon)
    spread = np.stack(world.spread, 1) if world.spread else None
    return Dream(run.obs, run.reward, world.predict_continue(), run.action, spread)


@torch.inference_mode()
def dream_from_observations(
    agent: Agent, obs: np.ndarray, action: np.ndarray, code: np.ndarray, engine: Engine = "rssm"
) -> np.ndarray:
    """Observations (E, H + 1, O) dreamed from made-up ones (E, O), at rest so far, under actions (E, H, A) and codes.

    The posterior is filtered from the one record, as at the start of an episode. Means of latents are handed on.
    """
    context = agent.world_model.condition(torch.from_numpy(np.asarray(code, np.float32)))
    given = torch.from_numpy(np.asarray(obs, np.float32))
    blank = torch.zeros(len(given), 1, agent.spec.action_dim)
    initial = agent.world_model.rssm.initial(len(given), agent.device)
    states, _ = agent.world_model.observe(given[:, None], blank, context[:, None], initial, "mean")
    start = Start(states.index(slice(None), -1), given)
    return dream(agent, start, context, action.shape[1], action, "mean", engine).obs


def _policy(agent: Agent, world: DreamedWorld, horizon: int, latents: Latents) -> Policy:
    """The agent's own, which reads the features of a dream: drawn by a seed that all episodes share, or its modes."""
    noise = None
    if isinstance(latents, int):
        generator = torch.Generator().manual_seed(latents + 1)
        noise = agent.behavior.noise(
            1, horizon, action_dim=agent.spec.action_dim, generator=generator, device=agent.device
        )
    return lambda t, _, __: agent.behavior.act(
        world.features[-1], None if noise is None else noise[:, t].expand(world.num, -1)
    ).numpy()


def _draw(agent: Agent, latents: Latents, shape: tuple[int, int]) -> Draw:
    """What the model draws latents by; uniform numbers (1, steps, S) are shared by all episodes."""
    if isinstance(latents, str):
        return "mean" if latents == "mean" else None
    return torch.rand(*shape, agent.config.model.stoch, generator=torch.Generator().manual_seed(latents))


def held_context(agent: Agent, episodes: Episodes, code: np.ndarray | None, context: np.ndarray) -> Tensor:
    """The context (E, X) as the networks read it: of codes (E, Z), of true contexts (E, F) in units, or empty."""
    if agent.method.source == "none":
        return torch.zeros(len(episodes.obs), 0)
    if agent.method.source == "given":
        return torch.from_numpy(agent.spec.scale_context(context))
    if code is None:
        raise DaliError(f"{agent.method.title} infers its context; a code is needed to dream.")
    return agent.world_model.condition(torch.from_numpy(np.asarray(code, np.float32)))


def dream_pair(
    agent: Agent,
    episodes: Episodes,
    t: int,
    horizon: int,
    dz: np.ndarray,
    context_to: np.ndarray,
    manner: Manner | None = None,
) -> tuple[Dream, Dream]:
    """The factual dream under z_t and the counterfactual one under z_t + dz, from record t of each episode.

    The code is held. A deep method reads z' in every imagined step. A shallow method's transition never reads a
    code, so there z' is applied while the records before t are observed again, which changes the start.

    Args:
        dz: (E, Z). context_to: (E, F) in units, what a method with a given context dreams under.
        manner: how to dream; under recorded actions, by means, in the world model, where None.
    """
    actions, latents, engine = manner or Manner()
    code = episodes.code[:, t] if agent.method.infers_context else None
    moved = code + dz if code is not None else None
    given = None if actions == "policy" else recorded_actions(episodes, t, horizon, actions)
    factual = held_context(agent, episodes, code, episodes.context)
    changed = held_context(agent, episodes, moved, context_to)
    start = infer_start(agent, episodes, t, factual, latents)
    start_changed = changed_start(agent, episodes, t, start, factual, changed, context_to, latents)
    return (
        dream(agent, start, factual, horizon, given, latents, engine),
        dream(agent, start_changed, changed, horizon, given, latents, engine),
    )


def changed_start(
    agent: Agent,
    episodes: Episodes,
    t: int,
    start: Start,
    factual: Tensor,
    changed: Tensor,
    context_to: np.ndarray,
    latents: Latents,
) -> Start:
    """Where the counterfactual dream starts, ``start`` being where the factual one does.

    The transition of a shallow method never reads the code, which acts while the prefix is observed again. To an agent
    of pixels a picture of the old length denies the new one, so it is shown the same states as drawn under the physics
    asked for (E, F): what it would see there.
    """
    if not (agent.method.shallow or observer_of(agent).pictures):
        return start
    return infer_start(agent, episodes, t, changed if agent.method.shallow else factual, latents, context_to)


def recorded_actions(episodes: Episodes, t: int, horizon: int, actions: ActionSource) -> np.ndarray:
    """(E, H, A) actions from record t on: those recorded, or zeros (a discrete environment's first choice).

    Raises:
        DaliError: the episodes end before t + H.
    """
    steps = episodes.action.shape[1]
    if not 0 <= t <= steps or horizon < 1 or (actions == "recorded" and t + horizon > steps):
        raise DaliError(f"Start {t} and horizon {horizon} do not fit an episode of {steps} recorded steps.")
    if actions == "recorded":
        return episodes.action[:, t : t + horizon]
    if actions != "zero":
        raise DaliError(f"Unknown actions {actions!r}; expected one of: {', '.join(ACTION_SOURCES)}.")
    return np.zeros((len(episodes.obs), horizon, episodes.action.shape[2]), np.float32)
