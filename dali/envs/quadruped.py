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

import mujoco
import numpy as np

from dali.envs.base import DrawStyle
from dali.envs.mujoco_simulator import MujocoSimulator, suite_file
from dali.envs.reward import tolerance

WALK_SPEED = 0.5  # m/s, above which moving is fully rewarded
FLOOR_SIZE = 10.0  # m, what the suite makes of 20 s at that speed
TIMESTEP = 0.02  # s
HINGES, ACTUATORS = 16, 12
TORSO = 1  # body

# Sensors in the order of the model: accelerometer, gyroscope, velocimeter, 4 forces and 4 torques, centre of mass.
_IMU, _VELOCITY, _TOES = slice(0, 6), slice(6, 9), slice(9, 33)


class Quadruped(MujocoSimulator):
    """A four-legged robot, rewarded for walking forward upright."""

    def _compile(self):
        return compiled_model()

    def _randomize(self, data, random, context):
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

    def _refresh(self, data):
        mujoco.mj_kinematics(self.model, data)
        mujoco.mj_comPos(self.model, data)
        mujoco.mj_comVel(self.model, data)
        mujoco.mj_sensorPos(self.model, data)
        mujoco.mj_sensorVel(self.model, data)

    def _reward(self, data):
        # Move.get_reward of dm_control/suite/quadruped.py.
        upright = tolerance(data.xmat[TORSO, 8], 1.0, margin=2.0, value_at_margin=0.0, sigmoid="linear")
        speed = float(data.sensordata[_VELOCITY][0])
        return upright * tolerance(speed, WALK_SPEED, margin=WALK_SPEED, value_at_margin=0.5, sigmoid="linear")

    def _observe(self):
        rows = []
        for d in self._data:
            sensors = d.sensordata
            upright, toes = d.xmat[TORSO, 8:], np.arcsinh(sensors[_TOES])
            rows.append(
                np.concatenate([d.qpos[7:], d.qvel[6:], d.act, sensors[_VELOCITY], upright, sensors[_IMU], toes])
            )
        return np.array(rows, dtype=np.float32)

    @staticmethod
    def states_from_observations(observation):
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
    def draw(state, context, size=256, style: DrawStyle = "solid"):
        from dali.envs import draw  # OpenCV is needed by who draws alone

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
        return draw.bodies(shapes, np.array(data.xpos[TORSO]), size, style)


def compiled_model() -> mujoco.MjModel:
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


def _drawing() -> tuple[mujoco.MjModel, mujoco.MjData]:
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


def _lowest(model: mujoco.MjModel, data: mujoco.MjData) -> float:
    """Height of the lowest point of the legs and the torso, by the geoms' bounding spheres."""
    solid = model.geom_type != mujoco.mjtGeom.mjGEOM_PLANE
    ends = data.geom_xpos[solid, 2] - np.abs(data.geom_xmat[solid, 8]) * np.where(
        model.geom_type[solid] == mujoco.mjtGeom.mjGEOM_CAPSULE, model.geom_size[solid, 1], 0.0
    )
    return float((ends - model.geom_size[solid, 0]).min())
