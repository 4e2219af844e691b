"""The imagined trajectories that the behaviour is trained on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dali.model.dists import draw_at
from dali.model.nets import Features, stack_in_time
from dali.model.rssm import LatentState, PickedState
from dali.model.shapes import Float
from dali.model.world_model import WorldModel

Policy = Callable[[Features, int], Float[Tensor, "B A"]]  # features (B, I), step -> actions


@dataclass(frozen=True)
class Imagined:
    """Features of the states 0..H (0 is the start) and the actions 0..H-1 between them."""

    features: Features  # (B, H + 1, I)
    action: Float[Tensor, "B H A"]


@torch.no_grad()
def imagine(
    model: WorldModel,
    start: LatentState | PickedState,
    context: Float[Tensor, "B X"],
    policy: Policy,
    horizon: int,
    noise: Float[Tensor, "#B {horizon} S"] | Literal["mean"] | None,
) -> Imagined:
    """Dreams H steps with the context held, for no gradient of the dream; what the policy evaluates is its own affair.

    Args:
        start: (B, ...) posterior states. context: already conditioned.
        policy: chooses the action from the features of each state.
        noise: uniform numbers that pick the latents, None for their mode, or "mean".
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
