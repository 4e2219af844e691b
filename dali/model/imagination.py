"""The one rollout of the prior: used to train the behaviour and to dream counterfactuals.

Shapes: B batch, H horizon, A action, X context.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dali.model.dists import Draw, draw_at
from dali.model.rssm import LatentState
from dali.model.world_model import WorldModel

Policy = Callable[[Tensor, int], Tensor]  # features (B, .), step -> actions (B, A)


@dataclass(frozen=True)
class Imagined:
    """States 0..H (0 is the start) and the actions 0..H-1 between them."""

    states: LatentState  # (B, H + 1, ...)
    features: Tensor  # (B, H + 1, .)
    action: Tensor  # (B, H, A)


def imagine(
    model: WorldModel, start: LatentState, context: Tensor, policy: Policy, horizon: int, noise: Draw
) -> Imagined:
    """Dreams H steps with the context held.

    Args:
        start: (B, ...) posterior states. context: (B, X), already conditioned.
        policy: chooses the action from the features of each state.
        noise: (B, H, S) uniform numbers that pick the latents, None for their mode, or "mean".
    """
    state, states, features, actions = start, [start], [model.features(start, context)], []
    for t in range(horizon):
        action = policy(features[-1], t)
        state = model.imagine_step(state, action, context, draw_at(noise, t))
        actions.append(action)
        states.append(state)
        features.append(model.features(state, context))
    stacked = LatentState(torch.stack([s.deter for s in states], 1), torch.stack([s.stoch for s in states], 1))
    return Imagined(stacked, torch.stack(features, 1), torch.stack(actions, 1))
