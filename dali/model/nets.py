"""Building blocks: a dense layer with norm and activation, an MLP, and their initialisation."""

from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

CACHED = 2**21  # bytes of a core's second-level cache, about
NORM_EPS = 1e-3  # of all layer norms but the context encoder's


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
        """What F.linear makes of features (N, F), (N, units), for a weight (units, F)."""
        behind = self._behind(weight.shape[1])
        rest_weight = torch.cat([weight[:, : self.before], weight[:, behind:]], 1)
        return torch.addmm(sum_columns(weight[:, self.before : behind], self.columns), self.rest, rest_weight.t())

    def weight_gradient(self, grad: Tensor, width: int) -> Tensor:
        """The gradient (units, width) of the weight of ``times``, of that (N, units) of its result."""
        behind = self._behind(width)
        latents = grad.new_zeros(behind - self.before, grad.shape[1])
        # In parts that stay in the cache, since each row is read S times.
        rows = max(1, CACHED // (grad.shape[1] * grad.element_size()))
        for part, columns in zip(grad.split(rows), self.columns.split(rows), strict=True):
            for group in columns.unbind(1):
                latents.index_add_(0, group, part)
        rest = grad.t() @ self.rest
        return torch.cat([rest[:, : self.before], latents.t(), rest[:, self.before :]], 1)

    def _behind(self, width: int) -> int:
        """The first feature behind the latents, of ``width`` in all."""
        return self.before + width - self.rest.shape[1]


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
    @staticmethod
    def forward(ctx, features: Picked, weight: Tensor) -> Tensor:
        ctx.features, ctx.width = features, weight.shape[1]
        return features.times(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        return None, ctx.features.weight_gradient(grad, ctx.width)


class Normed(NamedTuple):
    """A layer norm's input (N, W), its statistics, its output, and SiLU of that."""

    x: Tensor
    mean: Tensor
    rstd: Tensor
    y: Tensor
    active: Tensor


def norm_act(x: Tensor, weight: Tensor, bias: Tensor) -> Normed:
    """Layer norm and SiLU of (..., W), for no gradient."""
    y, mean, rstd = torch.ops.aten.native_layer_norm(x, weight.shape, weight, bias, NORM_EPS)
    return Normed(x, mean, rstd, y, torch.sigmoid(y).mul_(y))  # in two thirds of the time that F.silu takes


def norm_act_backward(grad: Tensor, normed: Normed, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of input, weight and bias, of that of ``active``."""
    d_y = torch.ops.aten.silu_backward(grad, normed.y)
    return norm_backward(d_y, normed, weight, bias)


def norm_backward(grad: Tensor, normed: Normed, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of a layer norm's input, weight and bias, of that of its output."""
    return torch.ops.aten.native_layer_norm_backward(
        grad, normed.x, weight.shape, normed.mean, normed.rstd, weight, bias, (True, True, True)
    )


class _NormAct(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        normed = norm_act(x, weight, bias)
        ctx.save_for_backward(*normed[:4], weight, bias)
        return normed.active

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        x, mean, rstd, y, weight, bias = ctx.saved_tensors
        return norm_act_backward(grad, Normed(x, mean, rstd, y, y), weight, bias)


class NormAct(nn.Module):
    """Layer norm followed by SiLU, for (..., width)."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return _NormAct.apply(x, self.weight, self.bias)


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
        shape = x.rest.shape[:-1]
        product = _PickedProduct.apply(x.flatten(0, len(shape) - 1), first.weight)
        return self.out(self.body[1:](product)).unflatten(0, shape)

    @torch.no_grad()
    def evaluate(self, x: Features) -> tuple[Tensor, list[Normed]]:
        """(N, out) of (N, in), and what ``with_gradient`` needs of it; of a trunk with norms."""
        kept: list[Normed] = []
        for linear, norm in self._layers():
            product = x @ linear.weight.t() if isinstance(x, Tensor) else x.times(linear.weight)
            kept.append(norm_act(product, norm.weight, norm.bias))
            x = kept[-1].active
        return self.out(x), kept

    def with_gradient(self, x: Features, parts: list[tuple[Tensor, list[Normed]]]) -> Tensor:
        """(N, out) of (N, in) that was evaluated in parts before, with the gradient of the weights, not computed again.

        A policy is asked step by step, and all that it said is judged at once.
        """
        kept = [Normed(*map(torch.cat, zip(*layer, strict=True))) for layer in zip(*(k for _, k in parts), strict=True)]
        weights = [p for linear, norm in self._layers() for p in (linear.weight, norm.weight, norm.bias)]
        out = torch.cat([o for o, _ in parts])
        return _Evaluated.apply(x, out, kept, *weights, self.out.weight, self.out.bias)

    def _layers(self) -> list[tuple[nn.Linear, NormAct]]:
        layers = list(self.body)
        return cast(list[tuple[nn.Linear, NormAct]], list(zip(layers[::2], layers[1::2], strict=True)))


class _Evaluated(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Features, out: Tensor, kept: list[Normed], *weights: Tensor) -> Tensor:
        ctx.x, ctx.kept, ctx.weights = x, kept, weights
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        *layers, out_weight, _ = ctx.weights
        inputs = [ctx.x, *(k.active for k in ctx.kept)]
        grads = [grad.t() @ inputs[-1], grad.sum(0)]
        d_active = grad @ out_weight
        for n in reversed(range(len(ctx.kept))):
            weight, norm, bias = layers[3 * n : 3 * n + 3]
            d_product, d_norm, d_bias = norm_act_backward(d_active, ctx.kept[n], norm, bias)
            given = inputs[n]
            if isinstance(given, Tensor):
                d_weight = d_product.t() @ given
            else:
                d_weight = given.weight_gradient(d_product, weight.shape[1])
            grads = [d_weight, d_norm, d_bias, *grads]
            if n:
                d_active = d_product @ weight
        return None, None, None, *grads
