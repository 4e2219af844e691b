"""The contract of every simulator: N copies of one environment, each under its own physics, stepped together.

Shapes: N copies, O observation, A action, F context features, S simulator state.
Actions are float32 (N, A): in [-1, 1] per actuator (the simulator scales them to its own range), one-hot for a
discrete environment. States are float64: all that is needed to go on from there, bit for bit, under any context.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from dali.envs.spec import EnvSpec


@dataclass(frozen=True)
class Step:
    """What one step of N copies returns."""

    observation: np.ndarray  # (N, O) float32
    reward: np.ndarray  # (N,) float32
    terminated: np.ndarray  # (N,) bool: the task ended, no return follows
    truncated: np.ndarray  # (N,) bool: the time limit ended the episode


class Simulator(ABC):
    """N copies of one environment. Never resets by itself; callers reset the copies that are done."""

    spec: EnvSpec
    num: int

    @abstractmethod
    def reset(self, seeds: np.ndarray, contexts: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
        """Starts episodes.

        Args:
            seeds: (N,) ints; a copy's first state depends on its own seed alone, so batching changes nothing.
            contexts: (N, F) physics in the units of the catalogue.
            where: (N,) bool, the copies to reset (all by default). Entries of the others are ignored.

        Returns:
            (N, O) observations of all copies.
        """

    @abstractmethod
    def step(self, action: np.ndarray) -> Step:
        """Advances all copies by one control step under (N, A) actions."""

    @abstractmethod
    def get_state(self) -> np.ndarray:
        """(N, S) float64."""

    @abstractmethod
    def set_state(self, state: np.ndarray) -> np.ndarray:
        """Continues from (N, S) states, with the time limit's clock restarted; returns (N, O) observations."""

    @abstractmethod
    def set_context(self, contexts: np.ndarray) -> None:
        """Changes the physics to (N, F) in place, keeping the state."""

    @staticmethod
    @abstractmethod
    def states_from_observations(observation: np.ndarray) -> np.ndarray:
        """(T, S) states to draw for one episode's observations (T, O), real or dreamed."""

    @staticmethod
    @abstractmethod
    def draw(state: np.ndarray, context: np.ndarray, size: int = 256) -> np.ndarray:
        """A (size, size, 3) uint8 picture of one state (S,) under one context (F,), without OpenGL."""
