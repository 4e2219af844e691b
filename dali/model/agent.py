"""An agent: world model and behaviour of one method on one environment, and how it acts.

What an agent is shown (dali.envs.frames) and what its networks read differ for one of pixels: ``view`` turns pictures
into observations (N, O) of its own. Everything else reads those, and knows nothing of pictures.

Shapes: N copies, T time, O observation, A action, F context features, K context window.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from dali.config import ModelConfig, RunConfig
from dali.envs.spec import EnvSpec
from dali.model.behavior import Behavior
from dali.model.conv import with_change
from dali.model.rssm import LatentState
from dali.model.world_model import WorldModel


@dataclass(frozen=True)
class AgentState:
    """What an agent remembers of N running episodes."""

    latent: LatentState  # (N, ...)
    action: Tensor  # (N, A), the last one taken
    obs_history: Tensor  # (N, K + 1, O) raw, newest last
    action_history: Tensor  # (N, K + 1, A), the action that led to each observation
    first_history: Tensor  # (N, K + 1) bool: an episode's start, or nothing remembered yet


class Agent(nn.Module):
    """World model, behaviour and what is needed to act. The true context is read by "given" methods alone."""

    def __init__(self, config: RunConfig, spec: EnvSpec):
        super().__init__()
        self.config, self.spec, self.method = config, spec, config.method
        self.obs_dim = observed(config.model, spec)
        self.world_model = WorldModel(config.model, config.method, self.obs_dim, spec.action_dim, spec.context_dim)
        self.behavior = Behavior(config.model, self.world_model.feature_dim, spec.action_dim, spec.discrete)

    @property
    def device(self) -> torch.device:
        return self.world_model.support.device

    def initial(self, num: int) -> AgentState:
        """The memory before N episodes."""
        remembered = self.config.model.context_window + 1
        return AgentState(
            latent=self.world_model.rssm.initial(num, self.device),
            action=torch.zeros(num, self.spec.action_dim, device=self.device),
            obs_history=torch.zeros(num, remembered, self.obs_dim, device=self.device),
            action_history=torch.zeros(num, remembered, self.spec.action_dim, device=self.device),
            first_history=torch.ones(num, remembered, dtype=torch.bool, device=self.device),
        )

    @torch.inference_mode()
    def view(self, shown: np.ndarray, first: Tensor, before: Tensor) -> Tensor:
        """Observations (N, O) as the networks read them, of what N copies show.

        Args:
            shown: (N, O) float32, or uint8 pictures (N, 64, 64, 3) where the agent reads pixels.
            first: (N,) bool, where an episode starts.
            before: (N, O) the observations of the step before, of which an agent of pixels needs the embeddings.
        """
        given = torch.from_numpy(shown).to(self.device)
        sight = self.world_model.sight
        if sight is None:
            return given
        return with_change(sight.embed(given), before[:, : sight.embedding], first)

    @torch.inference_mode()
    def act(
        self,
        obs: Tensor,
        first: Tensor,
        state: AgentState,
        true_context: Tensor,
        generator: torch.Generator | None,
        change: Callable[[Tensor], Tensor] | None = None,
        forget: bool = False,
    ) -> tuple[Tensor, AgentState, Tensor]:
        """Takes in N observations and chooses N actions.

        Args:
            obs: (N, O) of ``view``. first: (N,) bool, where an episode starts and memory is dropped.
            true_context: (N, F) scaled; only methods whose source is "given" read it.
            generator: draws latents and actions; None takes their modes.
            change: gives the context (N, X) that the networks read in place of the one found; None leaves it.
            forget: the world model's state is that of an episode's first step; the window of the context stays.

        Returns:
            Actions (N, A), the new memory, and the context (N, X) that was used, as the networks read it.
        """
        state = self._remember(obs, first, state)
        context = self.context(state, true_context)
        if change is not None:
            context = change(context)
        before, prev_action = state.latent, state.action
        if forget:
            before, prev_action = before.masked(torch.zeros_like(first)), torch.zeros_like(prev_action)
        noise = self.world_model.latent_noise(obs.shape[0], generator=generator)
        latent, _ = self.world_model.observe(
            obs[:, None],
            prev_action[:, None],
            context[:, None],
            before,
            noise[:, None] if isinstance(noise, Tensor) else noise,
        )
        latent = latent.index(slice(None), 0)
        action_noise = None
        if generator is not None:
            action_noise = self.behavior.noise(
                obs.shape[0], action_dim=self.spec.action_dim, generator=generator, device=self.device
            )
        action = self.behavior.act(self.world_model.features(latent, context), action_noise)
        return action, self.took(state, latent, action), context

    def took(self, state: AgentState, latent: LatentState, action: Tensor) -> AgentState:
        """The memory after the actions (N, A) really taken, which may differ from those ``act`` chose."""
        return AgentState(latent, action, state.obs_history, state.action_history, state.first_history)

    def context(self, state: AgentState, true_context: Tensor) -> Tensor:
        """The context (N, X) of N episodes as the networks read it: none, the true one, or the inferred code."""
        if self.method.source == "none":
            return state.action.new_zeros(state.action.shape[0], 0)
        if self.method.source == "given":
            return true_context
        return self.world_model.condition(self.code(state))

    def code(self, state: AgentState) -> Tensor:
        """z (N, Z) of the last K transitions remembered."""
        tokens = self.world_model.tokens(state.obs_history, state.action_history, state.first_history)
        # The oldest record only gives the first transition its start; without it the K tokens fill one block.
        last = torch.full((len(tokens), 1), tokens.shape[1] - 2, device=tokens.device)
        return self.world_model.context_encoder.at(tokens[:, 1:], state.first_history[:, 1:], last).squeeze(1)

    def _remember(self, obs: Tensor, first: Tensor, state: AgentState) -> AgentState:
        keep = ~first
        action = state.action * keep.unsqueeze(-1)
        return AgentState(
            latent=state.latent.masked(keep),
            action=action,
            obs_history=torch.cat([state.obs_history[:, 1:], obs[:, None]], 1),
            action_history=torch.cat([state.action_history[:, 1:], action[:, None]], 1),
            first_history=torch.cat([state.first_history[:, 1:] | first[:, None], first[:, None]], 1),
        )


def observed(config: ModelConfig, spec: EnvSpec) -> int:
    """O: the environment's own observation, or the pair of a picture's embedding and its change."""
    return spec.obs_dim if config.observation == "vector" else 2 * config.embedding
