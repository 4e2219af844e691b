"""What trains the world model, and with it the code's cross-modal term and the dynamics ensemble."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dali.config import TrainConfig
from dali.model.batch import Batch
from dali.model.context_losses import infer_context, masked_mean, window_context
from dali.model.conv import picture_error
from dali.model.dists import twohot_loss
from dali.model.rssm import LatentState, kl_losses
from dali.model.shapes import Bool, Float
from dali.model.world_model import WorldModel


@dataclass(frozen=True)
class WorldModelOutput:
    """What one update of the world model leaves for the behaviour and the log."""

    loss: Float[Tensor, ""]  # world model and context encoder together
    states: LatentState  # (B, T, ...), attached
    context: Float[Tensor, "B T X"]  # detached
    mask: Bool[Tensor, "B T"]  # records that were learnt from
    metrics: dict[str, Float[Tensor, ""]]  # detached


def world_model_loss(
    model: WorldModel,
    batch: Batch,
    state: LatentState,
    train: TrainConfig,
    generator: torch.Generator,
    learn_code: bool = True,
) -> WorldModelOutput:
    """Everything that trains the world model and, if ``learn_code``, the context encoder and the dynamics ensemble.

    Args:
        state: (B, ...) before each sequence's first record.
    """
    inferred = infer_context(model, batch, train, generator, learn_code)
    context, mask = _swap_context(model, inferred.context, batch.mask, train, generator)
    noise = model.latent_noise(*batch.mask.shape, generator=generator)
    states, posterior = model.observe(batch.obs, batch.prev_action, context, state, noise)
    # Rule: only the posterior of a shallow method hands its gradient to the context encoder.
    features = model.features(states, context.detach())
    decoded = model.decode_normalized(features)

    dyn, rep = kl_losses(posterior, model.rssm.prior(states.deter), train.free_nats)
    per_record = {
        "reconstruction": (train.reconstruction, ((decoded - model.normalizer.normalize(batch.obs)) ** 2).sum(-1)),
        "reward": (1.0, twohot_loss(model.reward(features), batch.reward, model.support) * ~batch.first),
        "continue": (1.0, _continue_loss(model.cont(features), batch.terminal)),
        "dyn": (train.dyn, dyn),
        "rep": (train.rep, rep),
    }
    learns_code = inferred.code is not None and learn_code
    if inferred.code is not None and learn_code and model.cross_modal is not None:
        per_record["cross_modal"] = (train.cross_modal, model.cross_modal.loss(inferred.code, states.stoch))
    terms = {name: (weight, masked_mean(term, mask)) for name, (weight, term) in per_record.items()}
    if train.dream_steps:
        dreamed = dream_loss(model, batch, states, inferred.context.detach(), mask, train, generator)
        terms["dream"] = (train.reconstruction * train.dream, dreamed)
    if model.ensemble is not None and learn_code:
        terms["ensemble"] = (train.reconstruction, ensemble_loss(model, batch))
    if model.autoencoder is not None:
        terms["pixels"] = (train.pixels, _pixel_loss(model, decoded, batch, mask))
    if learns_code:
        # L_FD and the decoder's loss are errors of observations on one scale. At weight 1, L_cross would rule the code.
        terms["forward_dynamics"] = (train.reconstruction, inferred.loss)
    loss = torch.stack([weight * term for weight, term in terms.values()]).sum()
    metrics = {f"loss/{name}": term.detach() for name, (_, term) in terms.items()}
    return WorldModelOutput(loss, states, context.detach(), mask, metrics)


def _continue_loss(logits: Float[Tensor, "B T 1"], terminal: Bool[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """Cross entropy of the continue head's logits."""
    return F.binary_cross_entropy_with_logits(logits.squeeze(-1), 1.0 - terminal.float(), reduction="none")


def _swap_context(
    model: WorldModel,
    context: Float[Tensor, "B T X"],
    mask: Bool[Tensor, "B T"],
    train: TrainConfig,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "B T X"], Bool[Tensor, "B T"]]:
    """Gives the first records of some sequences the context of another row; returns it, and the mask without them.

    A counterfactual changes the context of a state that was filtered under another. A model that has seen each state
    under one context only may keep that in h and go by it. Nothing is learnt from the swapped records but the state
    that they lead to. Shallow methods filter again under the changed context, so nothing is swapped.
    """
    if not model.deep or not train.context_swap:
        return context, mask
    size, time = mask.shape
    swapped = torch.rand(size, generator=generator, device=mask.device) < train.context_swap
    records = torch.randint(1, time // 2 + 1, (size,), generator=generator, device=mask.device) * swapped
    early = torch.arange(time, device=mask.device) < records.unsqueeze(1)  # (B, T)
    return torch.where(early.unsqueeze(-1), context.roll(1, 0), context), mask & ~early


def dream_loss(
    model: WorldModel,
    batch: Batch,
    states: LatentState,
    context: Float[Tensor, "B T X"],
    mask: Bool[Tensor, "B T"],
    train: TrainConfig,
    generator: torch.Generator,
) -> Float[Tensor, ""]:
    """Imagination reconstruction: what a few steps of the prior decode to, against the data.

    A KL between categoricals is a poor regression loss: the posterior can hold an observation far more exactly than the
    prior ever learns to hit it (docs/experiments.md). So from one posterior state a sequence the prior is rolled under
    the recorded actions and the sequence's own context, held. Where the first records had another row's context, the
    dream starts at the last of those: the state is of one physics, the dream of another, as in a counterfactual.

    Returns:
        Squared error in standard deviations, summed over O, mean over steps.
    """
    size, time = batch.mask.shape
    horizon, rows = train.dream_steps, torch.arange(size, device=mask.device)
    latest = time - 1 - horizon
    drawn = torch.randint(0, latest + 1, (size,), generator=generator, device=mask.device)
    swapped = (batch.mask & ~mask).sum(1)
    start = torch.where(swapped > 0, (swapped - 1).clamp_max(latest), drawn)
    noise = model.latent_noise(size, horizon, generator=generator)
    each = rows.unsqueeze(1), start.unsqueeze(1) + torch.arange(1, horizon + 1, device=mask.device)  # (B, H)
    held = context[:, -1]
    dreamed = model.imagine(states.index(rows, start), batch.prev_action[each], held, noise)
    decoded = model.decode_normalized(model.features(dreamed, held.unsqueeze(1).expand(-1, horizon, -1)))
    error = ((decoded - model.normalizer.normalize(batch.obs[each])) ** 2).sum(-1)
    return masked_mean(error, batch.mask[each])


def ensemble_loss(model: WorldModel, batch: Batch) -> Float[Tensor, ""]:
    """Mean one-step error of the ensemble's members, each on its own share of the batch's target transitions.

    The context is the whole window's code, without gradient, or the given one.
    """
    assert model.ensemble is not None
    members = model.ensemble.members
    share = batch.target_obs.shape[1] // members

    def shared_out(values: Float[Tensor, "B J I"]) -> Float[Tensor, "M N I"]:  # N = B J / M
        return values[:, : share * members].unflatten(1, (members, share)).transpose(0, 1).flatten(1, 2)

    held = window_context(model, batch).unsqueeze(1).expand(-1, batch.target_obs.shape[1], -1)
    error = model.ensemble.loss(
        shared_out(batch.target_obs),
        shared_out(batch.target_action),
        shared_out(batch.target_next),
        shared_out(held),
        model.normalizer,
    )
    usable = batch.target_mask.repeat_interleave(share).expand(members, -1)
    return masked_mean(error, usable)


def _pixel_loss(
    model: WorldModel, decoded: Float[Tensor, "B T O"], batch: Batch, mask: Bool[Tensor, "B T"]
) -> Float[Tensor, ""]:
    """Squared error of pixels in [0, 1], summed over a picture, on some of the decoded records."""
    assert model.autoencoder is not None
    chosen = model.normalizer.denormalize(decoded[batch.frame_row, batch.frame_step])[:, : model.autoencoder.embedding]
    error = picture_error(model.autoencoder.decode(chosen), batch.frames)
    return masked_mean(error, mask[batch.frame_row, batch.frame_step])
