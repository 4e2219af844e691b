"""Distributions and squashing functions of DreamerV3, as pure functions on tensors.

Noise comes in from outside, so that two rollouts can share it and a resumed run draws the same numbers.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

# How a categorical latent is taken from its probabilities: by uniform numbers in [0, 1) that pick a class, as its mode
# (None), or as its mean, the probabilities themselves.
Draw = Tensor | Literal["mean"] | None


def draw_at(draw: Draw, t: int) -> Draw:
    """What serves step t of a draw for (B, T, ...) latents."""
    return draw[:, t] if isinstance(draw, Tensor) else draw


def symexp(x: Tensor) -> Tensor:
    """sign(x) (exp(|x|) - 1), the inverse of symlog (DreamerV3, eq. 9)."""
    return torch.sign(x) * torch.expm1(torch.abs(x))


def twohot_bins(bins: int) -> Tensor:
    """(bins,) support, symexp-spaced from -symexp(20) to symexp(20) and exactly symmetric; bins must be odd.

    On the CPU, whatever device is the default: no checkpoint holds it, and an agent may be built without numbers.
    """
    half = symexp(torch.linspace(0.0, 20.0, (bins + 1) // 2, device="cpu"))
    return torch.cat([-half[1:].flip(0), half])


def twohot_mean(logits: Tensor, support: Tensor) -> Tensor:
    """Expected value (...,) of two-hot logits (..., bins).

    The two halves are subtracted before they are multiplied by the huge outer bins, so that a uniform
    distribution gives exactly 0 (DreamerV3, appendix B).
    """
    probs = F.softmax(logits, -1)
    middle = support.shape[0] // 2
    return (probs[..., middle + 1 :] - probs[..., :middle].flip(-1)) @ support[middle + 1 :]


def twohot_loss(logits: Tensor, target: Tensor, support: Tensor) -> Tensor:
    """Cross entropy (...,) of logits (..., bins) against scalars (...,) spread over their two nearest bins."""
    return twohot_losses(logits, target.unsqueeze(-1), support).squeeze(-1)


def twohot_losses(logits: Tensor, targets: Tensor, support: Tensor) -> Tensor:
    """As ``twohot_loss`` against M targets (..., M) each, for one softmax: (..., M)."""
    targets = targets.clamp(support[0], support[-1])
    above = torch.searchsorted(support, targets).clamp(1, support.shape[0] - 1)
    low, high = support[above - 1], support[above]
    weight_high = (targets - low) / (high - low)
    log_probs = F.log_softmax(logits, -1)
    low_chosen, high_chosen = log_probs.gather(-1, torch.cat([above - 1, above], -1)).chunk(2, -1)
    return -(low_chosen * (1.0 - weight_high) + high_chosen * weight_high)


def unimix_probs(logits: Tensor, unimix: float) -> Tensor:
    """Softmax over the last axis mixed with a share of the uniform distribution."""
    return F.softmax(logits, -1) * (1.0 - unimix) + unimix / logits.shape[-1]


def sample_class(probs: Tensor, noise: Tensor | None) -> Tensor:
    """The class (...,) that ``sample_onehot`` picks."""
    if noise is None:
        return probs.argmax(-1)
    edges = probs.detach().cumsum(-1)[..., :-1]
    return (noise.unsqueeze(-1) >= edges).sum(-1)


def sample_onehot(probs: Tensor, noise: Draw) -> Tensor:
    """One-hot samples (..., C) of probs (..., C), with straight-through gradients.

    Args:
        noise: (...,) uniform in [0, 1), turned into a class by the inverse distribution function; None takes the mode,
            "mean" the mean of the one-hot samples, which is ``probs``.
    """
    if isinstance(noise, str):
        return probs
    onehot = torch.zeros_like(probs).scatter_(-1, sample_class(probs, noise).unsqueeze(-1), 1.0)
    return onehot + (probs - probs.detach()) if probs.requires_grad else onehot


def categorical_kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) of categorical probabilities (..., S, C), summed over S and C: (...)."""
    return (p * (p.log() - q.log())).sum((-2, -1))


def bounded_normal(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Mean in (-1, 1) and standard deviation in (0.1, 1) from raw outputs (..., 2A), DreamerV3's continuous actor."""
    mean, std = raw.chunk(2, -1)
    return torch.tanh(mean), 0.9 * torch.sigmoid(std + 2.0) + 0.1


def normal_log_prob(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Log density of a diagonal normal, summed over the last axis: (...)."""
    return (-0.5 * ((x - mean) / std) ** 2 - std.log() - 0.5 * math.log(2 * math.pi)).sum(-1)


def normal_entropy(std: Tensor) -> Tensor:
    """Entropy of a diagonal normal, summed over the last axis: (...)."""
    return (std.log() + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)
