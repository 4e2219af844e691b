"""dm_control's cartpole swing-up under gravity and Coulomb friction of rail and hinge.

Observation: cart position, cosine and sine of the pole's angle from upright (rad, positive clockwise as drawn), and the
two velocities. Friction is MuJoCo's `dof_frictionloss`, a force against the motion that does not grow with speed: the
factor is that of the rail, in N; the hinge's friction torque is bound to it, as if the same force dragged on a pin of
radius HINGE_RADIUS (dali.envs.mujoco_simulator).

Two numbers of the suite's model are changed: its motor pulls with 5 N in place of 10, so that friction is a larger
share of the forces, and the buffers at the rail's ends are softer. Smooth noise drives a cart to the ends of its rail
in a quarter of all steps, and 89 % of the one-step error of a forward model told the physics was made at the suite's
stiff ones.
"""

import mujoco
import numpy as np

from dali.envs.base import DrawStyle
from dali.envs.mujoco_simulator import MujocoSimulator
from dali.envs.reward import tolerance

MOTOR = 5.0  # N at action 1
BUFFER = 0.25  # s, time constant of the rail's ends (the suite: 0.08)
CENTRE_MARGIN = 2.0  # m
SPEED_MARGIN = 5.0  # rad/s


class CartpoleFriction(MujocoSimulator):
    """A pole that hangs from a cart on a rail and is to be swung up and held."""

    model_file = "cartpole.xml"

    def _compile(self):
        model = super()._compile()
        adapt_model(model)
        return model

    def _randomize(self, data, random, context):
        # Balance.initialize_episode of dm_control/suite/cartpole.py, in its order of draws.
        data.qpos[0] = 0.01 * random.randn()
        data.qpos[1] = np.pi + 0.01 * random.randn()
        data.qvel[:] = 0.01 * random.randn(2)
        self._forward(data)

    def _reward(self, data):
        # Balance.get_reward of dm_control/suite/cartpole.py.
        upright = (np.cos(data.qpos[1]) + 1) / 2
        centred = (1 + tolerance(-abs(data.qpos[0]), 0.0, margin=CENTRE_MARGIN)) / 2
        push = min(1.0, abs(data.ctrl[0]))
        small_control = (4 + (1 - push * push)) / 5
        small_velocity = (1 + tolerance(-abs(data.qvel[1]), 0.0, margin=SPEED_MARGIN)) / 2
        return float(upright * small_control * small_velocity * centred)

    def _observe(self):
        rows = [(d.qpos[0], np.cos(d.qpos[1]), np.sin(d.qpos[1]), *d.qvel) for d in self._data]
        return np.array(rows, dtype=np.float32)

    @staticmethod
    def states_from_observations(observation):
        x, cos, sin, x_dot, angle_dot = np.asarray(observation, dtype=np.float64).T
        nothing = np.zeros(len(x))  # no warm start
        return np.stack([x, np.arctan2(sin, cos), x_dot, angle_dot, nothing, nothing], axis=1)

    @staticmethod
    def draw(state, context, size=256, style: DrawStyle = "solid"):
        from dali.envs import draw  # OpenCV is needed by who draws alone

        return draw.cartpole_friction(float(state[0]), float(state[1]), float(context[1]), size, style)


def adapt_model(model: mujoco.MjModel) -> None:
    """Gives dm_control's compiled cartpole this motor and these buffers."""
    model.actuator_gear[0, 0] = MOTOR
    model.jnt_solref[0, 0] = BUFFER
