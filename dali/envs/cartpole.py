"""The cartpole of gymnasium (CartPole-v1) under CARL's physics gravity and length, batched in NumPy; and one of
uncertain motor.

State: cart position (m), its velocity, pole angle from upright (rad, positive clockwise as drawn), its velocity.
All quantities that derive from the physics are computed from it at each step, so none can be stale.
"""

import math
from dataclasses import replace

import numpy as np

from dali.envs.base import DrawStyle, Simulator
from dali.envs.canvas import GREEN, GROUND, INK, ORANGE, SKY, VERMILION, Canvas
from dali.envs.features import GRAVITY, INVERTIBLE_MOTOR
from dali.envs.spec import ContextFeature, EnvSpec

MASS_CART, MASS_POLE = 1.0, 0.1  # kg
TOTAL_MASS = MASS_CART + MASS_POLE
FORCE = 10.0  # N, to the left or to the right
DEFAULT_GRAVITY = 9.8  # m/s², also where it is no context feature
X_LIMIT = 2.4  # m
ANGLE_LIMIT = 12 * 2 * np.pi / 360  # rad
START = 0.1  # CARL's start: every state variable uniform in [-0.1, 0.1]

CARTPOLE = EnvSpec(
    name="cartpole",
    title="Cartpole",
    features=(
        replace(
            GRAVITY,
            default=DEFAULT_GRAVITY,
            interpolate_single=(4.9, 7.35, 9.8, 12.25, 14.7),
            interpolate_double=(4.9, 9.8, 14.7),
        ),
        ContextFeature(
            name="length",
            label="half pole length",
            unit="m",
            default=0.5,
            train=(0.35, 0.75),
            interpolate_single=(0.4, 0.5, 0.6, 0.7),
            extrapolate_single=(0.1, 0.15, 0.2, 0.25, 0.3, 0.8, 0.85, 0.9, 0.95, 1.0),
            interpolate_double=(0.5, 0.7),
            extrapolate_double=(0.1, 0.2, 0.3, 0.8, 0.9, 1.0),
        ),
    ),
    observation_names=("cart position", "cart velocity", "pole angle", "pole angular velocity"),
    observation_units=("m", "m/s", "rad", "rad/s"),
    action_names=("push left", "push right"),
    discrete=True,
    episode_steps=500,
    timestep=0.02,
    train_steps=80_000,
)
INVERTED_MOTOR = replace(
    CARTPOLE,
    name="cartpole_inverted_motor",
    title="Cartpole with an inverted motor",
    features=(INVERTIBLE_MOTOR, CARTPOLE.feature("length")),
)


class Cartpole(Simulator):
    """A pole on a cart that is pushed left or right; one point for each step until it has fallen or left the track.

    Beyond its end an episode goes on by the same equations, with reward 0 and terminated still true.
    """

    def __init__(self, spec: EnvSpec, num: int):
        super().__init__(spec, num)
        self._state = np.zeros((num, 4))

    def get_state(self) -> np.ndarray:
        return self._state.copy()

    def _restore(self, state: np.ndarray) -> None:
        self._state = state

    def _start(self, copy: int, seed: int) -> None:
        self._state[copy] = np.random.default_rng(seed).uniform(-START, START, size=4)

    def _advance(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gravity, length, motor = self._physics()
        x, x_dot, angle, angle_dot = np.ascontiguousarray(self._state.T)
        alive = ~_fallen(x, angle)
        force = motor * np.where(action.argmax(axis=1) == 1, FORCE, -FORCE)
        sin, cos = np.sin(angle), np.cos(angle)
        # https://coneural.org/florian/papers/05_cart_pole.pdf, without friction, as in gymnasium.
        temp = (force + MASS_POLE * length * angle_dot * angle_dot * sin) / TOTAL_MASS
        angle_acc = (gravity * sin - cos * temp) / (length * (4.0 / 3.0 - MASS_POLE * cos * cos / TOTAL_MASS))
        x_acc = temp - MASS_POLE * length * angle_acc * cos / TOTAL_MASS
        tau = self.spec.timestep
        x, x_dot = x + tau * x_dot, x_dot + tau * x_acc
        angle, angle_dot = angle + tau * angle_dot, angle_dot + tau * angle_acc
        self._state = np.stack([x, x_dot, angle, angle_dot], axis=1)
        return alive.astype(np.float64), _fallen(x, angle)

    def _physics(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | float]:
        """Gravity (N,), half pole length (N,), and what the force of a push is multiplied by."""
        gravity, length = np.ascontiguousarray(self.contexts.T)
        return gravity, length, 1.0

    def _observe(self) -> np.ndarray:
        return self._state.astype(np.float32)

    @staticmethod
    def states_from_observations(observation: np.ndarray) -> np.ndarray:
        return np.array(observation, dtype=np.float64)

    @staticmethod
    def draw(state: np.ndarray, context: np.ndarray, size: int = 256, style: DrawStyle = "solid") -> np.ndarray:
        return draw_cartpole(state, float(context[1]), size, style)


class InvertedMotorCartpole(Cartpole):
    """The cartpole whose motor may be weak, strong or wired the wrong way round: a push to the left may go right."""

    def _physics(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        motor, length = np.ascontiguousarray(self.contexts.T)
        return np.full(self.num, DEFAULT_GRAVITY), length, motor

    @staticmethod
    def draw(state: np.ndarray, context: np.ndarray, size: int = 256, style: DrawStyle = "solid") -> np.ndarray:
        motor, length = (float(v) for v in context)
        return draw_cartpole(state, length, size, style, motor)


def draw_cartpole(
    state: np.ndarray, half_length: float, size: int, style: str, motor: float | None = None
) -> np.ndarray:
    """A cart with its pole, on a track that ends at the limits.

    A motor's strength is told by the size of a disc on the cart, and its sign by its colour: green, or vermilion where
    inverted.
    """
    x, angle, length = float(state[0]), float(state[2]), 2 * half_length
    canvas = Canvas(size, (0.0, 0.75), 5.4, style == "outline")
    if style == "solid":
        for tick in range(-2, 3):
            canvas.line([(tick, -0.42), (tick, -0.28)], GROUND, 0.03)
        canvas.line([(-2.4, -0.22), (2.4, -0.22)], GROUND, 0.05)
        for end in (-2.4, 2.4):
            canvas.line([(end, -0.42), (end, 0.1)], VERMILION, 0.04)
    canvas.polygon([(x - 0.3, -0.2), (x + 0.3, -0.2), (x + 0.3, 0.14), (x - 0.3, 0.14)], INK)
    if motor is not None and style == "solid":
        canvas.disc((x, 0.0), 0.08 + 0.12 * abs(motor), VERMILION if motor < 0 else GREEN)
    tip = (x + length * math.sin(angle), length * math.cos(angle))
    canvas.capsule((x, 0.0), tip, 0.06, ORANGE)
    canvas.disc((x, 0.0), 0.05, SKY)
    return canvas.finish()


def _fallen(x: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """(N,) bool."""
    return (np.abs(x) > X_LIMIT) | (np.abs(angle) > ANGLE_LIMIT)
