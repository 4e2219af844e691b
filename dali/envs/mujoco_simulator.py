"""N copies of one MuJoCo model in one process, their physics set in the model's fields, without recompiling.

One compiled model serves all copies: a context is a handful of numbers that are written into it before the copy that
they belong to is stepped. The models are dm_control's own XML files, read without importing dm_control (whose import
looks for OpenGL).
"""

import importlib.util
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dali.envs.base import Simulator
from dali.envs.lazy import Lazy
from dali.envs.spec import EnvSpec
from dali.errors import DaliError

if TYPE_CHECKING:
    import mujoco
else:
    mujoco = Lazy("mujoco")

# m: Coulomb friction of a hinge (N m) over that of the rail that carries it (N), as of a pin of this radius.
HINGE_RADIUS = 0.05


def suite_file(name: str) -> Path:
    """Path of a file of dm_control's suite, such as "walker.xml"."""
    found = importlib.util.find_spec("dm_control")
    if found is None or not found.submodule_search_locations:
        raise DaliError("This environment needs the package 'dm_control' (its models), which is not installed.")
    return Path(found.submodule_search_locations[0]) / "suite" / name


def read_state(data: "mujoco.MjData") -> np.ndarray:
    """(S,): positions, velocities, activations, the solver's warm start, sensors (they lag by part of a step)."""
    return np.concatenate([data.qpos, data.qvel, data.act, data.qacc_warmstart, data.sensordata])


def write_state(data: "mujoco.MjData", state: np.ndarray) -> None:
    """Puts (S,) back into a copy."""
    start = 0
    for field in (data.qpos, data.qvel, data.act, data.qacc_warmstart, data.sensordata):
        field[:] = state[start : start + len(field)]
        start += len(field)


class PhysicsFields:
    """Writes contexts into a compiled model's fields. Multipliers ("x") are of the values that it was compiled with."""

    def __init__(self, spec: EnvSpec, model: "mujoco.MjModel"):
        self._model = model
        self._gear = model.actuator_gear.copy()
        self._friction = model.geom_friction[:, 0].copy()
        self._hinges = model.jnt_type[model.dof_jntid] == mujoco.mjtJoint.mjJNT_HINGE
        self._names = [f.name for f in spec.features]

    def write(self, context: np.ndarray) -> None:
        """Takes (F,) values in the order of the catalogue."""
        model = self._model
        for name, value in zip(self._names, context, strict=True):
            match name:
                case "gravity":
                    model.opt.gravity[2] = -value
                case "string_length":
                    model.tendon_range[0, 1] = value
                case "actuator_strength":
                    model.actuator_gear[:] = self._gear * value
                case "friction":
                    model.dof_frictionloss[:] = value * np.where(self._hinges, HINGE_RADIUS, 1.0)
                case "viscosity":
                    model.opt.viscosity = value
                case "friction_tangential":
                    model.geom_friction[:, 0] = self._friction * value
                case _:
                    raise KeyError(name)


class MujocoSimulator(Simulator):
    """Base of the simulators over a dm_control model.

    The state of a copy holds what MuJoCo's step reads, so that restoring it continues bit for bit. Subclasses set
    `model_file` (or override `_compile`) and the last three methods.
    """

    model_file: str

    def __init__(self, spec: EnvSpec, num: int):
        super().__init__(spec, num)
        self.model = self._compile()
        self._fields = PhysicsFields(spec, self.model)
        self._substeps = round(spec.timestep / self.model.opt.timestep)
        self._data = [mujoco.MjData(self.model) for _ in range(num)]
        low, high = self.model.actuator_ctrlrange.T
        self._ctrl_centre, self._ctrl_reach = (high + low) / 2, (high - low) / 2

    def _compile(self) -> "mujoco.MjModel":
        return mujoco.MjModel.from_xml_path(str(suite_file(self.model_file)))

    def get_state(self) -> np.ndarray:
        return np.array([read_state(data) for data in self._data])

    def _restore(self, state: np.ndarray) -> None:
        for data, row in zip(self._data, state, strict=True):
            mujoco.mj_resetData(self.model, data)
            write_state(data, row)
            self._refresh(data)
            data.sensordata[:] = row[len(row) - len(data.sensordata) :]

    def _start(self, copy: int, seed: int) -> None:
        data = self._data[copy]
        mujoco.mj_resetData(self.model, data)
        self._fields.write(self.contexts[copy])
        # dm_control's tasks draw from a RandomState; the same seed gives the same start as its own environment.
        self._randomize(data, np.random.RandomState(seed), self.contexts[copy])

    def _advance(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        reward = np.empty(self.num)
        ctrl = self._ctrl_centre + self._ctrl_reach * np.clip(action, -1.0, 1.0)
        for copy, data in enumerate(self._data):
            self._fields.write(self.contexts[copy])
            data.ctrl[:] = ctrl[copy]
            mujoco.mj_step(self.model, data, self._substeps)
            self._refresh(data)
            reward[copy] = self._reward(data)
        return reward, np.zeros(self.num, dtype=bool)

    def _forward(self, data: "mujoco.MjData") -> None:
        """Brings everything that derives from positions up to date, with the motors off, as dm_control's reset does."""
        flag = int(mujoco.mjtDisableBit.mjDSBL_ACTUATION)
        self.model.opt.disableflags |= flag
        mujoco.mj_forward(self.model, data)
        self.model.opt.disableflags &= ~flag

    def _refresh(self, data: "mujoco.MjData") -> None:
        """Brings up to date what observation and reward read: `mj_step` leaves it one substep behind."""

    @abstractmethod
    def _randomize(self, data: "mujoco.MjData", random: np.random.RandomState, context: np.ndarray) -> None:
        """Draws the first positions of an episode."""

    @abstractmethod
    def _reward(self, data: "mujoco.MjData") -> float:
        """Reward of the state just reached."""
