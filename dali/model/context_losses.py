"""What trains the context encoder, and the context that a batch gets of it.

The code of one window of an episode must predict transitions of another (L_FD, ``_codes_across``), or, with pairing
"same", those of the very window (``_own_codes``). L_cross, which reads latent states besides, is added by
dali.model.losses.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dali.config import TrainConfig
from dali.model.batch import Batch
from dali.model.shapes import Bool, Float
from dali.model.world_model import WorldModel

CODE_SCALE_DECAY = 0.99  # of the running code scale; an update moves it by 1 %
SHORTEST_WINDOW = 4  # transitions; fewer say next to nothing about the physics


@dataclass(frozen=True)
class InferredContext:
    """The context of a batch, and what it was made from."""

    context: Float[Tensor, "B T X"]  # as the networks read it
    code: Float[Tensor, "B T Z"] | None  # of a method that infers one
    loss: Float[Tensor, ""]  # L_FD; 0 where nothing is learnt


def context_loss(model: WorldModel, batch: Batch, train: TrainConfig, generator: torch.Generator) -> Float[Tensor, ""]:
    """L_FD alone: what trains the code before there is a world model."""
    return infer_context(model, batch, train, generator).loss


def infer_context(
    model: WorldModel, batch: Batch, train: TrainConfig, generator: torch.Generator, learn: bool = True
) -> InferredContext:
    """The context of each sequence. Without ``learn`` a code carries no gradient and its loss is 0."""
    size = batch.mask.shape
    nothing = batch.obs.new_zeros(())
    if model.method.source == "none":
        return InferredContext(batch.obs.new_zeros(*size, 0), None, nothing)
    if model.method.source == "given":
        return InferredContext(batch.context.unsqueeze(1).expand(*size, -1), None, nothing)
    infer = _own_codes if train.pairing == "same" else _codes_across
    with torch.set_grad_enabled(learn and torch.is_grad_enabled()):
        code, loss = infer(model, batch, train, generator, learn)
    _track_code_scale(model, code)
    used = code if model.method.shallow else code.detach()
    return InferredContext(model.condition(used), code, loss)


def _codes_across(
    model: WorldModel, batch: Batch, train: TrainConfig, generator: torch.Generator, learn: bool
) -> tuple[Float[Tensor, "B T Z"], Float[Tensor, ""]]:
    """A code of another window of the episode, held for the sequence; and L_FD.

    The window is cut at L lengths, and each of their codes must predict transitions from outside the window. The
    first, which the world model gets, is mostly of the whole window: a code that is often too short to know is one to
    be trusted less (docs/experiments.md).
    """
    size, time = batch.mask.shape
    lengths = train.context_lengths if learn else 1
    longest = batch.window_length.unsqueeze(1)  # (B, 1), transitions in the window
    shortest = longest.clamp_max(SHORTEST_WINDOW)
    share = torch.rand(size, lengths, generator=generator, device=longest.device)
    cut = shortest + (share * (longest - shortest + 1)).long()
    whole = torch.rand(size, 1, generator=generator, device=longest.device) < train.context_whole
    cut = torch.cat([torch.where(whole, longest, cut[:, :1]), cut[:, 1:]], 1).clamp_max(longest)
    tokens = model.tokens(batch.window_obs, batch.window_action, batch.window_first)
    codes = model.context_encoder.at(tokens, batch.window_first, cut)  # (B, L, Z); step n follows n transitions
    held = codes[:, :1].expand(-1, time, -1)
    if not learn:
        return held, codes.new_zeros(())
    targets = batch.target_obs.shape[1]
    error = model.forward_dynamics.loss(
        batch.target_obs.unsqueeze(1).expand(-1, lengths, -1, -1),
        batch.target_action.unsqueeze(1).expand(-1, lengths, -1, -1),
        batch.target_next.unsqueeze(1).expand(-1, lengths, -1, -1),
        codes.unsqueeze(2).expand(-1, -1, targets, -1),
        model.normalizer,
    )  # (B, L, J)
    return held, masked_mean(error.mean((1, 2)), batch.target_mask)


def _own_codes(
    model: WorldModel, batch: Batch, train: TrainConfig, generator: torch.Generator, learn: bool
) -> tuple[Float[Tensor, "B T Z"], Float[Tensor, ""]]:
    """The paper's literal pairing: z_t of the very window that ends at t, for every step; and L_FD."""
    steps = batch.window_offset.unsqueeze(1) + torch.arange(batch.mask.shape[1], device=batch.obs.device)
    tokens = model.tokens(batch.window_obs, batch.window_action, batch.window_first)
    own = model.context_encoder.at(tokens, batch.window_first, steps)
    if not learn:
        return own, own.new_zeros(())
    per_transition = model.forward_dynamics.loss(
        batch.obs[:, :-1], batch.prev_action[:, 1:], batch.obs[:, 1:], own[:, :-1], model.normalizer
    )
    return own, masked_mean(per_transition, batch.mask[:, 1:])


@torch.no_grad()
def window_context(model: WorldModel, batch: Batch) -> Float[Tensor, "B X"]:
    """The context without gradient: of the whole window's code, or the given one, or none."""
    if not model.method.infers_context:
        return batch.context if model.method.source == "given" else batch.context[:, :0]
    tokens = model.tokens(batch.window_obs, batch.window_action, batch.window_first)
    last = batch.window_length.unsqueeze(1)
    return model.condition(model.context_encoder.at(tokens, batch.window_first, last).squeeze(1))


@torch.no_grad()
def _track_code_scale(model: WorldModel, code: Float[Tensor, "B T Z"]) -> None:
    if not model.training:
        return
    flat = code.reshape(-1, code.shape[-1])
    model.code_mean.lerp_(flat.mean(0), 1.0 - CODE_SCALE_DECAY)
    model.code_std.lerp_(flat.std(0).clamp_min(1e-3), 1.0 - CODE_SCALE_DECAY)


def masked_mean(values: Float[Tensor, "*B"], mask: Bool[Tensor, "*B"]) -> Float[Tensor, ""]:
    """Mean of values where the mask holds; 0 where it holds nowhere."""
    weight = mask.to(values.dtype)
    return (values * weight).sum() / weight.sum().clamp_min(1.0)
