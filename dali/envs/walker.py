"""dm_control's planar walker (suite, task walk) under gravity and motor strength, or gravity and friction.

Observation: cosine and sine of each body's angle (as the suite's "orientations"), height of the torso, velocities of
the nine joints. It lacks the walker's x, which is integrated from its velocity for drawing.
"""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dali.envs.base import DrawStyle
from dali.envs.canvas import BACKGROUND, GROUND, INK, ORANGE, SKY, Canvas
from dali.envs.features import GRAVITY, GRAVITY_SPARSE, STRENGTH
from dali.envs.lazy import Lazy
from dali.envs.mujoco_simulator import MujocoSimulator
from dali.envs.reward import tolerance
from dali.envs.spec import ContextFeature, EnvSpec

if TYPE_CHECKING:
    import mujoco
else:
    mujoco = Lazy("mujoco")

STAND_HEIGHT = 1.2  # m, torso height above which standing is fully rewarded
WALK_SPEED = 1.0  # m/s, above which moving is fully rewarded
TORSO_HEIGHT = 1.3  # m, of the model at joint positions 0
TIMESTEP = 0.025  # s
# The hinge of each of the seven bodies turns it against this one; -1 is the world.
PARENTS = (-1, 0, 1, 2, 0, 4, 5)
TURNS = np.array([-1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])  # the torso's hinge has its axis the other way

_JOINTS = ("z", "x", "torso", "right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle")
_BODY_NAMES = ("torso", "right thigh", "right leg", "right foot", "left thigh", "left leg", "left foot")
WALKER = EnvSpec(
    name="walker",
    title="Walker",
    features=(GRAVITY, STRENGTH),
    observation_names=(
        *(f"{function} {body}" for body in _BODY_NAMES for function in ("cos", "-sin")),
        "height",
        *(f"{joint} velocity" for joint in _JOINTS),
    ),
    observation_units=("",) * 14 + ("m",) + ("m/s",) * 2 + ("rad/s",) * 7,
    action_names=_JOINTS[3:],
    discrete=False,
    episode_steps=1000,
    timestep=0.025,
    train_steps=500_000,
)
WALKER_FRICTION = replace(
    WALKER,
    name="walker_friction",
    title="Walker on ice and rubber",
    features=(
        GRAVITY_SPARSE,
        ContextFeature(
            name="friction_tangential",
            label="friction",
            unit="x",
            default=1.0,
            train=(0.3, 1.5),
            interpolate_single=(0.3, 0.6, 1.0, 1.25, 1.5),
            extrapolate_single=(0.05, 0.1, 0.2, 1.75, 2.0, 2.5),
            interpolate_double=(0.3, 1.0, 1.5),
            extrapolate_double=(0.05, 0.2, 2.0, 2.5),
        ),
    ),
)


class Walker(MujocoSimulator):
    """A two-legged walker in the plane; rewarded for an upright torso that moves forward."""

    model_file = "walker.xml"

    def _randomize(self, data: "mujoco.MjData", random: np.random.RandomState, context: np.ndarray) -> None:
        # dm_control's randomize_limited_and_rotational_joints, which leaves the unlimited slides at 0.
        for joint in range(self.model.njnt):
            if self.model.jnt_limited[joint]:
                data.qpos[joint] = random.uniform(*self.model.jnt_range[joint])
            elif self.model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE:
                data.qpos[joint] = random.uniform(-np.pi, np.pi)
        self._forward(data)

    def _refresh(self, data: "mujoco.MjData") -> None:
        mujoco.mj_kinematics(self.model, data)
        mujoco.mj_comPos(self.model, data)
        mujoco.mj_comVel(self.model, data)
        mujoco.mj_subtreeVel(self.model, data)  # else the sensor keeps the one of the last substep
        mujoco.mj_sensorVel(self.model, data)

    def _reward(self, data: "mujoco.MjData") -> float:
        # PlanarWalker.get_reward of dm_control/suite/walker.py.
        standing = tolerance(data.xpos[1, 2], STAND_HEIGHT, margin=STAND_HEIGHT / 2)
        stand = (3 * standing + (1 + data.xmat[1, 8]) / 2) / 4
        move = tolerance(data.sensordata[0], WALK_SPEED, margin=WALK_SPEED / 2, value_at_margin=0.5, sigmoid="linear")
        return stand * (5 * move + 1) / 6

    def _observe(self) -> np.ndarray:
        rows = [np.concatenate([d.xmat[1:, [0, 2]].ravel(), d.xpos[1, 2:], d.qvel]) for d in self._data]
        return np.array(rows, dtype=np.float32)

    @staticmethod
    def states_from_observations(observation: np.ndarray) -> np.ndarray:
        observation = np.asarray(observation, dtype=np.float64)
        bodies = np.arctan2(-observation[:, 1:14:2], observation[:, 0:14:2])  # (T, 7)
        parents = np.where(np.array(PARENTS) < 0, 0.0, bodies[:, PARENTS])
        hinges = TURNS * ((bodies - parents + np.pi) % (2 * np.pi) - np.pi)
        velocity = observation[:, 15:]
        travel = TIMESTEP * (velocity[1:, 1] + velocity[:-1, 1]) / 2
        x = np.concatenate([[0.0], np.cumsum(travel)])
        state = np.zeros((len(observation), 30))  # no warm start, no sensors
        state[:, 0], state[:, 1], state[:, 2:9], state[:, 9:18] = observation[:, 14] - TORSO_HEIGHT, x, hinges, velocity
        return state

    @staticmethod
    def draw(state: np.ndarray, context: np.ndarray, size: int = 256, style: DrawStyle = "solid") -> np.ndarray:
        """The window follows the walker, over marks on the ground every metre, every fifth one taller."""
        capsules, x = limbs(np.asarray(state[:9], dtype=np.float64)), float(state[1])
        canvas = Canvas(size, (x, 1.05), 2.7, style == "outline")
        if style == "solid":
            canvas.polygon([(x - 3, 0.0), (x + 3, 0.0), (x + 3, -1.0), (x - 3, -1.0)], GROUND)
            if math.isfinite(x):
                for mark in range(math.floor(x) - 2, math.ceil(x) + 3):
                    height = 0.3 if mark % 5 == 0 else 0.14
                    canvas.line([(mark, 0.0), (mark, -height)], INK if mark % 5 == 0 else BACKGROUND, 0.035)
        ahead = zip([*capsules[4:7], *capsules[:4]], [SKY] * 3 + [INK] + [ORANGE] * 3, strict=True)
        for (a, b, radius), colour in ahead:  # left leg, torso, right leg: what is nearer is drawn later
            canvas.capsule(a, b, radius, colour)
        return canvas.finish()


# Of a torso and of a leg's thigh, shin and foot: where the frame lies in its parent's, where the hinge lies in its own,
# both ends of the capsule and its radius; (x, z) metres.
_TORSO = ((0.0, 0.0), (0.0, 0.0), (0.0, -0.3), (0.0, 0.3), 0.07)
_LEG = (
    ((0.0, -0.3), (0.0, 0.0), (0.0, -0.45), (0.0, 0.0), 0.05),
    ((0.0, -0.7), (0.0, 0.25), (0.0, -0.25), (0.0, 0.25), 0.04),
    ((0.06, -0.25), (-0.06, 0.0), (-0.1, 0.0), (0.1, 0.0), 0.05),
)
_BODIES = (_TORSO, *_LEG, *_LEG)


Capsule = tuple[tuple[float, float], tuple[float, float], float]  # both ends and the radius


def limbs(position: np.ndarray) -> list[Capsule]:
    """Forward kinematics in the plane: (end, end, radius) of the seven capsules, torso, right leg, left leg, metres.

    Args:
        position: (9,) joint positions: z, x, torso angle, hips, knees and ankles.
    """
    origins: list[tuple[float, float]] = []
    angles: list[float] = []
    capsules = []
    for body, (offset, hinge, low, high, radius) in enumerate(_BODIES):
        parent = PARENTS[body]
        if parent < 0:
            base, turned = (float(position[1]), TORSO_HEIGHT + float(position[0])), 0.0
        else:
            base, turned = origins[parent], angles[parent]
        angle = turned + float(TURNS[body] * position[2 + body])
        anchor = _place(base, turned, (offset[0] + hinge[0], offset[1] + hinge[1]))
        origin = _place(anchor, angle, (-hinge[0], -hinge[1]))
        origins.append(origin)
        angles.append(angle)
        capsules.append((_place(origin, angle, low), _place(origin, angle, high), radius))
    return capsules


def _place(origin: tuple[float, float], angle: float, point: tuple[float, float]) -> tuple[float, float]:
    """The world's coordinates of a point of a frame."""
    cos, sin = math.cos(angle), math.sin(angle)
    return origin[0] + cos * point[0] - sin * point[1], origin[1] + sin * point[0] + cos * point[1]
