"""Building blocks: a dense layer with norm and activation, an MLP, and their initialisation."""

from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from dali.model.shapes import Float, Int

CACHED = 2**21  # bytes of a core's second-level cache, about
NORM_EPS = 1e-3  # of all layer norms but the context encoder's


def init_weights(module: nn.Module, scale: float = 1.0) -> None:
    """Truncated normal with fan-average variance, as DreamerV3 does; scale 0 gives zeros. Biases start at 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d) and not layer.weight.is_meta:
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
    """Features (*B, I) without gradient, SC of which are one-hot latents of S groups: the columns of the ones.

    A layer then adds up S columns of its weight instead of multiplying by SC numbers of which S are not zero.
    """

    rest: Float[Tensor, "*B rest"]  # what lies before and behind the latents, side by side: I - SC
    columns: Int[Tensor, "*B S"]  # counted from the first of the latents
    before: int  # features that lie before the latents

    def __len__(self) -> int:
        return len(self.rest)

    def __getitem__(self, where: int | slice | tuple[int | slice, ...]) -> "Picked":
        return Picked(self.rest[where], self.columns[where], self.before)

    def transpose(self, first: int, second: int) -> "Picked":
        return Picked(self.rest.transpose(first, second), self.columns.transpose(first, second), self.before)

    def flatten(self, first: int, last: int) -> "Picked":
        """Leading axes as one."""
        return Picked(self.rest.flatten(first, last), self.columns.flatten(first, last), self.before)

    def times(self, weight: "SplitWeight") -> Float[Tensor, "N U"]:
        """What F.linear makes of features (N, I)."""
        looked_up = F.embedding_bag(self.columns, weight.latents, mode="sum")
        return torch.addmm(looked_up, self.rest, weight.rest.t())

    def split(self, weight: Float[Tensor, "U I"]) -> "SplitWeight":
        """A weight as ``times`` takes it."""
        behind = self._behind(weight.shape[1])
        rest = torch.cat([weight[:, : self.before], weight[:, behind:]], 1)
        return SplitWeight(rest, weight[:, self.before : behind].t().contiguous())

    def weight_gradient(self, grad: Float[Tensor, "N U"], width: int) -> Float[Tensor, "U {width}"]:
        """The gradient of the weight of ``times``, of that of its result, for ``width`` features."""
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


class SplitWeight(NamedTuple):
    """A layer's weight, taken apart for ``Picked``."""

    rest: Float[Tensor, "U rest"]
    latents: Float[Tensor, "SC U"]


Features = Float[Tensor, "*B I"] | Picked


def stack_in_time(features: list[Float[Tensor, "B I"] | Picked]) -> Float[Tensor, "B T I"] | Picked:
    """Features of T steps as one. They lie in the order of time, so that those of a span of it are a view."""
    if isinstance(features[0], Tensor):
        return torch.stack(cast(list[Tensor], features)).transpose(0, 1)
    picked = cast(list[Picked], features)
    rest, columns = torch.stack([p.rest for p in picked]), torch.stack([p.columns for p in picked])
    return Picked(rest, columns, picked[0].before).transpose(0, 1)


class _PickedProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Picked, weight: Float[Tensor, "U I"]) -> Float[Tensor, "N U"]:
        ctx.features, ctx.width = features, weight.shape[1]
        return features.times(features.split(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, "N U"]) -> tuple[None, Float[Tensor, "U I"]]:
        return None, ctx.features.weight_gradient(grad, ctx.width)


class Normed(NamedTuple):
    """A layer norm's input, its statistics, its output, and SiLU of that."""

    x: Float[Tensor, "*B W"]
    mean: Float[Tensor, "*B 1"]
    rstd: Float[Tensor, "*B 1"]
    y: Float[Tensor, "*B W"]
    active: Float[Tensor, "*B W"]


def norm_act(x: Float[Tensor, "*B W"], weight: Float[Tensor, "W"], bias: Float[Tensor, "W"]) -> Normed:
    """Layer norm and SiLU over W, for no gradient."""
    y, mean, rstd = torch.ops.aten.native_layer_norm(x, weight.shape, weight, bias, NORM_EPS)
    return Normed(x, mean, rstd, y, torch.sigmoid(y).mul_(y))  # in two thirds of the time that F.silu takes


def norm_act_backward(
    grad: Float[Tensor, "*B W"], normed: Normed, weight: Float[Tensor, "W"], bias: Float[Tensor, "W"]
) -> tuple[Float[Tensor, "*B W"], Float[Tensor, "W"], Float[Tensor, "W"]]:
    """Gradients of input, weight and bias, of that of ``active``."""
    d_y = torch.ops.aten.silu_backward(grad, normed.y)
    return norm_backward(d_y, normed, weight, bias)


def norm_backward(
    grad: Float[Tensor, "*B W"], normed: Normed, weight: Float[Tensor, "W"], bias: Float[Tensor, "W"]
) -> tuple[Float[Tensor, "*B W"], Float[Tensor, "W"], Float[Tensor, "W"]]:
    """Gradients of a layer norm's input, weight and bias, of that of its output."""
    return torch.ops.aten.native_layer_norm_backward(
        grad, normed.x, weight.shape, normed.mean, normed.rstd, weight, bias, (True, True, True)
    )


class _NormAct(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Float[Tensor, "*B W"], weight: Float[Tensor, "W"], bias: Float[Tensor, "W"]
    ) -> Float[Tensor, "*B W"]:
        normed = norm_act(x, weight, bias)
        ctx.save_for_backward(*normed[:4], weight, bias)
        return normed.active

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad: Float[Tensor, "*B W"]
    ) -> tuple[Float[Tensor, "*B W"], Float[Tensor, "W"], Float[Tensor, "W"]]:
        x, mean, rstd, y, weight, bias = ctx.saved_tensors
        return norm_act_backward(grad, Normed(x, mean, rstd, y, y), weight, bias)


class NormAct(nn.Module):
    """Layer norm followed by SiLU, over the last axis."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Float[Tensor, "*B W"]) -> Float[Tensor, "*B W"]:
        return _NormAct.apply(x, self.weight, self.bias)


def trunk(width_in: int, units: int, layers: int, norm: bool = True) -> nn.Sequential:
    """Dense layers with SiLU, and layer norm unless told otherwise: (*B, I) -> (*B, U)."""
    body: list[nn.Module] = []
    for i in range(layers):
        body.append(nn.Linear(width_in if i == 0 else units, units, bias=not norm))
        body.append(NormAct(units) if norm else nn.SiLU())
    net = nn.Sequential(*body)
    init_weights(net)
    return net


class MLP(nn.Module):
    """A trunk and a linear output."""

    def __init__(
        self, width_in: int, width_out: int, units: int, layers: int, out_scale: float = 1.0, norm: bool = True
    ):
        super().__init__()
        self.body = trunk(width_in, units, layers, norm)
        self.out = nn.Linear(units, width_out)
        init_weights(self.out, out_scale)

    def forward(self, x: Features) -> Float[Tensor, "*B U"]:
        if isinstance(x, Tensor):
            return self.out(self.body(x))
        first = cast(nn.Linear, self.body[0])
        shape = x.rest.shape[:-1]
        product = _PickedProduct.apply(x.flatten(0, len(shape) - 1), first.weight)
        return self.out(self.body[1:](product)).unflatten(0, shape)


class Evaluation:
    """A net's outputs at T steps, found one step after the other without gradient, and then their gradient at once.

    A policy is asked step by step, and all that it said is judged together. What the gradient needs is written where it
    stays, so that nothing is computed or copied again.
    """

    def __init__(self, net: MLP, steps: int, rows: int):
        """``net`` has norms; every step has the same number of rows."""
        self.net = net
        layers = list(net.body)
        self.layers = cast(list[tuple[nn.Linear, NormAct]], list(zip(layers[::2], layers[1::2], strict=True)))
        like = net.out.weight
        self.products = [like.new_empty(steps, rows, linear.out_features) for linear, _ in self.layers]
        self.active = [torch.empty_like(product) for product in self.products]
        self.out = like.new_empty(steps, rows, net.out.out_features)
        self.first: SplitWeight | None = None

    @torch.no_grad()
    def step(self, t: int, x: Float[Tensor, "N I"] | Picked) -> Float[Tensor, "N U"]:
        """Outputs of the features (N, I) of step t."""
        for (linear, norm), products, active in zip(self.layers, self.products, self.active, strict=True):
            if isinstance(x, Tensor):
                torch.mm(x, linear.weight.t(), out=products[t])
            else:
                self.first = self.first or x.split(linear.weight)
                products[t] = x.times(self.first)
            y = torch.ops.aten.native_layer_norm(products[t], norm.weight.shape, norm.weight, norm.bias, NORM_EPS)[0]
            x = torch.mul(torch.sigmoid(y), y, out=active[t])
        return torch.addmm(self.net.out.bias, cast(Tensor, x), self.net.out.weight.t(), out=self.out[t])

    def with_gradient(self, x: Float[Tensor, "TN I"] | Picked) -> Float[Tensor, "TN U"]:
        """All outputs of the features (TN, I) of all steps, with the gradient of the weights."""
        weights = [p for linear, norm in self.layers for p in (linear.weight, norm.weight, norm.bias)]
        return _Evaluated.apply(self, x, *weights, self.net.out.weight, self.net.out.bias)


class _Evaluated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, evaluation: Evaluation, x: Float[Tensor, "TN I"] | Picked, *weights: Float[Tensor, "..."]
    ) -> Float[Tensor, "TN U"]:
        ctx.evaluation, ctx.x = evaluation, x
        ctx.save_for_backward(*weights)
        return evaluation.out.flatten(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, "TN U"]) -> tuple[Float[Tensor, "..."] | None, ...]:
        *layers, out_weight, _ = ctx.saved_tensors
        products, active = ([x.flatten(0, 1) for x in xs] for xs in (ctx.evaluation.products, ctx.evaluation.active))
        grads = [grad.t() @ active[-1], grad.sum(0)]
        d_active = grad @ out_weight
        for n in reversed(range(len(products))):
            weight, norm, bias = layers[3 * n : 3 * n + 3]
            y, mean, rstd = torch.ops.aten.native_layer_norm(products[n], norm.shape, norm, bias, NORM_EPS)
            normed = Normed(products[n], mean, rstd, y, active[n])
            d_product, d_norm, d_bias = norm_act_backward(d_active, normed, norm, bias)
            given = active[n - 1] if n else ctx.x
            if isinstance(given, Tensor):
                d_weight = d_product.t() @ given
            else:
                d_weight = given.weight_gradient(d_product, weight.shape[1])
            grads = [d_weight, d_norm, d_bias, *grads]
            if n:
                d_active = d_product @ weight
        return None, None, *grads
