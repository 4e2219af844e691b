"""The world model: encoder, RSSM, decoder, reward and continue heads, and the code that conditions them.

An agent of pixels has the same world model, of observations (e, change of e) that its sight makes of pictures; the
pixels that the decoded embedding turns into are judged besides.

Shapes: B batch, T time, O observation, A action, Z code, X context as the networks read it (0, F or Z), K window,
L window lengths trained per sequence.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dali.config import ModelConfig, TrainConfig
from dali.methods import Method
from dali.model.batch import Batch
from dali.model.context import ContextEncoder, CrossModal, ForwardDynamics, previous
from dali.model.conv import Sight, picture_error
from dali.model.dists import Draw, draw_at, twohot_bins, twohot_loss, twohot_mean
from dali.model.dynamics import DynamicsEnsemble
from dali.model.nets import MLP, trunk
from dali.model.normalizer import Normalizer
from dali.model.rssm import RSSM, LatentState, kl_losses

CODE_SCALE_DECAY = 0.99  # of the running code scale; an update moves it by 1 %
SHORTEST_WINDOW = 4  # transitions; fewer say next to nothing about the physics


@dataclass(frozen=True)
class WorldModelOutput:
    """What one update of the world model leaves for the behaviour and the log."""

    loss: Tensor  # scalar, world model and context encoder together
    states: LatentState  # (B, T, ...), attached
    context: Tensor  # (B, T, X), detached
    mask: Tensor  # (B, T) bool: records that were learnt from
    metrics: dict[str, Tensor]  # detached scalars


class WorldModel(nn.Module):
    """p(o, r, continue | h, s), its dynamics, and the context encoder of methods that infer a code."""

    support: Tensor
    code_mean: Tensor
    code_std: Tensor

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
        self.sight = Sight(config.embedding, config.conv_depth) if config.observation == "pixels" else None
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

    def codes(self, obs: Tensor, prev_action: Tensor, first: Tensor) -> Tensor:
        """z at every step of raw sequences (B, T, O), each from the K transitions before it: (B, T, Z)."""
        return self.context_encoder(self.tokens(obs, prev_action, first), first)

    def codes_after(self, obs: Tensor, prev_action: Tensor, first: Tensor) -> Tensor:
        """z at the last step of raw sequences (B, T, O) alone: (B, Z)."""
        last = torch.full((len(obs), 1), obs.shape[1] - 1, device=obs.device)
        return self.context_encoder.at(self.tokens(obs, prev_action, first), first, last).squeeze(1)

    def tokens(self, obs: Tensor, prev_action: Tensor, first: Tensor) -> Tensor:
        """What the context encoder reads (B, T, .) of raw sequences (B, T, O); no gradient reaches f_w from there."""
        expected = None
        if self.config.context_tokens == "innovations":
            with torch.no_grad():
                mean_code = self.code_mean.expand(*obs.shape[:-1], -1)
                expected = self.forward_dynamics(previous(obs), prev_action, mean_code, self.normalizer)
        return self.context_encoder.tokens(obs, prev_action, first, self.normalizer, expected)

    def condition(self, code: Tensor) -> Tensor:
        """The code as the networks read it: whitened per dimension by its running scale.

        L_cross rewards a small code, and L_FD does not mind one; without this the world model would be handed
        numbers of an arbitrary and shrinking size.
        """
        return (code - self.code_mean) / self.code_std

    def split_context(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """(deep, shallow) views of a context (..., X): each is the context, or empty where it is not read."""
        empty = context[..., :0]
        return (context if self.deep else empty), (context if self.shallow else empty)

    # Inference -------------------------------------------------------------------------------------------------

    def observe(
        self, obs: Tensor, prev_action: Tensor, context: Tensor, state: LatentState, noise: Draw
    ) -> tuple[LatentState, Tensor]:
        """Posterior states (B, T, ...) and probabilities (B, T, S, C) of raw observations (B, T, O).

        ``context`` is (B, T, X) and already conditioned.
        """
        deep, shallow = self.split_context(context)
        normalized = self.normalizer.normalize(obs)
        embed = self.encoder(normalized)
        expect = None
        if self.rssm.expected:

            def expect(before: LatentState, t: int) -> tuple[Tensor, Tensor]:
                known = before.stoch.sum(-1, keepdim=True) > 0  # of the initial state alone the latents are all zero
                expected = self._expected(before, prev_action[:, t], deep[:, t])
                expected = torch.where(known, expected, normalized[:, t])
                return expected, (normalized[:, t] - expected) / self._step_scale()

        return self.rssm.observe(embed, prev_action, deep, shallow, state, noise, expect)

    @torch.no_grad()
    def _expected(self, before: LatentState, action: Tensor, deep: Tensor) -> Tensor:
        """e_t (B, O), normalized: what the ensemble's first member expects of what states (B, ...) decode to.

        It hands no gradient on, so that the ensemble learns from L_FD alone.
        """
        assert self.ensemble is not None
        obs = self._decode_normalized(torch.cat([before.deter, before.stoch, deep], -1))
        change = self.ensemble.first_change(obs, action, deep)
        return obs + change * self._step_scale()

    def _step_scale(self) -> Tensor:
        """(O,) sigma_Delta in normalized observations."""
        return self.normalizer.delta_std / self.normalizer.obs_std

    def imagine_step(self, state: LatentState, action: Tensor, context: Tensor, noise: Draw) -> LatentState:
        """One dreamed step of (B, ...) states under a held context (B, X)."""
        deep = self.split_context(context)[0]
        expected = self._expected(state, action, deep) if self.rssm.expected else None
        return self.rssm.imagine_step(state, action, deep, noise, expected)

    def features(self, state: LatentState, context: Tensor) -> Tensor:
        """(h, s), and the context where the method is deep: what heads, actor and critic read."""
        return torch.cat([state.deter, state.stoch, self.split_context(context)[0]], -1)

    def decode(self, features: Tensor) -> Tensor:
        """Observations (..., O) in their own units."""
        return self.normalizer.denormalize(self._decode_normalized(features))

    def _decode_normalized(self, features: Tensor) -> Tensor:
        """Normalized observations (..., O): the decoder's output, or the expectation corrected by it in sigma_Delta."""
        decoded = self.decoder(features)
        if not self.rssm.expected:
            return decoded
        expected = features[..., self.rssm.deter : self.rssm.deter + self.rssm.expected]
        return expected + decoded * self._step_scale()

    def picture(self, obs: Tensor) -> Tensor:
        """uint8 pictures (..., 64, 64, 3) of observations (..., O) that ``decode`` gave, of an agent of pixels."""
        assert self.sight is not None
        return self.sight.picture(obs[..., : self.sight.embedding])

    def predict_reward(self, features: Tensor) -> Tensor:
        """Expected reward (...,) on arriving at the state."""
        return twohot_mean(self.reward(features), self.support)

    def predict_continue(self, features: Tensor) -> Tensor:
        """Probability (...,) that the episode goes on after the state."""
        return torch.sigmoid(self.cont(features).squeeze(-1))

    # Learning --------------------------------------------------------------------------------------------------

    def loss(
        self,
        batch: Batch,
        state: LatentState,
        train: TrainConfig,
        generator: torch.Generator,
        learn_code: bool = True,
    ) -> WorldModelOutput:
        """Everything that trains the world model and, if ``learn_code``, the context encoder, on B sequences."""
        own_context, code, code_loss = self._context(batch, train, generator, learn_code)
        context, mask = self._swap_context(own_context, batch.mask, train, generator)
        noise = self.latent_noise(*batch.mask.shape, generator=generator)
        states, posterior = self.observe(batch.obs, batch.prev_action, context, state, noise)
        # Rule: only the posterior of a shallow method hands its gradient to the context encoder.
        features = self.features(states, context.detach())

        dyn, rep = kl_losses(posterior, self.rssm.prior(states.deter), train.free_nats)
        decoded = self._decode_normalized(features)
        error = (decoded - self.normalizer.normalize(batch.obs)) ** 2
        reward = twohot_loss(self.reward(features), batch.reward, self.support) * ~batch.first
        cont = F.binary_cross_entropy_with_logits(
            self.cont(features).squeeze(-1), 1.0 - batch.terminal.float(), reduction="none"
        )
        terms = {
            "reconstruction": (train.reconstruction, error.sum(-1)),
            "reward": (1.0, reward),
            "continue": (1.0, cont),
            "dyn": (train.dyn, dyn),
            "rep": (train.rep, rep),
        }
        if code is not None and learn_code and self.cross_modal is not None:
            terms["cross_modal"] = (train.cross_modal, self.cross_modal.loss(code, states.stoch))
        weighted = [weight * masked_mean(term, mask) for weight, term in terms.values()]
        metrics = {f"loss/{name}": masked_mean(term.detach(), mask) for name, (_, term) in terms.items()}
        if train.dream_steps:
            dreamed = self._dream_loss(batch, states, own_context.detach(), mask, train, generator)
            weighted.append(train.reconstruction * train.dream * dreamed)
            metrics["loss/dream"] = dreamed.detach()
        if self.ensemble is not None and learn_code:
            one_step = self.ensemble_loss(batch, train)
            weighted.append(train.reconstruction * one_step)
            metrics["loss/ensemble"] = one_step.detach()
        if self.sight is not None:
            pixels = self._pixel_loss(decoded, batch, mask)
            weighted.append(train.pixels * pixels)
            metrics["loss/pixels"] = pixels.detach()
        # L_FD and the decoder's loss are errors of observations on one scale. At weight 1, L_cross would rule the code.
        loss = torch.stack([*weighted, train.reconstruction * code_loss]).sum()
        if code is not None and learn_code:
            metrics["loss/forward_dynamics"] = code_loss.detach()
        return WorldModelOutput(loss, states, context.detach(), mask, metrics)

    def latent_noise(self, *shape: int, generator: torch.Generator | None) -> Draw:
        """How latents of a shape (...,) are taken: by uniform numbers (..., S), or as means where the model says so."""
        if self.config.latents == "means":
            return "mean"
        if generator is None:
            return None
        return torch.rand(*shape, self.rssm.groups, generator=generator, device=self.support.device)

    def _dream_loss(
        self,
        batch: Batch,
        states: LatentState,
        context: Tensor,
        mask: Tensor,
        train: TrainConfig,
        generator: torch.Generator,
    ) -> Tensor:
        """Imagination reconstruction: what a few steps of the prior decode to, against the data.

        A KL between categoricals is a poor regression loss: the posterior can hold an observation far more exactly
        than the prior ever learns to hit it (docs/experiments.md). So from one posterior state a sequence the prior is
        rolled under the recorded actions and the sequence's own context, held. Where the first records had another
        row's context, the dream starts at the last of those: the state is of one physics, the dream of another, as in
        a counterfactual.

        Returns:
            () squared error in standard deviations, summed over O, mean over steps.
        """
        size, time = batch.mask.shape
        horizon, rows = train.dream_steps, torch.arange(size, device=mask.device)
        latest = time - 1 - horizon
        drawn = torch.randint(0, latest + 1, (size,), generator=generator, device=mask.device)
        swapped = (batch.mask & ~mask).sum(1)
        start = torch.where(swapped > 0, (swapped - 1).clamp_max(latest), drawn)
        state = LatentState(states.deter[rows, start], states.stoch[rows, start])
        noise = self.latent_noise(size, horizon, generator=generator)
        decoded, held = [], context[:, -1]
        for step in range(1, horizon + 1):
            state = self.imagine_step(state, batch.prev_action[rows, start + step], held, draw_at(noise, step - 1))
            decoded.append(self._decode_normalized(self.features(state, held)))
        after = start.unsqueeze(1) + torch.arange(1, horizon + 1, device=mask.device)  # (B, H)
        truth = self.normalizer.normalize(batch.obs[rows.unsqueeze(1), after])
        error = ((torch.stack(decoded, 1) - truth) ** 2).sum(-1)
        return masked_mean(error, batch.mask[rows.unsqueeze(1), after])

    def ensemble_loss(self, batch: Batch, train: TrainConfig) -> Tensor:
        """() mean one-step error of the ensemble's members, each on its own share of the batch's target transitions.

        The context is the whole window's code, without gradient, or the given one.
        """
        assert self.ensemble is not None
        with torch.no_grad():
            if self.method.infers_context:
                tokens = self.tokens(batch.window_obs, batch.window_action, batch.window_first)
                last = batch.window_length.unsqueeze(1)
                context = self.condition(self.context_encoder.at(tokens, batch.window_first, last).squeeze(1))
            else:
                context = batch.context if self.method.source == "given" else batch.context[:, :0]
        members = self.ensemble.members
        share = batch.target_obs.shape[1] // members

        def shared_out(values: Tensor) -> Tensor:  # (B, M', .) -> (M, B * share, .)
            return values[:, : share * members].unflatten(1, (members, share)).transpose(0, 1).flatten(1, 2)

        held = context.unsqueeze(1).expand(-1, batch.target_obs.shape[1], -1)
        error = self.ensemble.loss(
            shared_out(batch.target_obs),
            shared_out(batch.target_action),
            shared_out(batch.target_next),
            shared_out(held),
            self.normalizer,
        )
        usable = batch.target_mask.repeat_interleave(share).expand(members, -1)
        return masked_mean(error, usable)

    def _pixel_loss(self, decoded: Tensor, batch: Batch, mask: Tensor) -> Tensor:
        """Squared error of pixels in [0, 1], summed over a picture, on some records of what (B, T, O) decode to."""
        assert self.sight is not None
        chosen = self.normalizer.denormalize(decoded[batch.frame_row, batch.frame_step])[:, : self.sight.embedding]
        error = picture_error(self.sight.decode(chosen), batch.frames)
        return masked_mean(error, mask[batch.frame_row, batch.frame_step])

    def sight_loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What trains sight before anything else: squared error of pixels and bend, as Sight.loss gives them."""
        assert self.sight is not None
        return self.sight.loss(batch.frames)

    def context_loss(self, batch: Batch, train: TrainConfig, generator: torch.Generator) -> Tensor:
        """L_FD alone: what trains the code before there is a world model."""
        return self._context(batch, train, generator)[2]

    def _context(
        self, batch: Batch, train: TrainConfig, generator: torch.Generator, learn: bool = True
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """The context (B, T, X) the networks read, the code (B, T, Z) behind it, and the code's own loss.

        Without ``learn`` the code carries no gradient and its loss is 0.
        """
        size = batch.mask.shape
        if self.method.source == "none":
            return batch.obs.new_zeros(*size, 0), None, batch.obs.new_zeros(())
        if self.method.source == "given":
            return batch.context.unsqueeze(1).expand(*size, -1), None, batch.obs.new_zeros(())
        infer = self._own_codes if train.pairing == "same" else self._codes_across
        with torch.set_grad_enabled(learn and torch.is_grad_enabled()):
            code, code_loss = infer(batch, train, generator, learn)
        self._track_code_scale(code)
        used = code if self.method.shallow else code.detach()
        return self.condition(used), code, code_loss

    def _swap_context(
        self, context: Tensor, mask: Tensor, train: TrainConfig, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Gives the first records of some sequences the context of another row; returns it, and the mask without them.

        A counterfactual changes the context of a state that was filtered under another. A model that has seen each
        state under one context only may keep that in h and go by it. Nothing is learnt from the swapped records but
        the state that they lead to. Shallow methods filter again under the changed context, so nothing is swapped.
        """
        if not self.deep or not train.context_swap:
            return context, mask
        size, time = mask.shape
        swapped = torch.rand(size, generator=generator, device=mask.device) < train.context_swap
        records = torch.randint(1, time // 2 + 1, (size,), generator=generator, device=mask.device) * swapped
        early = torch.arange(time, device=mask.device) < records.unsqueeze(1)  # (B, T)
        return torch.where(early.unsqueeze(-1), context.roll(1, 0), context), mask & ~early

    def _codes_across(
        self, batch: Batch, train: TrainConfig, generator: torch.Generator, learn: bool
    ) -> tuple[Tensor, Tensor]:
        """A code of another window of the episode, held for the sequence, (B, T, Z); and L_FD.

        The window is cut at L lengths, and each of their codes must predict transitions from outside the window. The
        first, which the world model gets, is mostly of the whole window: a code that is often too short to know is one
        to be trusted less (docs/experiments.md).
        """
        size, time = batch.mask.shape
        lengths = train.context_lengths if learn else 1
        longest = batch.window_length.unsqueeze(1)  # (B, 1), transitions in the window
        shortest = longest.clamp_max(SHORTEST_WINDOW)
        share = torch.rand(size, lengths, generator=generator, device=longest.device)
        cut = shortest + (share * (longest - shortest + 1)).long()
        whole = torch.rand(size, 1, generator=generator, device=longest.device) < train.context_whole
        cut = torch.cat([torch.where(whole, longest, cut[:, :1]), cut[:, 1:]], 1).clamp_max(longest)
        tokens = self.tokens(batch.window_obs, batch.window_action, batch.window_first)
        codes = self.context_encoder.at(tokens, batch.window_first, cut)  # (B, L, Z); step n follows n transitions
        held = codes[:, :1].expand(-1, time, -1)
        if not learn:
            return held, codes.new_zeros(())
        targets = batch.target_obs.shape[1]
        error = self.forward_dynamics.loss(
            batch.target_obs.unsqueeze(1).expand(-1, lengths, -1, -1),
            batch.target_action.unsqueeze(1).expand(-1, lengths, -1, -1),
            batch.target_next.unsqueeze(1).expand(-1, lengths, -1, -1),
            codes.unsqueeze(2).expand(-1, -1, targets, -1),
            self.normalizer,
        )  # (B, L, M)
        return held, masked_mean(error.mean((1, 2)), batch.target_mask)

    def _own_codes(
        self, batch: Batch, train: TrainConfig, generator: torch.Generator, learn: bool
    ) -> tuple[Tensor, Tensor]:
        """The paper's literal pairing: z_t of the very window that ends at t, for every step, (B, T, Z); and L_FD."""
        steps = batch.window_offset.unsqueeze(1) + torch.arange(batch.mask.shape[1], device=batch.obs.device)
        tokens = self.tokens(batch.window_obs, batch.window_action, batch.window_first)
        own = self.context_encoder.at(tokens, batch.window_first, steps)
        if not learn:
            return own, own.new_zeros(())
        per_transition = self.forward_dynamics.loss(
            batch.obs[:, :-1], batch.prev_action[:, 1:], batch.obs[:, 1:], own[:, :-1], self.normalizer
        )
        return own, masked_mean(per_transition, batch.mask[:, 1:])

    @torch.no_grad()
    def _track_code_scale(self, code: Tensor) -> None:
        if not self.training:
            return
        flat = code.reshape(-1, code.shape[-1])
        self.code_mean.lerp_(flat.mean(0), 1.0 - CODE_SCALE_DECAY)
        self.code_std.lerp_(flat.std(0).clamp_min(1e-3), 1.0 - CODE_SCALE_DECAY)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of values where the mask of the same shape holds; 0 where it holds nowhere."""
    weight = mask.to(values.dtype)
    return (values * weight).sum() / weight.sum().clamp_min(1.0)
