"""The pendulum of gymnasium (Pendulum-v1) under CARL's physics g and l, batched in NumPy; and one of uncertain motor.

State: angle θ from upright (rad, unwrapped, positive anticlockwise as drawn) and angular velocity (rad/s).
"""

import numpy as np

from dali.envs.base import DrawStyle, Simulator

MAX_SPEED = 8.0  # rad/s, clipped as in gymnasium
MAX_TORQUE = 2.0  # N m at action 1
MASS = 1.0  # kg
GRAVITY = 10.0  # m/s², where it is no context feature


class Pendulum(Simulator):
    """A uniform rod swinging about one end; reward is highest upright and at rest."""

    def __init__(self, spec, num):
        super().__init__(spec, num)
        self._state = np.zeros((num, 2))

    def get_state(self) -> np.ndarray:
        return self._state.copy()

    def _restore(self, state):
        self._state = state

    def _start(self, copy, seed):
        # gymnasium's start, uniform in [-π, π] x [-1, 1] rad/s. CARL's own draws from [0, π] x [0, 1].
        self._state[copy] = np.random.default_rng(seed).uniform((-np.pi, -1.0), (np.pi, 1.0))

    def _advance(self, action):
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

    def _observe(self):
        angle, speed = np.ascontiguousarray(self._state.T)
        return np.stack([np.cos(angle), np.sin(angle), speed], axis=1).astype(np.float32)

    @staticmethod
    def states_from_observations(observation):
        observation = np.asarray(observation, dtype=np.float64)
        return np.stack([np.arctan2(observation[:, 1], observation[:, 0]), observation[:, 2]], axis=1)

    @staticmethod
    def draw(state, context, size=256, style: DrawStyle = "solid"):
        from dali.envs import draw  # OpenCV is needed by who draws alone

        return draw.pendulum(float(state[0]), float(context[1]), size, style)


class InvertedMotorPendulum(Pendulum):
    """The pendulum whose motor may be weak, strong or wired the wrong way round: the right action differs in sign.

    The reward's small cost is that of the torque that acts on the rod.
    """

    def _physics(self):
        motor, length = np.ascontiguousarray(self.contexts.T)
        return np.full(self.num, GRAVITY), length, motor

    @staticmethod
    def draw(state, context, size=256, style: DrawStyle = "solid"):
        from dali.envs import draw  # OpenCV is needed by who draws alone

        motor, length = (float(v) for v in context)
        return draw.pendulum(float(state[0]), length, size, style, motor)
