"""The one rollout of the prior: used to train the behaviour and to dream counterfactuals.

Shapes: B batch, H horizon, A action, X context.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dali.model.dists import Draw, draw_at
from dali.model.nets import Features, stack_in_time
from dali.model.rssm import LatentState, PickedState
from dali.model.world_model import WorldModel

Policy = Callable[[Features, int], Tensor]  # features (B, .), step -> actions (B, A)


@dataclass(frozen=True)
class Imagined:
    """Features of the states 0..H (0 is the start) and the actions 0..H-1 between them."""

    features: Features  # (B, H + 1, .)
    action: Tensor  # (B, H, A)


@torch.no_grad()
def imagine(
    model: WorldModel, start: LatentState | PickedState, context: Tensor, policy: Policy, horizon: int, noise: Draw
) -> Imagined:
    """Dreams H steps with the context held, for no gradient of the dream; what the policy evaluates is its own affair.

    Args:
        start: (B, ...) posterior states. context: (B, X), already conditioned.
        policy: chooses the action from the features of each state.
        noise: (B, H, S) uniform numbers that pick the latents, None for their mode, or "mean".
    """
    state, weights = start, model.rssm.prior_weights()
    features: list[Features] = [model.features(start, context)]
    actions: list[Tensor] = []
    for t in range(horizon):
        action = policy(features[-1], t)
        state = model.imagine_step(state, action, context, draw_at(noise, t), weights)
        actions.append(action)
        features.append(model.features(state, context))
    return Imagined(stack_in_time(features), torch.stack(actions, 1))
