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

import math
from typing import TYPE_CHECKING

import numpy as np

from dali.envs.base import DrawStyle
from dali.envs.canvas import INK, ORANGE, SKY, VERMILION, Canvas, mix
from dali.envs.features import GRAVITY
from dali.envs.mujoco_simulator import MujocoSimulator
from dali.envs.reward import tolerance
from dali.envs.spec import ContextFeature, EnvSpec

if TYPE_CHECKING:
    import mujoco

MOTOR = 5.0  # N at action 1
BUFFER = 0.25  # s, time constant of the rail's ends (the suite: 0.08)
CENTRE_MARGIN = 2.0  # m
SPEED_MARGIN = 5.0  # rad/s

CARTPOLE_FRICTION = EnvSpec(
    name="cartpole_friction",
    title="Cartpole with friction",
    features=(
        GRAVITY,
        ContextFeature(
            name="friction",
            label="friction of the rail",
            unit="N",
            default=1.5,
            train=(0.5, 2.5),
            interpolate_single=(0.5, 1.0, 1.5, 2.0, 2.5),
            extrapolate_single=(0.0, 0.1, 0.2, 0.3, 0.4, 2.7, 2.9, 3.1, 3.3, 3.5),
            interpolate_double=(0.5, 1.5, 2.5),
            extrapolate_double=(0.0, 0.2, 0.4, 2.7, 3.1, 3.5),
            cue=True,
        ),
    ),
    observation_names=("cart position", "cos angle", "sin angle", "cart velocity", "pole angular velocity"),
    observation_units=("m", "", "", "m/s", "rad/s"),
    action_names=("force",),
    discrete=False,
    episode_steps=400,
    timestep=0.03,
    train_steps=100_000,
)


class CartpoleFriction(MujocoSimulator):
    """A pole that hangs from a cart on a rail and is to be swung up and held."""

    model_file = "cartpole.xml"

    def _compile(self) -> "mujoco.MjModel":
        model = super()._compile()
        adapt_model(model)
        return model

    def _randomize(self, data: "mujoco.MjData", random: np.random.RandomState, context: np.ndarray) -> None:
        # Balance.initialize_episode of dm_control/suite/cartpole.py, in its order of draws.
        data.qpos[0] = 0.01 * random.randn()
        data.qpos[1] = np.pi + 0.01 * random.randn()
        data.qvel[:] = 0.01 * random.randn(2)
        self._forward(data)

    def _reward(self, data: "mujoco.MjData") -> float:
        # Balance.get_reward of dm_control/suite/cartpole.py.
        upright = (np.cos(data.qpos[1]) + 1) / 2
        centred = (1 + tolerance(-abs(data.qpos[0]), 0.0, margin=CENTRE_MARGIN)) / 2
        push = min(1.0, abs(data.ctrl[0]))
        small_control = (4 + (1 - push * push)) / 5
        small_velocity = (1 + tolerance(-abs(data.qvel[1]), 0.0, margin=SPEED_MARGIN)) / 2
        return float(upright * small_control * small_velocity * centred)

    def _observe(self) -> np.ndarray:
        rows = [(d.qpos[0], np.cos(d.qpos[1]), np.sin(d.qpos[1]), *d.qvel) for d in self._data]
        return np.array(rows, dtype=np.float32)

    @staticmethod
    def states_from_observations(observation: np.ndarray) -> np.ndarray:
        x, cos, sin, x_dot, angle_dot = np.asarray(observation, dtype=np.float64).T
        nothing = np.zeros(len(x))  # no warm start
        return np.stack([x, np.arctan2(sin, cos), x_dot, angle_dot, nothing, nothing], axis=1)

    @staticmethod
    def draw(state: np.ndarray, context: np.ndarray, size: int = 256, style: DrawStyle = "solid") -> np.ndarray:
        """A cart on dm_control's rail with its pole, 1 m long; the rail's colour and teeth tell its friction."""
        x, angle, friction = float(state[0]), float(state[1]), float(context[1])
        canvas = Canvas(size, (0.0, 0.0), 5.4, style == "outline")
        if style == "solid":
            share = min(1.0, friction / _FULL_FRICTION)
            colour = mix(_ICE, _RUST, share)
            for tooth in range(-18, 19):
                canvas.line([(tooth / 10, -0.2), (tooth / 10 + 0.05, -0.2 - 0.4 * share)], colour, 0.03)
            canvas.line([(-_RAIL, -0.16), (_RAIL, -0.16)], colour, 0.1)
            for end in (-_RAIL, _RAIL):
                canvas.line([(end, -0.42), (end, 0.1)], VERMILION, 0.04)
        canvas.polygon([(x - 0.2, -0.1), (x + 0.2, -0.1), (x + 0.2, 0.1), (x - 0.2, 0.1)], INK)
        canvas.capsule((x, 0.0), (x + math.sin(angle), math.cos(angle)), 0.045, ORANGE)
        canvas.disc((x, 0.0), 0.05, SKY)
        return canvas.finish()


def adapt_model(model: "mujoco.MjModel") -> None:
    """Gives dm_control's compiled cartpole this motor and these buffers."""
    model.actuator_gear[0, 0] = MOTOR
    model.jnt_solref[0, 0] = BUFFER


_RAIL = 1.8  # m, half the length of dm_control's rail
_ICE, _RUST = (176, 208, 226), (150, 78, 40)  # colours of a rail without friction and of one that grips
_FULL_FRICTION = 4.0  # N
