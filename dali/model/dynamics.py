"""The dynamics ensemble: one-step models that predict the next observation from (o_t, a_t, context).

    ô_{t+1} = o_t + sigma_Delta f_m(o_t, a_t, c)                      m = 1..M members

They serve twice: their mean, rolled out, is the dream engine ``dynamics``, whose members' spread says how far they
agree; and what the first member expects of the decoded observation is part of the recurrent state of a world model
with ``model.expectation`` (dali.model.rssm).

No norm anywhere: a string that pulls from a fixed length on is a kink at a fixed place, and a unit behind a layer norm
sees ratios, in which that place moves (docs/experiments.md). The forward dynamics f_w that train the code are a module
of their own (dali.model.context), so that the code does not depend on how long these are trained.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dali.model.normalizer import Normalizer
from dali.model.shapes import Float


class DynamicsEnsemble(nn.Module):
    """M networks of the same size, evaluated as one batched matrix product a layer."""

    def __init__(self, obs_dim: int, action_dim: int, context: int, units: int, layers: int, members: int):
        super().__init__()
        self.members = members
        widths = [obs_dim + action_dim + context, *[units] * layers, obs_dim]
        self.weights = nn.ParameterList(_uniform(members, a, (a, b)) for a, b in pairwise(widths))
        self.biases = nn.ParameterList(_uniform(members, a, (1, b)) for a, b in pairwise(widths))

    def changes(
        self,
        obs: Float[Tensor, "M N O"],
        action: Float[Tensor, "M N A"],
        context: Float[Tensor, "M N X"],
        scales: Normalizer,
    ) -> Float[Tensor, "M N O"]:
        """The changes, in sigma_Delta, that each member expects of its own transitions."""
        x = torch.cat([scales.normalize(obs), action, context], -1)
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            x = F.silu(x) if layer < last else x
        return x

    def step(
        self, obs: Float[Tensor, "N O"], action: Float[Tensor, "N A"], context: Float[Tensor, "N X"], scales: Normalizer
    ) -> Float[Tensor, "M N O"]:
        """The next raw observations that each member expects of the same transitions."""
        each = self.members, -1, -1
        return obs + scales.delta_std * self.changes(
            obs.expand(each), action.expand(each), context.expand(each), scales
        )

    @torch.no_grad()
    def first_change(
        self, obs: Float[Tensor, "*B O"], action: Float[Tensor, "*B A"], context: Float[Tensor, "*B X"]
    ) -> Float[Tensor, "*B O"]:
        """The change, in sigma_Delta, that the first member expects of normalized observations; for no gradient."""
        x = torch.cat([obs, action, context], -1)
        shape, x = x.shape[:-1], x.flatten(0, -2)
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.addmm(bias[0], x, weight[0])
            x = torch.sigmoid(x).mul_(x) if layer < last else x
        return x.unflatten(0, shape)

    def loss(
        self,
        obs: Float[Tensor, "M N O"],
        action: Float[Tensor, "M N A"],
        following: Float[Tensor, "M N O"],
        context: Float[Tensor, "M N X"],
        scales: Normalizer,
    ) -> Float[Tensor, "M N"]:
        """Mean over O of || (o_{t+1} - ô_{t+1}) / sigma_Delta ||^2, of each member's own transitions."""
        change = self.changes(obs, action, context, scales)
        return (((following - obs) / scales.delta_std - change) ** 2).mean(-1)


def _uniform(members: int, inputs: int, shape: tuple[int, int]) -> nn.Parameter:
    """(M, *shape) numbers within 1 / sqrt(inputs), torch's own choice for a linear layer."""
    bound = inputs**-0.5
    return nn.Parameter(torch.empty(members, *shape).uniform_(-bound, bound))
