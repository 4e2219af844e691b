"""The contract of every simulator: N copies of one environment, each under its own physics, stepped together.

Shapes: N copies, O observation, A action, F context features, S simulator state.
Actions are float32 (N, A): in [-1, 1] per actuator (the simulator scales them to its own range), one-hot for a
discrete environment. States are float64: all that is needed to go on from there, bit for bit, under any context.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from dali.envs.contexts import check_contexts
from dali.envs.spec import EnvSpec
from dali.errors import DaliError

DrawStyle = Literal["solid", "outline"]  # outline: only contours, to lay a dream over the real picture


@dataclass(frozen=True)
class Step:
    """What one step of N copies returns."""

    observation: np.ndarray  # (N, O) float32
    reward: np.ndarray  # (N,) float32
    terminated: np.ndarray  # (N,) bool: the task ended, no return follows
    truncated: np.ndarray  # (N,) bool: the time limit ended the episode


class Simulator(ABC):
    """N copies of one environment. Never resets by itself; callers reset the copies that are done.

    Attributes:
        contexts: (N, F) float64, the physics in force, in the units of the catalogue.
        restores_state: False where `set_state` can't put a copy back, so that no moment can go on under other physics.
    """

    restores_state: ClassVar[bool] = True

    def __init__(self, spec: EnvSpec, num: int):
        if num < 1:
            raise DaliError(f"Number of copies of {spec.name} is {num}; expected at least 1.")
        self.spec = spec
        self.num = num
        self.contexts = np.tile(spec.default_context, (num, 1))
        self._clock = np.zeros(num, dtype=np.int64)  # steps since each copy's episode began

    def reset(self, seeds: np.ndarray, contexts: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
        """Starts episodes.

        Args:
            seeds: (N,) ints; a copy's first state depends on its own seed and context alone, so batching changes
                nothing.
            contexts: (N, F) physics in the units of the catalogue.
            where: (N,) bool, the copies to reset (all by default). Entries of the others are ignored.

        Returns:
            (N, O) observations of all copies.

        Raises:
            DaliError: a context out of its limits, or seeds of another shape.
        """
        where = np.ones(self.num, dtype=bool) if where is None else np.asarray(where, dtype=bool)
        seeds = np.asarray(seeds)
        if seeds.shape != (self.num,):
            raise DaliError(f"Seeds of {self.spec.name} have shape {seeds.shape}; expected ({self.num},).")
        self.set_context(np.where(where[:, None], contexts, self.contexts))
        for copy in np.flatnonzero(where):
            self._start(copy, int(seeds[copy]))
        self._clock[where] = 0
        return self._observe()

    def step(self, action: np.ndarray) -> Step:
        """Advances all copies by one control step under (N, A) actions.

        Raises:
            DaliError: actions of another shape, or not finite.
        """
        action = np.asarray(action, dtype=np.float64)
        if action.shape != (self.num, self.spec.action_dim):
            raise DaliError(
                f"Actions of {self.spec.name} have shape {action.shape}; expected ({self.num}, {self.spec.action_dim})."
            )
        if not np.isfinite(action).all():
            raise DaliError(f"Actions of {self.spec.name} hold a value that is not finite.")
        reward, terminated = self._advance(action)
        self._clock += 1
        truncated = self._clock >= self.spec.episode_steps
        return Step(self._observe(), reward.astype(np.float32), terminated, truncated)

    def set_state(self, state: np.ndarray, elapsed: np.ndarray | int = 0) -> np.ndarray:
        """Continues from (N, S) states, ``elapsed`` steps (N,) into their episodes; returns (N, O) observations.

        Raises:
            DaliError: states of another shape, or not finite.
        """
        state = np.array(state, dtype=np.float64)
        expected = self.get_state().shape
        if state.shape != expected or not np.isfinite(state).all():
            raise DaliError(f"States of {self.spec.name} have shape {state.shape}; expected finite {expected}.")
        self._restore(state)
        self._clock[:] = elapsed
        return self._observe()

    def set_context(self, contexts: np.ndarray) -> None:
        """Changes the physics to (N, F) in place, keeping the state. Raises DaliError outside the limits."""
        self.contexts = check_contexts(self.spec, contexts, self.num)

    @abstractmethod
    def get_state(self) -> np.ndarray:
        """(N, S) float64."""

    @staticmethod
    @abstractmethod
    def states_from_observations(observation: np.ndarray) -> np.ndarray:
        """(T, S) states to draw for one episode's observations (T, O), real or dreamed."""

    @staticmethod
    @abstractmethod
    def draw(state: np.ndarray, context: np.ndarray, size: int = 256, style: DrawStyle = "solid") -> np.ndarray:
        """A (size, size, 3) uint8 picture of one state (S,) under one context (F,), without OpenGL."""

    @abstractmethod
    def _start(self, copy: int, seed: int) -> None:
        """Puts one copy into its first state."""

    @abstractmethod
    def _advance(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Steps all copies under (N, A) float64 actions; returns rewards (N,) and terminated (N,) bool."""

    @abstractmethod
    def _observe(self) -> np.ndarray:
        """(N, O) float32."""

    @abstractmethod
    def _restore(self, state: np.ndarray) -> None:
        """Takes over (N, S) states."""
