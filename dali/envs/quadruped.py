"""dm_control's quadruped (suite, task walk) under gravity and motor strength.

Observation, as the suite's: angles and velocities of the 16 hinges, activations of the 12 actuators, velocity of the
torso in its own frame, how upright it is, accelerometer and gyroscope, arcsinh of the toes' forces and torques.
It lacks position, height and heading, so that a pose is estimated from it for drawing alone.

Motor strength scales the actuators' gear, as CARL does: their torques, and by its inverse the angle that a position
command stands for.
"""

import math
import threading
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dali.envs.base import DrawStyle
from dali.envs.canvas import BLUE, GRID, INK, SKY, VERMILION, Canvas
from dali.envs.features import GRAVITY_SPARSE, STRENGTH
from dali.envs.lazy import Lazy
from dali.envs.mujoco_simulator import MujocoSimulator, suite_file
from dali.envs.reward import tolerance
from dali.envs.spec import EnvSpec

if TYPE_CHECKING:
    import mujoco
else:
    mujoco = Lazy("mujoco")

WALK_SPEED = 0.5  # m/s, above which moving is fully rewarded
FLOOR_SIZE = 10.0  # m, what the suite makes of 20 s at that speed
TIMESTEP = 0.02  # s
HINGES = 16
TORSO = 1  # body

# Sensors in the order of the model: accelerometer, gyroscope, velocimeter, 4 forces and 4 torques, centre of mass.
_IMU, _VELOCITY, _TOES = slice(0, 6), slice(6, 9), slice(9, 33)

_LEGS = ("front left", "front right", "back right", "back left")
_HINGE_NAMES = tuple(f"{joint} {leg}" for leg in _LEGS for joint in ("yaw", "pitch", "knee", "ankle"))
_MOTOR_NAMES = tuple(f"{motor} {leg}" for leg in _LEGS for motor in ("yaw", "lift", "extend"))
QUADRUPED = EnvSpec(
    name="quadruped",
    title="Quadruped",
    features=(
        GRAVITY_SPARSE,
        replace(STRENGTH, extrapolate_single=(0.1, 0.3, 1.6, 1.8, 2.0), extrapolate_double=(0.1, 0.3, 1.8, 2.0)),
    ),
    observation_names=(
        *_HINGE_NAMES,
        *(f"{hinge} velocity" for hinge in _HINGE_NAMES),
        *(f"{motor} activation" for motor in _MOTOR_NAMES),
        *(f"torso v{axis}" for axis in "xyz"),
        "upright",
        *(f"acceleration {axis}" for axis in "xyz"),
        *(f"turning {axis}" for axis in "xyz"),
        *(f"{kind} {leg} toe {axis}" for kind in ("force", "torque") for leg in _LEGS for axis in "xyz"),
    ),
    observation_units=(
        *(("rad",) * 16 + ("rad/s",) * 16 + ("",) * 12),
        *(("m/s",) * 3 + ("",) + ("m/s²",) * 3 + ("rad/s",) * 3),
        *(("asinh N",) * 12 + ("asinh N m",) * 12),
    ),
    action_names=_MOTOR_NAMES,
    discrete=False,
    episode_steps=1000,
    timestep=0.02,
    train_steps=600_000,
    planar=False,
)


class Quadruped(MujocoSimulator):
    """A four-legged robot, rewarded for walking forward upright."""

    def _compile(self) -> "mujoco.MjModel":
        return compiled_model()

    def _randomize(self, data: "mujoco.MjData", random: np.random.RandomState, context: np.ndarray) -> None:
        # Move.initialize_episode: any orientation, lifted in steps of 1 cm until nothing touches.
        orientation = random.randn(4)
        orientation /= np.linalg.norm(orientation)
        height = 0.0
        while True:
            mujoco.mj_resetData(self.model, data)
            data.qpos[2], data.qpos[3:7] = height, orientation
            self._forward(data)
            if data.ncon == 0:
                return
            height += 0.01

    def _refresh(self, data: "mujoco.MjData") -> None:
        mujoco.mj_kinematics(self.model, data)
        mujoco.mj_comPos(self.model, data)
        mujoco.mj_comVel(self.model, data)
        mujoco.mj_sensorPos(self.model, data)
        mujoco.mj_sensorVel(self.model, data)

    def _reward(self, data: "mujoco.MjData") -> float:
        # Move.get_reward of dm_control/suite/quadruped.py.
        upright = tolerance(data.xmat[TORSO, 8], 1.0, margin=2.0, value_at_margin=0.0, sigmoid="linear")
        speed = float(data.sensordata[_VELOCITY][0])
        return upright * tolerance(speed, WALK_SPEED, margin=WALK_SPEED, value_at_margin=0.5, sigmoid="linear")

    def _observe(self) -> np.ndarray:
        rows = []
        for d in self._data:
            sensors = d.sensordata
            upright, toes = d.xmat[TORSO, 8:], np.arcsinh(sensors[_TOES])
            rows.append(
                np.concatenate([d.qpos[7:], d.qvel[6:], d.act, sensors[_VELOCITY], upright, sensors[_IMU], toes])
            )
        return np.array(rows, dtype=np.float32)

    @staticmethod
    def states_from_observations(observation: np.ndarray) -> np.ndarray:
        """States to draw, (T, S): joints as observed; the torso's pose is an estimate.

        Heading and position are integrated from the gyroscope and the velocity. The tilt's size is observed; its
        direction follows the gyroscope and is drawn towards the accelerometer's. The lowest foot is put on the ground.
        """
        observation = np.asarray(observation, dtype=np.float64)
        model, data = _drawing()
        joints, velocity, upright = observation[:, :HINGES], observation[:, 44:47], observation[:, 47]
        acceleration, turning = observation[:, 48:51], observation[:, 51:54]
        state = np.zeros((len(observation), model.nq + 2 * model.nv + model.na + model.nsensordata))
        orientation, position = np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(2)
        rotation = np.empty(9)
        for t in range(len(observation)):
            mujoco.mju_quatIntegrate(orientation, turning[t], TIMESTEP)
            orientation = _tilted(orientation, float(np.clip(upright[t], -1.0, 1.0)), acceleration[t, :2])
            mujoco.mju_quat2Mat(rotation, orientation)
            position += TIMESTEP * (rotation.reshape(3, 3) @ velocity[t])[:2]
            data.qpos[:2], data.qpos[2], data.qpos[3:7], data.qpos[7:] = position, 0.0, orientation, joints[t]
            mujoco.mj_kinematics(model, data)
            data.qpos[2] = -min(_lowest(model, data), 0.0)
            state[t, : model.nq] = data.qpos
        return state

    @staticmethod
    def draw(state: np.ndarray, context: np.ndarray, size: int = 256, style: DrawStyle = "solid") -> np.ndarray:
        model, data = _drawing()
        data.qpos[:] = state[: model.nq]
        mujoco.mj_kinematics(model, data)
        shapes = [
            (int(kind), centre.copy(), matrix.reshape(3, 3).copy(), extent)
            for kind, centre, matrix, extent in zip(
                model.geom_type, data.geom_xpos, data.geom_xmat, model.geom_size, strict=True
            )
            if kind != mujoco.mjtGeom.mjGEOM_PLANE
        ]
        return draw_bodies(shapes, np.array(data.xpos[TORSO]), size, style)


def compiled_model() -> "mujoco.MjModel":
    """The suite's model for the task walk: without walls, ball, target, terrain and rangefinders (make_model)."""
    path = suite_file("quadruped.xml")
    root = ET.parse(path).getroot()
    parents = {child: parent for parent in root.iter() for child in parent}
    unwanted = {"wall_px", "wall_py", "wall_nx", "wall_ny", "ball", "target", "terrain"}
    for element in list(parents):
        scenery = element.tag in ("geom", "body", "site") and element.get("name") in unwanted
        if scenery or element.tag == "rangefinder":
            parents[element].remove(element)
        elif element.get("name") == "floor":
            element.set("size", f"{FLOOR_SIZE} {FLOOR_SIZE} .5")
        elif element.tag == "include":
            element.set("file", str(path.parent / element.attrib["file"]))
    return mujoco.MjModel.from_xml_string(ET.tostring(root, encoding="unicode"))


_local = threading.local()


def _drawing() -> "tuple[mujoco.MjModel, mujoco.MjData]":
    """A model for kinematics, one a thread, since drawing writes into it."""
    if not hasattr(_local, "model"):
        _local.model = compiled_model()
        _local.data = mujoco.MjData(_local.model)
    return _local.model, _local.data


def _tilted(orientation: np.ndarray, upright: float, acceleration: np.ndarray) -> np.ndarray:
    """Turns the quaternion so that the world's up, seen from the torso, has `upright` as its z component."""
    up, inverse = np.empty(3), np.empty(4)
    mujoco.mju_negQuat(inverse, orientation)
    mujoco.mju_rotVecQuat(up, np.array([0.0, 0.0, 1.0]), inverse)
    sideways = up[:2] + 0.02 * acceleration / max(1.0, float(np.linalg.norm(acceleration)))
    length = float(np.linalg.norm(sideways))
    sideways = sideways / length if length > 1e-9 else np.array([1.0, 0.0])
    wanted = np.array([*(math.sqrt(1.0 - upright * upright) * sideways), upright])
    # The shortest turn of the torso that brings `wanted`, fixed to it, to where `up` was.
    axis, cosine = np.cross(wanted, up), float(np.clip(wanted @ up, -1.0, 1.0))
    if np.linalg.norm(axis) < 1e-9:
        return orientation
    turn, turned = np.empty(4), np.empty(4)
    mujoco.mju_axisAngle2Quat(turn, axis / np.linalg.norm(axis), math.acos(cosine))
    mujoco.mju_mulQuat(turned, orientation, turn)
    return turned / np.linalg.norm(turned)


def _lowest(model: "mujoco.MjModel", data: "mujoco.MjData") -> float:
    """Height of the lowest point of the legs and the torso, by the geoms' bounding spheres."""
    solid = model.geom_type != mujoco.mjtGeom.mjGEOM_PLANE
    ends = data.geom_xpos[solid, 2] - np.abs(data.geom_xmat[solid, 8]) * np.where(
        model.geom_type[solid] == mujoco.mjtGeom.mjGEOM_CAPSULE, model.geom_size[solid, 1], 0.0
    )
    return float((ends - model.geom_size[solid, 0]).min())


# An oblique view without perspective: the camera looks down by 22° onto a scene turned by 35°.
_TURN, _DOWN = math.radians(35.0), math.radians(22.0)
_RIGHT = np.array([math.cos(_TURN), -math.sin(_TURN), 0.0])
_UP = np.array([math.sin(_DOWN) * math.sin(_TURN), math.sin(_DOWN) * math.cos(_TURN), math.cos(_DOWN)])
_VIEW = np.stack([_RIGHT, _UP])  # (2, 3)
_AWAY = np.cross(_UP, _RIGHT)  # from the camera into the scene
_GRID_LINES = np.array(
    [[(k, -3), (k, 4)] for k in range(-3, 5)] + [[(-3, k), (4, k)] for k in range(-3, 5)], dtype=np.float64
)  # (16, 2, 2): ends (x, y) of the lines about the square that the centre is in
Solid = tuple[int, np.ndarray, np.ndarray, np.ndarray]  # MuJoCo's geom type, centre (3,), axes (3, 3), size (3,)
_BODY_COLOURS = {2: VERMILION, 3: BLUE, 4: INK, 5: SKY}  # by MuJoCo's geom types: sphere, capsule, ellipsoid, cylinder


def draw_bodies(shapes: list[Solid], centre: np.ndarray, size: int, style: str) -> np.ndarray:
    """Solids seen from obliquely above, far ones first.

    The window follows `centre` (3,) along the ground, on which a grid of 1 m moves by.
    """
    ground = np.array([centre[0], centre[1], 0.0])
    middle = _VIEW @ ground
    canvas = Canvas(size, (float(middle[0]), float(middle[1]) + 0.35), 2.9, style == "outline")
    if style == "solid" and np.isfinite(ground).all():
        column, row = math.floor(ground[0]), math.floor(ground[1])
        for line in (_GRID_LINES + np.array([column, row])) @ _VIEW[:, :2].T:
            canvas.line(line, GRID, 0.012)
    for kind, at, axes, extent in sorted(shapes, key=lambda shape: -float(_AWAY @ shape[1])):
        colour = _BODY_COLOURS[kind]
        if kind == 4:
            # The silhouette of an ellipsoid without perspective: the ellipse with the projected matrix of axes.
            spread = _VIEW @ axes @ np.diag(extent)
            left, stretch, _ = np.linalg.svd(spread)
            turns = np.linspace(0.0, 2 * math.pi, 28, endpoint=False)
            rim = _VIEW @ at + (left * stretch @ np.stack([np.cos(turns), np.sin(turns)])).T
            canvas.polygon(rim, colour)
        elif kind == 2:
            canvas.disc(_VIEW @ at, float(extent[0]), colour)
        else:
            along = axes[:, 2] * extent[1]
            canvas.capsule(_VIEW @ (at - along), _VIEW @ (at + along), float(extent[0]), colour)
    return canvas.finish()
