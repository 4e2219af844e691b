"""N copies of one MuJoCo model in one process, their physics set in the model's fields, without recompiling.

One compiled model serves all copies: a context is a handful of numbers that are written into it before the copy that
they belong to is stepped. The state kept per copy is positions, velocities and the solver's warm start, which is what
MuJoCo's step reads, so that restoring it continues bit for bit. The models are dm_control's own XML files, read
without importing dm_control (whose import looks for OpenGL).
"""

import importlib.util
from pathlib import Path

import mujoco
import numpy as np

from dali.envs.base import Simulator
from dali.errors import DaliError


def suite_file(name: str) -> Path:
    """Path of a file of dm_control's suite, such as "walker.xml"."""
    found = importlib.util.find_spec("dm_control")
    if found is None or not found.submodule_search_locations:
        raise DaliError("This environment needs the package 'dm_control' (its models), which is not installed.")
    return Path(found.submodule_search_locations[0]) / "suite" / name


class MujocoSimulator(Simulator):
    """Base of the simulators over a dm_control model. Subclasses set `model_file` and the four methods below."""

    model_file: str

    def __init__(self, spec, num):
        super().__init__(spec, num)
        self.model = self._compile()
        self._substeps = round(spec.timestep / self.model.opt.timestep)
        self._data = [mujoco.MjData(self.model) for _ in range(num)]

    def _compile(self) -> mujoco.MjModel:
        return mujoco.MjModel.from_xml_path(str(suite_file(self.model_file)))

    def get_state(self) -> np.ndarray:
        """(N, 3 V or so): qpos, qvel, qacc_warmstart of each copy."""
        return np.array([np.concatenate([d.qpos, d.qvel, d.qacc_warmstart]) for d in self._data])

    def _restore(self, state):
        nq, nv = self.model.nq, self.model.nv
        for data, row in zip(self._data, state, strict=True):
            mujoco.mj_resetData(self.model, data)
            data.qpos[:] = row[:nq]
            data.qvel[:] = row[nq : nq + nv]
            data.qacc_warmstart[:] = row[nq + nv :]

    def _start(self, copy, seed):
        data = self._data[copy]
        mujoco.mj_resetData(self.model, data)
        self._apply_context(self.contexts[copy])
        # dm_control's tasks draw from a RandomState; the same seed gives the same start as its own environment.
        self._randomize(data, np.random.RandomState(seed), self.contexts[copy])

    def _advance(self, action):
        reward = np.empty(self.num)
        action = np.clip(action, -1.0, 1.0)
        for copy, data in enumerate(self._data):
            self._apply_context(self.contexts[copy])
            data.ctrl[:] = action[copy]
            mujoco.mj_step(self.model, data, self._substeps)
            reward[copy] = self._reward(data)
        return reward, np.zeros(self.num, dtype=bool)

    def _forward_without_actuation(self, data: mujoco.MjData) -> None:
        """Brings positions, contacts and sensors up to date as dm_control does after a reset."""
        flag = int(mujoco.mjtDisableBit.mjDSBL_ACTUATION)
        self.model.opt.disableflags |= flag
        mujoco.mj_forward(self.model, data)
        self.model.opt.disableflags &= ~flag

    def _apply_context(self, context: np.ndarray) -> None:
        """Writes one copy's (F,) physics into the model."""
        raise NotImplementedError

    def _randomize(self, data: mujoco.MjData, random: np.random.RandomState, context: np.ndarray) -> None:
        """Draws the first positions of an episode."""
        raise NotImplementedError

    def _reward(self, data: mujoco.MjData) -> float:
        """Reward of the state just reached."""
        raise NotImplementedError
