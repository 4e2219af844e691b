"""The cartpole of gymnasium (CartPole-v1) under CARL's physics gravity and length, batched in NumPy.

State: cart position (m), its velocity, pole angle from upright (rad, positive clockwise as drawn), its velocity.
All quantities that derive from the physics are computed from it at each step, so none can be stale.
"""

import numpy as np

from dali.envs.base import DrawStyle, Simulator

MASS_CART, MASS_POLE = 1.0, 0.1  # kg
TOTAL_MASS = MASS_CART + MASS_POLE
FORCE = 10.0  # N, to the left or to the right
X_LIMIT = 2.4  # m
ANGLE_LIMIT = 12 * 2 * np.pi / 360  # rad
START = 0.1  # CARL's start: every state variable uniform in [-0.1, 0.1]


class Cartpole(Simulator):
    """A pole on a cart that is pushed left or right; one point for each step until it has fallen or left the track.

    Beyond its end an episode goes on by the same equations, with reward 0 and terminated still true.
    """

    def __init__(self, spec, num):
        super().__init__(spec, num)
        self._state = np.zeros((num, 4))

    def get_state(self) -> np.ndarray:
        return self._state.copy()

    def _restore(self, state):
        self._state = state

    def _start(self, copy, seed):
        self._state[copy] = np.random.default_rng(seed).uniform(-START, START, size=4)

    def _advance(self, action):
        gravity, length = np.ascontiguousarray(self.contexts.T)
        x, x_dot, angle, angle_dot = np.ascontiguousarray(self._state.T)
        alive = ~_fallen(x, angle)
        force = np.where(action.argmax(axis=1) == 1, FORCE, -FORCE)
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

    def _observe(self):
        return self._state.astype(np.float32)

    @staticmethod
    def states_from_observations(observation):
        return np.array(observation, dtype=np.float64)

    @staticmethod
    def draw(state, context, size=256, style: DrawStyle = "solid"):
        from dali.envs import draw  # OpenCV is needed by who draws alone

        return draw.cartpole(float(state[0]), float(state[2]), float(context[1]), size, style)


def _fallen(x: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """(N,) bool."""
    return (np.abs(x) > X_LIMIT) | (np.abs(angle) > ANGLE_LIMIT)
