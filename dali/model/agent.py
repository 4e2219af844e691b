"""An agent: world model and behaviour of one method on one environment, and how it acts.

What an agent is shown (dali.envs.frames) and what its networks read differ for one of pixels: ``view`` turns pictures
into observations (N, O) of its own. Everything else reads those, and knows nothing of pictures.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from dali.config import ModelConfig, RunConfig
from dali.envs.spec import EnvSpec
from dali.model.behavior import Behavior
from dali.model.context import Kept
from dali.model.conv import with_change
from dali.model.rssm import LatentState
from dali.model.shapes import Bool, Float, UInt8
from dali.model.world_model import WorldModel


@dataclass(frozen=True)
class History:
    """The last K + 1 records of N running episodes: a code of them is of the weights of the day."""

    obs: Float[Tensor, "N records O"]  # raw, newest last
    action: Float[Tensor, "N records A"]  # the action that led to each observation
    first: Bool[Tensor, "N records"]  # an episode's start, or nothing remembered yet

    def with_record(
        self, obs: Float[Tensor, "N O"], action: Float[Tensor, "N A"], first: Bool[Tensor, "N"]
    ) -> "History":
        """The history one record later."""
        return History(
            obs=torch.cat([self.obs[:, 1:], obs[:, None]], 1),
            action=torch.cat([self.action[:, 1:], action[:, None]], 1),
            first=torch.cat([self.first[:, 1:] | first[:, None], first[:, None]], 1),
        )


@dataclass(frozen=True)
class AgentState:
    """What an agent remembers of N running episodes."""

    latent: LatentState  # (N, ...)
    obs: Float[Tensor, "N O"]  # raw, the last one seen
    action: Float[Tensor, "N A"]  # the last one taken, which may be another than ``act`` chose: then it is replaced
    window: History | Kept | None  # what the code is inferred from: records, or, of frozen weights, their projections


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

    def initial(self, num: int, frozen: bool = False) -> AgentState:
        """The memory before N episodes.

        Args:
            frozen: the weights stay as they are while the episodes run. Each transition is then encoded once, instead
                of at every step that has it in its window.
        """
        return AgentState(
            latent=self.world_model.rssm.initial(num, self.device),
            obs=torch.zeros(num, self.obs_dim, device=self.device),
            action=torch.zeros(num, self.spec.action_dim, device=self.device),
            window=self._initial_window(num, frozen),
        )

    def _initial_window(self, num: int, frozen: bool) -> History | Kept | None:
        if not self.method.infers_context:
            return None
        if frozen:
            return self.world_model.context_encoder.nothing_kept(num)
        remembered = self.config.model.context_window + 1
        return History(
            obs=torch.zeros(num, remembered, self.obs_dim, device=self.device),
            action=torch.zeros(num, remembered, self.spec.action_dim, device=self.device),
            first=torch.ones(num, remembered, dtype=torch.bool, device=self.device),
        )

    @torch.inference_mode()
    def view(
        self,
        shown: Float[np.ndarray, "N V"] | UInt8[np.ndarray, "N 64 64 3"],
        first: Bool[Tensor, "N"],
        before: Float[Tensor, "N O"],
    ) -> Float[Tensor, "N O"]:
        """Observations as the networks read them, of what N copies show.

        Args:
            shown: numbers, or pictures where the agent reads pixels.
            first: where an episode starts.
            before: the observations of the step before, of which an agent of pixels needs the embeddings.
        """
        given = torch.from_numpy(shown).to(self.device)
        autoencoder = self.world_model.autoencoder
        if autoencoder is None:
            return given
        return with_change(autoencoder.embed(given), before[:, : autoencoder.embedding], first)

    @torch.inference_mode()
    def act(
        self,
        obs: Float[Tensor, "N O"],
        first: Bool[Tensor, "N"],
        state: AgentState,
        true_context: Float[Tensor, "N F"],
        generator: torch.Generator | None,
        change: Callable[[Float[Tensor, "N X"]], Float[Tensor, "N X"]] | None = None,
        forget: bool = False,
    ) -> tuple[Float[Tensor, "N A"], AgentState, Float[Tensor, "N X"]]:
        """Takes in N observations and chooses N actions.

        Args:
            obs: of ``view``. first: where an episode starts and memory is dropped.
            true_context: scaled; only methods whose source is "given" read it.
            generator: draws latents and actions; None takes their modes.
            change: gives the context that the networks read in place of the one found; None leaves it.
            forget: the world model's state is that of an episode's first step; the window of the context stays.

        Returns:
            Actions, the new memory, and the context that was used, as the networks read it.
        """
        keep = ~first
        before, prev_action = state.latent.masked(keep), state.action * keep.unsqueeze(-1)
        code, window = self._infer(obs, prev_action, first, state)
        context = self._context(code, true_context)
        if change is not None:
            context = change(context)
        if forget:
            before, prev_action = before.masked(torch.zeros_like(first)), torch.zeros_like(prev_action)
        noise = self.world_model.latent_noise(obs.shape[0], generator=generator)
        latent, _ = self.world_model.observe(
            obs[:, None],
            prev_action[:, None],
            context[:, None],
            before,
            noise[:, None] if isinstance(noise, Tensor) else noise,
            prev_obs=state.obs,
        )
        latent = latent.index(slice(None), 0)
        action_noise = None
        if generator is not None:
            action_noise = self.behavior.noise(
                obs.shape[0], action_dim=self.spec.action_dim, generator=generator, device=self.device
            )
        action = self.behavior.act(self.world_model.features(latent, context), action_noise)
        return action, AgentState(latent, obs, action, window), context

    def _context(self, code: Float[Tensor, "N Z"] | None, true_context: Float[Tensor, "N F"]) -> Float[Tensor, "N X"]:
        """The context of N episodes as the networks read it: none, the true one, or the inferred code."""
        if self.method.source == "none":
            return true_context[:, :0]
        return true_context if code is None else self.world_model.condition(code)

    def _infer(
        self, obs: Float[Tensor, "N O"], prev_action: Float[Tensor, "N A"], first: Bool[Tensor, "N"], state: AgentState
    ) -> tuple[Float[Tensor, "N Z"] | None, History | Kept | None]:
        """z with the transitions up to observations, and what is remembered of them."""
        window = state.window
        if window is None:
            return None, None
        if isinstance(window, History):
            window = window.with_record(obs, prev_action, first)
            return self._code(window), window
        pair, actions = torch.stack([state.obs, obs], 1), torch.stack([prev_action, prev_action], 1)
        token = self.world_model.tokens(pair, actions, torch.stack([first, first], 1))[:, 1]
        return self.world_model.context_encoder.step(token, first, window)

    def _code(self, window: History) -> Float[Tensor, "N Z"]:
        """z of the last K transitions remembered."""
        tokens = self.world_model.tokens(window.obs, window.action, window.first)
        # The oldest record only gives the first transition its start; without it the K tokens fill one block.
        last = torch.full((len(tokens), 1), tokens.shape[1] - 2, device=tokens.device)
        return self.world_model.context_encoder.at(tokens[:, 1:], window.first[:, 1:], last).squeeze(1)


def observed(config: ModelConfig, spec: EnvSpec) -> int:
    """O: the environment's own observation, or the pair of a picture's embedding and its change."""
    return spec.obs_dim if config.observation == "vector" else 2 * config.embedding
