"""Building blocks: a dense layer with norm and activation, an MLP, and their initialisation."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.body(x))
