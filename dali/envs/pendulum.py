"""The pendulum of gymnasium (Pendulum-v1) under CARL's physics g and l, batched in NumPy; and one of uncertain motor.

State: angle θ from upright (rad, unwrapped, positive anticlockwise as drawn) and angular velocity (rad/s).
"""

import math
from dataclasses import replace

import numpy as np

from dali.envs.base import DrawStyle, Simulator
from dali.envs.canvas import BLUE, GREEN, GRID, INK, ORANGE, VERMILION, Canvas
from dali.envs.features import INVERTIBLE_MOTOR
from dali.envs.spec import ContextFeature, EnvSpec

MAX_SPEED = 8.0  # rad/s, clipped as in gymnasium
MAX_TORQUE = 2.0  # N m at action 1
MASS = 1.0  # kg
GRAVITY = 10.0  # m/s², where it is no context feature

PENDULUM = EnvSpec(
    name="pendulum",
    title="Pendulum",
    features=(
        ContextFeature(
            name="g",
            label="gravity",
            unit="m/s²",
            default=10.0,
            train=(5.0, 15.0),
            interpolate_single=(5.0, 7.5, 10.0, 12.5, 15.0),
            extrapolate_single=(1.0, 2.0, 3.0, 4.0, 16.0, 17.0, 18.0, 19.0, 20.0),
            interpolate_double=(5.0, 10.0, 15.0),
            extrapolate_double=(1.0, 3.0, 17.0, 20.0),
        ),
        ContextFeature(
            name="l",
            label="rod length",
            unit="m",
            default=1.0,
            train=(0.5, 1.5),
            interpolate_single=(0.5, 0.75, 1.0, 1.25, 1.5),
            extrapolate_single=(0.1, 0.2, 0.3, 0.4, 1.6, 1.7, 1.8, 1.9, 2.0),
            interpolate_double=(0.5, 1.0, 1.5),
            extrapolate_double=(0.1, 0.3, 1.6, 1.8, 2.0),
        ),
    ),
    observation_names=("cos angle", "sin angle", "angular velocity"),
    observation_units=("", "", "rad/s"),
    action_names=("torque",),
    discrete=False,
    episode_steps=200,
    timestep=0.05,
    train_steps=80_000,
)

INVERTED_MOTOR = replace(
    PENDULUM,
    name="pendulum_inverted_motor",
    title="Pendulum with an inverted motor",
    features=(INVERTIBLE_MOTOR, PENDULUM.feature("l")),
)


class Pendulum(Simulator):
    """A uniform rod swinging about one end; reward is highest upright and at rest."""

    def __init__(self, spec: EnvSpec, num: int):
        super().__init__(spec, num)
        self._state = np.zeros((num, 2))

    def get_state(self) -> np.ndarray:
        return self._state.copy()

    def _restore(self, state: np.ndarray) -> None:
        self._state = state

    def _start(self, copy: int, seed: int) -> None:
        # gymnasium's start, uniform in [-π, π] x [-1, 1] rad/s. CARL's own draws from [0, π] x [0, 1].
        self._state[copy] = np.random.default_rng(seed).uniform((-np.pi, -1.0), (np.pi, 1.0))

    def _advance(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        g, length, motor = self._physics()
        angle, speed = np.ascontiguousarray(self._state.T)
        torque = motor * MAX_TORQUE * np.clip(action[:, 0], -1.0, 1.0)
        wrapped = (angle + np.pi) % (2 * np.pi) - np.pi
        reward = -(wrapped * wrapped + 0.1 * speed * speed + 0.001 * torque * torque)
        # Euler's step of gymnasium, velocity first: θ'' = 3 g / (2 l) sin θ + 3 u / (m l²).
        acceleration = 3 * g / (2 * length) * np.sin(angle) + 3.0 / (MASS * length * length) * torque
        speed = np.clip(speed + acceleration * self.spec.timestep, -MAX_SPEED, MAX_SPEED)
        self._state = np.stack([angle + speed * self.spec.timestep, speed], axis=1)
        return reward, np.zeros(self.num, dtype=bool)

    def _physics(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | float]:
        """Gravity (N,), rod length (N,), and what the torque of an action is multiplied by."""
        g, length = np.ascontiguousarray(self.contexts.T)
        return g, length, 1.0

    def _observe(self) -> np.ndarray:
        angle, speed = np.ascontiguousarray(self._state.T)
        return np.stack([np.cos(angle), np.sin(angle), speed], axis=1).astype(np.float32)

    @staticmethod
    def states_from_observations(observation: np.ndarray) -> np.ndarray:
        observation = np.asarray(observation, dtype=np.float64)
        return np.stack([np.arctan2(observation[:, 1], observation[:, 0]), observation[:, 2]], axis=1)

    @staticmethod
    def draw(state: np.ndarray, context: np.ndarray, size: int = 256, style: DrawStyle = "solid") -> np.ndarray:
        return draw_pendulum(float(state[0]), float(context[1]), size, style)


class InvertedMotorPendulum(Pendulum):
    """The pendulum whose motor may be weak, strong or wired the wrong way round: the right action differs in sign.

    The reward's small cost is that of the torque that acts on the rod.
    """

    def _physics(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        motor, length = np.ascontiguousarray(self.contexts.T)
        return np.full(self.num, GRAVITY), length, motor

    @staticmethod
    def draw(state: np.ndarray, context: np.ndarray, size: int = 256, style: DrawStyle = "solid") -> np.ndarray:
        motor, length = (float(v) for v in context)
        return draw_pendulum(float(state[0]), length, size, style, motor)


def draw_pendulum(angle: float, length: float, size: int, style: str, motor: float | None = None) -> np.ndarray:
    """A rod of `length` metres at `angle` rad from upright, with rings 1 m and 2 m from the pivot for scale.

    A motor's strength is told by the size of the hub, and its sign by its colour: green, or vermilion where inverted.
    """
    canvas = Canvas(size, (0.0, 0.0), 4.4, style == "outline")
    if style == "solid":
        for radius in (1.0, 2.0):
            canvas.ring((0.0, 0.0), radius, GRID)
        canvas.line([(0.0, 2.0), (0.0, 2.14)], GREEN, 0.05)  # where the reward wants the tip
    tip = (-length * math.sin(angle), length * math.cos(angle))
    canvas.capsule((0.0, 0.0), tip, 0.085, BLUE)
    canvas.disc(tip, 0.13, ORANGE)
    if motor is not None and style == "solid":
        canvas.disc((0.0, 0.0), 0.08 + 0.12 * abs(motor), VERMILION if motor < 0 else GREEN)
    canvas.disc((0.0, 0.0), 0.05, INK)
    return canvas.finish()
