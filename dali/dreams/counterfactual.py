"""Counterfactual dreams: an episode's first t steps, then H imagined steps under the same or another code.

Shapes: E episodes, T steps, H horizon, O observation, A action, Z code, F context features.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from dali.dreams.observation import observations
from dali.episodes import Episodes
from dali.errors import DaliError
from dali.model.agent import Agent
from dali.model.dists import Draw
from dali.model.imagination import imagine
from dali.model.rssm import LatentState

FILTERED = 5  # records that a deep method's start is filtered from; the code has looked at far more

ActionSource = Literal["recorded", "zero", "policy"]
Latents = int | Literal["mean", "mode"]  # of a dream: drawn with this seed, or their means or modes
ACTION_SOURCES: tuple[ActionSource, ...] = ("recorded", "zero", "policy")


@dataclass(frozen=True)
class Dream:
    """What a world model imagines from E starts."""

    obs: np.ndarray  # (E, H + 1, O) as the agent observes; index 0 is the decoded start
    reward: np.ndarray  # (E, H), expected
    cont: np.ndarray  # (E, H), probability that the episode goes on
    action: np.ndarray  # (E, H, A)


@torch.inference_mode()
def infer_start(agent: Agent, episodes: Episodes, t: int, context: Tensor, latents: Latents = "mean") -> LatentState:
    """Posterior states (E, ...) at record t, from the records before it under a held context (E, X).

    Where the dynamics read the context, a few records are filtered: they tell the state, and more would tell the
    physics too, in h, where no change of the code reaches it (docs/experiments.md). Elsewhere h is all that the
    dynamics know the physics from, so as many are filtered as training ever carried a state for.
    """
    begin = max(0, t + 1 - (FILTERED if agent.method.deep else agent.config.train.stream))
    obs = torch.from_numpy(observations(agent, episodes, begin, t + 1))
    prev_action = episodes.prev_action(begin, t + 1)
    held = context.unsqueeze(1).expand(-1, obs.shape[1], -1)
    noise = _draw(agent, latents, (1, obs.shape[1]))
    state = agent.world_model.rssm.initial(len(obs), agent.device)
    states, _ = agent.world_model.observe(obs, torch.from_numpy(prev_action), held, state, noise)
    return states.index(slice(None), -1)


@torch.inference_mode()
def dream(
    agent: Agent, start: LatentState, context: Tensor, horizon: int, action: np.ndarray | None, latents: Latents
) -> Dream:
    """Imagines from E starts under a held context (E, X).

    Args:
        action: (E, H, A) to take, or None for the policy's own.
        latents: a seed draws latents and the policy's actions, the same numbers for every episode and every code, so
            that two dreams differ by their code alone. "mean" hands on the prior's probabilities in place of a draw:
            what a draw adds to a dream is noise, since the simulators are deterministic (docs/experiments.md). With
            "mean" and "mode" the policy takes its modes.
    """
    latent_noise = _draw(agent, latents, (1, horizon))
    if action is not None:
        given = torch.from_numpy(np.ascontiguousarray(action, dtype=np.float32))
        chosen = imagine(agent.world_model, start, context, lambda _, t: given[:, t], horizon, latent_noise)
    else:
        noise = None
        if isinstance(latents, int):
            generator = torch.Generator().manual_seed(latents + 1)
            noise = agent.behavior.noise(
                1, horizon, action_dim=agent.spec.action_dim, generator=generator, device=agent.device
            )

        def policy(features: Tensor, t: int) -> Tensor:
            return agent.behavior.act(features, None if noise is None else noise[:, t].expand(len(features), -1))

        chosen = imagine(agent.world_model, start, context, policy, horizon, latent_noise)
    model = agent.world_model
    return Dream(
        obs=model.decode(chosen.features).numpy(),
        reward=model.predict_reward(chosen.features[:, 1:]).numpy(),
        cont=model.predict_continue(chosen.features[:, 1:]).numpy(),
        action=chosen.action.numpy(),
    )


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
    actions: ActionSource = "recorded",
    latents: Latents = "mean",
) -> tuple[Dream, Dream]:
    """The factual dream under z_t and the counterfactual one under z_t + dz, from record t of each episode.

    The code is held. A deep method reads z' in every imagined step. A shallow method's transition never reads a
    code, so there z' is applied while the records before t are observed again, which changes the start.

    Args:
        dz: (E, Z). context_to: (E, F) in units, what a method with a given context dreams under.
    """
    code = episodes.code[:, t] if agent.method.infers_context else None
    moved = code + dz if code is not None else None
    given = None if actions == "policy" else recorded_actions(episodes, t, horizon, actions)
    factual = held_context(agent, episodes, code, episodes.context)
    changed = held_context(agent, episodes, moved, context_to)
    start = infer_start(agent, episodes, t, factual, latents)
    start_changed = infer_start(agent, episodes, t, changed, latents) if agent.method.shallow else start
    return (
        dream(agent, start, factual, horizon, given, latents),
        dream(agent, start_changed, changed, horizon, given, latents),
    )


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
