"""The pictures of the replay: in memory to learn from, on disk as the simulator's states that they are drawn from.

A picture takes 12,288 bytes, a state and its physics 50 to 400; drawing is exact, so a resumed run sees the same.

Shapes: M records, S simulator state, F context features.
"""

import numpy as np
import torch
from torch import Tensor

from dali.envs import catalogue
from dali.envs.frames import SHAPE, draw_frames
from dali.envs.spec import EnvSpec
from dali.train.storage import Storage


class Pictures:
    """Pictures of ``total`` records, and what they were drawn from."""

    def __init__(self, spec: EnvSpec, total: int, storage: Storage):
        self.spec = spec
        self.frames = storage.zeros("frames", (total, *SHAPE), np.uint8)
        self.states = catalogue.make(spec.name, 1).get_state().shape[1]
        scene = storage.zeros("scene", (total, self.states + spec.context_dim), np.float64)  # state and physics
        self.scene = torch.from_numpy(scene)

    def add(self, at: np.ndarray, frames: np.ndarray, states: np.ndarray, physics: np.ndarray) -> None:
        """Puts pictures (M, 64, 64, 3), their states (M, S) and physics (M, F) at records (M,)."""
        self.frames[at] = frames
        self.scene[torch.from_numpy(at)] = torch.from_numpy(np.concatenate([states, physics], 1))

    def take(self, at: np.ndarray) -> Tensor:
        """uint8 pictures (M, 64, 64, 3) of records (M,)."""
        return torch.from_numpy(self.frames[at])

    def draw_anew(self, at: np.ndarray) -> None:
        """Draws the pictures of records (M,) from their scenes."""
        scene = self.scene[torch.from_numpy(at)].numpy()
        self.frames[at] = draw_frames(self.spec, scene[:, : self.states], scene[:, self.states :])
