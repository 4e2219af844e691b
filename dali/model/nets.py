"""Building blocks: a dense layer with norm and activation, an MLP, and their initialisation."""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CACHED = 2**21  # bytes of a core's second-level cache, about


def init_weights(module: nn.Module, scale: float = 1.0) -> None:
    """Truncated normal with fan-average variance, as DreamerV3 does; scale 0 gives zeros. Biases start at 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            if scale == 0.0:
                nn.init.zeros_(layer.weight)
            else:
                inputs, outputs = layer.weight.shape[:2]
                fan = (inputs + outputs) / 2 * layer.weight[0, 0].numel()
                std = (scale / fan) ** 0.5 / 0.87962566103423978  # the truncation at two sigma narrows by this factor
                nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


@dataclass(frozen=True)
class Picked:
    """Features (..., F) without gradient, S C of which are one-hot latents of S groups: the columns of the ones.

    A layer then adds up S columns of its weight instead of multiplying by S C numbers of which S are not zero.
    """

    rest: Tensor  # (..., F - S C): what lies before and behind the latents, side by side
    columns: Tensor  # (..., S), counted from the first of the latents
    before: int  # features that lie before the latents

    def __len__(self) -> int:
        return len(self.rest)

    def __getitem__(self, where) -> "Picked":
        return Picked(self.rest[where], self.columns[where], self.before)

    def transpose(self, first: int, second: int) -> "Picked":
        return Picked(self.rest.transpose(first, second), self.columns.transpose(first, second), self.before)

    def flatten(self, first: int, last: int) -> "Picked":
        """Leading axes as one."""
        return Picked(self.rest.flatten(first, last), self.columns.flatten(first, last), self.before)

    def times(self, weight: Tensor) -> Tensor:
        """What F.linear makes of the features, (..., units), for a weight (units, F)."""
        flat = _PickedProduct.apply(self.rest.flatten(0, -2), self.columns.flatten(0, -2), weight, self.before)
        return flat.unflatten(0, self.rest.shape[:-1])


Features = Tensor | Picked


def stack_in_time(features: list[Features]) -> Features:
    """(B, T, F) of T features (B, F). They lie in the order of time, so that those of a span of it are a view."""
    if isinstance(features[0], Tensor):
        return torch.stack(cast(list[Tensor], features)).transpose(0, 1)
    picked = cast(list[Picked], features)
    rest, columns = torch.stack([p.rest for p in picked]), torch.stack([p.columns for p in picked])
    return Picked(rest, columns, picked[0].before).transpose(0, 1)


def sum_columns(weight: Tensor, columns: Tensor) -> Tensor:
    """(M, units), sums of the columns (M, S) of a weight (units, n)."""
    return F.embedding_bag(columns, weight.t().contiguous(), mode="sum")


class _PickedProduct(torch.autograd.Function):
    """The product of ``Picked.times``; a weight's gradient is found by adding rows where the ones are."""

    @staticmethod
    def forward(ctx, rest: Tensor, columns: Tensor, weight: Tensor, before: int) -> Tensor:
        ctx.save_for_backward(rest, columns)
        ctx.before, ctx.shape = before, weight.shape
        behind = before + weight.shape[1] - rest.shape[1]
        dense = torch.cat([weight[:, :before], weight[:, behind:]], 1)
        return torch.addmm(sum_columns(weight[:, before:behind], columns), rest, dense.t())

    @staticmethod
    def backward(ctx, grad: Tensor):
        rest, columns = ctx.saved_tensors
        before, (units, width) = ctx.before, ctx.shape
        behind = before + width - rest.shape[1]
        latents = grad.new_zeros(behind - before, units)
        # In parts that stay in the cache, since each row is read S times.
        rows = max(1, CACHED // (units * grad.element_size()))
        for part, where in zip(grad.split(rows), columns.split(rows), strict=True):
            for group in where.unbind(1):
                latents.index_add_(0, group, part)
        dense = grad.t() @ rest
        return None, None, torch.cat([dense[:, :before], latents.t(), dense[:, before:]], 1), None


class NormAct(nn.Module):
    """Layer norm followed by SiLU, for (..., width)."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(F.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-3))


def trunk(width_in: int, units: int, layers: int, norm: bool = True) -> nn.Sequential:
    """Dense layers with SiLU, and layer norm unless told otherwise: (..., in) -> (..., units)."""
    body: list[nn.Module] = []
    for i in range(layers):
        body.append(nn.Linear(width_in if i == 0 else units, units, bias=not norm))
        body.append(NormAct(units) if norm else nn.SiLU())
    net = nn.Sequential(*body)
    init_weights(net)
    return net


class MLP(nn.Module):
    """A trunk and a linear output: (..., in) -> (..., out)."""

    def __init__(
        self, width_in: int, width_out: int, units: int, layers: int, out_scale: float = 1.0, norm: bool = True
    ):
        super().__init__()
        self.body = trunk(width_in, units, layers, norm)
        self.out = nn.Linear(units, width_out)
        init_weights(self.out, out_scale)

    def forward(self, x: Features) -> Tensor:
        if isinstance(x, Tensor):
            return self.out(self.body(x))
        first = cast(nn.Linear, self.body[0])
        return self.out(self.body[1:](x.times(first.weight)))
