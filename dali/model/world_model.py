"""The world model: encoder, RSSM, decoder, reward and continue heads, and the code that conditions them.

What trains it is in dali.model.losses, what trains the code in dali.model.context_losses. An agent of pixels has the
same world model, of observations (e, change of e) that its autoencoder makes of pictures.
"""

from typing import Literal, overload

import torch
from torch import Tensor, nn

from dali.config import ModelConfig
from dali.methods import Method
from dali.model.context import ContextEncoder, CrossModal, ForwardDynamics, previous
from dali.model.conv import Autoencoder
from dali.model.dists import Draw, twohot_bins, twohot_mean
from dali.model.dynamics import DynamicsEnsemble
from dali.model.nets import MLP, Features, Picked, trunk
from dali.model.normalizer import Normalizer
from dali.model.recurrence import Weights
from dali.model.rssm import RSSM, LatentState, PickedState, State
from dali.model.shapes import Bool, Float


class WorldModel(nn.Module):
    """p(o, r, continue | h, s), its dynamics, and the context encoder of methods that infer a code."""

    support: Float[Tensor, "bins"]
    code_mean: Float[Tensor, "Z"]
    code_std: Float[Tensor, "Z"]

    def __init__(self, config: ModelConfig, method: Method, obs_dim: int, action_dim: int, context_dim: int):
        super().__init__()
        self.config, self.method = config, method
        width = {"none": 0, "given": context_dim, "inferred": config.code}[method.source]
        self.deep = width if method.deep else 0
        self.shallow = width if method.shallow else 0
        self.normalizer = Normalizer(obs_dim)
        self.encoder = trunk(obs_dim, config.units, config.layers)
        # The transition of a shallow method reads no context, so it must not read what the ensemble makes of one.
        expected = obs_dim if config.expectation and not self.shallow else 0
        self.rssm = RSSM(config, config.units, action_dim, self.deep, self.shallow, expected)
        self.feature_dim = config.deter + expected + self.rssm.stoch + self.deep
        self.decoder = MLP(self.feature_dim, obs_dim, config.units, config.layers)
        if expected:  # it corrects an expectation, and begins by leaving it as it is
            nn.init.zeros_(self.decoder.out.weight)
        self.reward = MLP(self.feature_dim, config.bins, config.units, config.head_layers, out_scale=0.0)
        self.cont = MLP(self.feature_dim, 1, config.units, config.head_layers)
        self.autoencoder = Autoencoder(config.embedding, config.conv_depth) if config.observation == "pixels" else None
        self.register_buffer("support", twohot_bins(config.bins), persistent=False)
        if method.infers_context:
            self.context_encoder = ContextEncoder(
                obs_dim,
                action_dim,
                config.code,
                config.context_window,
                config.context_width,
                config.context_heads,
                innovations=config.context_tokens == "innovations",
            )
            self.forward_dynamics = ForwardDynamics(
                obs_dim, action_dim, config.code, config.dynamics_units, config.dynamics_norm
            )
            self.cross_modal = CrossModal(config.code, self.rssm.stoch) if method.cross_modal else None
            self.register_buffer("code_mean", torch.zeros(config.code))
            self.register_buffer("code_std", torch.ones(config.code))
        self.ensemble = (
            DynamicsEnsemble(obs_dim, action_dim, width, config.ensemble_units, config.ensemble_layers, config.ensemble)
            if config.ensemble
            else None
        )

    # Context ---------------------------------------------------------------------------------------------------

    def codes(
        self, obs: Float[Tensor, "B T O"], prev_action: Float[Tensor, "B T A"], first: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T Z"]:
        """z at every step of raw sequences, each from the K transitions before it."""
        return self.context_encoder(self.tokens(obs, prev_action, first), first)

    def codes_after(
        self, obs: Float[Tensor, "B T O"], prev_action: Float[Tensor, "B T A"], first: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B Z"]:
        """z at the last step of raw sequences alone."""
        last = torch.full((len(obs), 1), obs.shape[1] - 1, device=obs.device)
        return self.context_encoder.at(self.tokens(obs, prev_action, first), first, last).squeeze(1)

    def tokens(
        self, obs: Float[Tensor, "B T O"], prev_action: Float[Tensor, "B T A"], first: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T I"]:
        """What the context encoder reads of raw sequences; no gradient reaches f_w from there."""
        expected = None
        if self.config.context_tokens == "innovations":
            with torch.no_grad():
                mean_code = self.code_mean.expand(*obs.shape[:-1], -1)
                expected = self.forward_dynamics(previous(obs), prev_action, mean_code, self.normalizer)
        return self.context_encoder.tokens(obs, prev_action, first, self.normalizer, expected)

    def condition(self, code: Float[Tensor, "*B Z"]) -> Float[Tensor, "*B Z"]:
        """The code as the networks read it: whitened per dimension by its running scale.

        L_cross rewards a small code, and L_FD does not mind one; without this the world model would be handed
        numbers of an arbitrary and shrinking size.
        """
        return (code - self.code_mean) / self.code_std

    def split_context(
        self, context: Float[Tensor, "*B X"]
    ) -> tuple[Float[Tensor, "*B deep"], Float[Tensor, "*B shallow"]]:
        """(deep, shallow) views of a context: each is the context, or empty where it is not read."""
        empty = context[..., :0]
        return (context if self.deep else empty), (context if self.shallow else empty)

    # Inference -------------------------------------------------------------------------------------------------

    def observe(
        self,
        obs: Float[Tensor, "B T O"],
        prev_action: Float[Tensor, "B T A"],
        context: Float[Tensor, "B T X"],
        state: LatentState,
        noise: Float[Tensor, "#B T S"] | Literal["mean"] | None,
        prev_obs: Float[Tensor, "B O"] | None = None,
    ) -> tuple[LatentState, Float[Tensor, "B T S C"]]:
        """Posterior states (B, T, ...) and probabilities of raw observations.

        Args:
            context: already conditioned.
            state: (B, ...), before the first observation.
            prev_obs: raw, the observation of ``state``; None where it is only known from what that decodes to.
        """
        deep, shallow = self.split_context(context)
        normalized = self.normalizer.normalize(obs)
        expected = innovation = None
        if self.rssm.expected:
            expected = self._expected(normalized, prev_action, deep, state, prev_obs)
            innovation = (normalized - expected) / self._step_scale()
        embed = self.encoder(normalized)
        return self.rssm.observe(embed, prev_action, deep, shallow, state, noise, expected, innovation)

    @torch.no_grad()
    def _expected(
        self,
        obs: Float[Tensor, "B T O"],
        prev_action: Float[Tensor, "B T A"],
        deep: Float[Tensor, "B T deep"],
        state: LatentState,
        prev_obs: Float[Tensor, "B O"] | None,
    ) -> Float[Tensor, "B T O"]:
        """e_t of a filtered sequence of normalized observations; no gradient is handed on."""
        before = self._decode_state(state, deep[:, 0]) if prev_obs is None else self.normalizer.normalize(prev_obs)
        expected = self._expect(torch.cat([before.unsqueeze(1), obs[:, :-1]], 1), prev_action, deep)
        known = state.stoch.sum(-1, keepdim=True) > 0  # of the initial state alone the latents are all zero
        return torch.cat([torch.where(known, expected[:, 0], obs[:, 0]).unsqueeze(1), expected[:, 1:]], 1)

    @torch.no_grad()
    def _expect(
        self, obs: Float[Tensor, "*B O"], action: Float[Tensor, "*B A"], deep: Float[Tensor, "*B deep"]
    ) -> Float[Tensor, "*B O"]:
        """What the ensemble's first member expects after observations; both are normalized.

        It hands no gradient on, so that the ensemble learns from L_FD alone.
        """
        assert self.ensemble is not None
        return obs + self.ensemble.first_change(obs, action, deep) * self._step_scale()

    @torch.no_grad()
    def _decode_state(self, state: LatentState | PickedState, deep: Float[Tensor, "B deep"]) -> Float[Tensor, "B O"]:
        """Normalized observations that states (B, ...) decode to, for no gradient."""
        return self.decode_normalized(self._joined(state, deep))

    def _step_scale(self) -> Float[Tensor, "O"]:
        """sigma_Delta in normalized observations."""
        return self.normalizer.delta_std / self.normalizer.obs_std

    def imagine(
        self,
        state: LatentState,
        action: Float[Tensor, "B T A"],
        context: Float[Tensor, "B X"],
        noise: Float[Tensor, "#B T S"] | Literal["mean"] | None,
    ) -> LatentState:
        """Dreamed states (B, T, ...) from (B, ...) under actions and a held context, with gradient."""
        deep = self.split_context(context)[0]

        def expectation(t: int, deter: Float[Tensor, "B DO"], stoch: Float[Tensor, "B SC"]) -> Float[Tensor, "B O"]:
            return self._expect(self._decode_state(LatentState(deter, stoch), deep), action[:, t], deep)

        held = deep.unsqueeze(1).expand(-1, action.shape[1], -1)
        return self.rssm.imagine(state, action, held, noise, expectation if self.rssm.expected else None)

    def imagine_step(
        self,
        state: State,
        action: Float[Tensor, "B A"],
        context: Float[Tensor, "B X"],
        noise: Float[Tensor, "#B S"] | Literal["mean"] | None,
        weights: Weights | None = None,
        decoded: Float[Tensor, "B O"] | None = None,
    ) -> State:
        """One dreamed step of (B, ...) states under a held context, for no gradient.

        Args:
            weights: of ``rssm.prior_weights``, where there are many steps.
            decoded: what the states decode to, normalized, where that is known.
        """
        deep = self.split_context(context)[0]
        expected = None
        if self.rssm.expected:
            before = self._decode_state(state, deep) if decoded is None else decoded
            expected = self._expect(before, action, deep)
        return self.rssm.imagine_step(state, action, deep, noise, expected, weights or self.rssm.prior_weights())

    @overload
    def features(self, state: LatentState, context: Float[Tensor, "*B X"]) -> Float[Tensor, "*B I"]: ...

    @overload
    def features(self, state: PickedState, context: Float[Tensor, "*B X"]) -> Picked: ...

    def features(self, state: LatentState | PickedState, context: Float[Tensor, "*B X"]) -> Features:
        """(h, s), and the context where the method is deep: what heads, actor and critic read."""
        return self._joined(state, self.split_context(context)[0])

    def _joined(self, state: LatentState | PickedState, deep: Float[Tensor, "*B deep"]) -> Features:
        if isinstance(state, PickedState):
            return Picked(torch.cat([state.deter, deep], -1), state.columns, state.deter.shape[-1])
        return torch.cat([state.deter, state.stoch, deep], -1)

    def decode(self, features: Features) -> Float[Tensor, "*B O"]:
        """Observations in their own units."""
        return self.normalizer.denormalize(self.decode_normalized(features))

    def decode_normalized(self, features: Features) -> Float[Tensor, "*B O"]:
        """Normalized observations: the decoder's output, or the expectation corrected by it in sigma_Delta."""
        decoded = self.decoder(features)
        if not self.rssm.expected:
            return decoded
        dense = features if isinstance(features, Tensor) else features.rest  # both begin with h, and e behind it
        expected = dense[..., self.rssm.deter : self.rssm.deter + self.rssm.expected]
        return expected + decoded * self._step_scale()

    def predict_reward(self, features: Features) -> Float[Tensor, "*B"]:
        """Expected reward on arriving at the state."""
        return twohot_mean(self.reward(features), self.support)

    def predict_continue(self, features: Features) -> Float[Tensor, "*B"]:
        """Probability that the episode goes on after the state."""
        return torch.sigmoid(self.cont(features).squeeze(-1))

    def latent_noise(self, *shape: int, generator: torch.Generator | None) -> Draw:
        """How latents of a shape (...,) are taken: by uniform numbers (..., S), or as means where the model says so."""
        if self.config.latents == "means":
            return "mean"
        if generator is None:
            return None
        return torch.rand(*shape, self.rssm.groups, generator=generator, device=self.support.device)
