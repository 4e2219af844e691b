"""Distributions and squashing functions of DreamerV3, as pure functions on tensors.

Noise comes in from outside, so that two rollouts can share it and a resumed run draws the same numbers.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from dali.model.shapes import Float, Int

# How a categorical latent is taken from its probabilities: by uniform numbers in [0, 1) that pick a class, as its mode
# (None), or as its mean, the probabilities themselves.
Draw = Float[Tensor, "..."] | Literal["mean"] | None


def draw_at(
    draw: Float[Tensor, "B T S"] | Literal["mean"] | None, t: int
) -> Float[Tensor, "B S"] | Literal["mean"] | None:
    """What serves step t of a draw for a sequence's latents."""
    return draw[:, t] if isinstance(draw, Tensor) else draw


def symexp(x: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """sign(x) (exp(|x|) - 1), the inverse of symlog (DreamerV3, eq. 9)."""
    return torch.sign(x) * torch.expm1(torch.abs(x))


def twohot_bins(bins: int) -> Float[Tensor, "bins"]:
    """The support, symexp-spaced from -symexp(20) to symexp(20) and exactly symmetric; bins must be odd.

    On the CPU, whatever device is the default: no checkpoint holds it, and an agent may be built without numbers.
    """
    half = symexp(torch.linspace(0.0, 20.0, (bins + 1) // 2, device="cpu"))
    return torch.cat([-half[1:].flip(0), half])


def twohot_mean(logits: Float[Tensor, "*B bins"], support: Float[Tensor, "bins"]) -> Float[Tensor, "*B"]:
    """Expected value of two-hot logits.

    The two halves are subtracted before they are multiplied by the huge outer bins, so that a uniform
    distribution gives exactly 0 (DreamerV3, appendix B).
    """
    probs = F.softmax(logits, -1)
    middle = support.shape[0] // 2
    return (probs[..., middle + 1 :] - probs[..., :middle].flip(-1)) @ support[middle + 1 :]


def twohot_loss(
    logits: Float[Tensor, "*B bins"], target: Float[Tensor, "*B"], support: Float[Tensor, "bins"]
) -> Float[Tensor, "*B"]:
    """Cross entropy of logits against scalars spread over their two nearest bins."""
    return twohot_losses(logits, target.unsqueeze(-1), support).squeeze(-1)


def twohot_losses(
    logits: Float[Tensor, "*B bins"], targets: Float[Tensor, "*B J"], support: Float[Tensor, "bins"]
) -> Float[Tensor, "*B J"]:
    """As ``twohot_loss`` against J targets each, for one softmax."""
    targets = targets.clamp(support[0], support[-1])
    above = torch.searchsorted(support, targets).clamp(1, support.shape[0] - 1)
    low, high = support[above - 1], support[above]
    weight_high = (targets - low) / (high - low)
    log_probs = F.log_softmax(logits, -1)
    low_chosen, high_chosen = log_probs.gather(-1, torch.cat([above - 1, above], -1)).chunk(2, -1)
    return -(low_chosen * (1.0 - weight_high) + high_chosen * weight_high)


def unimix_probs(logits: Float[Tensor, "*B C"], unimix: float) -> Float[Tensor, "*B C"]:
    """Softmax over the last axis mixed with a share of the uniform distribution."""
    return F.softmax(logits, -1) * (1.0 - unimix) + unimix / logits.shape[-1]


def sample_class(probs: Float[Tensor, "*B C"], noise: Float[Tensor, "*#B"] | None) -> Int[Tensor, "*B"]:
    """The class that ``sample_onehot`` picks."""
    if noise is None:
        return probs.argmax(-1)
    edges = probs.detach().cumsum(-1)[..., :-1]
    return (noise.unsqueeze(-1) >= edges).sum(-1)


def sample_onehot(
    probs: Float[Tensor, "*B C"], noise: Float[Tensor, "*#B"] | Literal["mean"] | None
) -> Float[Tensor, "*B C"]:
    """One-hot samples of probabilities, with straight-through gradients.

    Args:
        noise: uniform in [0, 1), turned into a class by the inverse distribution function; None takes the mode,
            "mean" the mean of the one-hot samples, which is ``probs``.
    """
    if isinstance(noise, str):
        return probs
    onehot = torch.zeros_like(probs).scatter_(-1, sample_class(probs, noise).unsqueeze(-1), 1.0)
    return onehot + (probs - probs.detach()) if probs.requires_grad else onehot


def categorical_kl(p: Float[Tensor, "*B S C"], q: Float[Tensor, "*B S C"]) -> Float[Tensor, "*B"]:
    """KL(p || q) of categorical probabilities, summed over S and C."""
    return (p * (p.log() - q.log())).sum((-2, -1))


def bounded_normal(raw: Float[Tensor, "*B U"]) -> tuple[Float[Tensor, "*B U//2"], Float[Tensor, "*B U//2"]]:
    """Mean in (-1, 1) and standard deviation in (0.1, 1) from raw outputs, DreamerV3's continuous actor."""
    mean, std = raw.chunk(2, -1)
    return torch.tanh(mean), 0.9 * torch.sigmoid(std + 2.0) + 0.1


def normal_log_prob(
    x: Float[Tensor, "*B A"], mean: Float[Tensor, "*B A"], std: Float[Tensor, "*B A"]
) -> Float[Tensor, "*B"]:
    """Log density of a diagonal normal, summed over the last axis."""
    return (-0.5 * ((x - mean) / std) ** 2 - std.log() - 0.5 * math.log(2 * math.pi)).sum(-1)


def normal_entropy(std: Float[Tensor, "*B A"]) -> Float[Tensor, "*B"]:
    """Entropy of a diagonal normal, summed over the last axis."""
    return (std.log() + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)
