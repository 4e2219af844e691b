"""Running scales of the data: what an observation's dimensions and their one-step changes measure."""

import numpy as np
import torch
from torch import Tensor, nn

from dali.model.shapes import Float


class Normalizer(nn.Module):
    """Mean and standard deviation of observations and the scale of one-step changes, per dimension.

    Cumulative over the transitions of the prefill, then left alone. They are buffers: saved with the model, never
    trained. ``delta_std`` is sigma_Delta of the context encoder's losses.
    """

    obs_mean: Float[Tensor, "O"]
    obs_std: Float[Tensor, "O"]
    delta_std: Float[Tensor, "O"]
    sums: Float[Tensor, "3 O"]
    count: Float[Tensor, ""]

    def __init__(self, obs_dim: int):
        super().__init__()
        self.register_buffer("obs_mean", torch.zeros(obs_dim))
        self.register_buffer("obs_std", torch.ones(obs_dim))
        self.register_buffer("delta_std", torch.ones(obs_dim))
        self.register_buffer("sums", torch.zeros(3, obs_dim, dtype=torch.float64))  # o, o^2, delta^2
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    def update(
        self, observation: Float[np.ndarray | Tensor, "N O"], following: Float[np.ndarray | Tensor, "N O"]
    ) -> None:
        """Takes in transitions o_t -> o_{t+1}."""
        obs = torch.as_tensor(observation, dtype=torch.float64)
        delta = torch.as_tensor(following, dtype=torch.float64) - obs
        self.sums += torch.stack([obs.sum(0), (obs**2).sum(0), (delta**2).sum(0)]).to(self.sums.device)
        self.count += obs.shape[0]
        mean, square, delta_square = self.sums / self.count
        self.obs_mean.copy_(mean)
        self.obs_std.copy_((square - mean**2).clamp_min(1e-8).sqrt().clamp_min(1e-3))
        self.delta_std.copy_(delta_square.sqrt().clamp_min(1e-4))

    def normalize(self, observation: Float[Tensor, "*B O"]) -> Float[Tensor, "*B O"]:
        return (observation - self.obs_mean) / self.obs_std

    def denormalize(self, normalized: Float[Tensor, "*B O"]) -> Float[Tensor, "*B O"]:
        return normalized * self.obs_std + self.obs_mean
