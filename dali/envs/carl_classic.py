"""CARL's Acrobot and MountainCarContinuous, as "carl:Acrobot" and "carl:MountainCarContinuous".

Both are gymnasium's classic control, whose state is one attribute, so that they can be put back into any state. CARL is
imported when an environment is made: its description and its pictures need none of it. Features are those of CARL's
that change how the bodies move in what an agent does; its start states and goals are left as they are.
"""

import itertools
import warnings
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from dali.envs.adapter import Adapter, describe, feature
from dali.envs.canvas import BLUE, GREEN, GROUND, INK, ORANGE, Canvas
from dali.errors import DaliError


class _Classic(Adapter):
    """One of CARL's classic control environments."""

    carl_name: ClassVar[str]
    number: ClassVar[type] = np.float64  # that gymnasium computes the state in: another would round otherwise

    def __init__(self) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # CARL tells of every package that its other environments lack
                from carl.envs.gymnasium import classic_control
        except ModuleNotFoundError as error:
            raise DaliError(
                f"The environment carl:{type(self).__name__} needs the package {error.name!r}, which is not installed; "
                "the extra train brings it."
            ) from error
        # Given bare, without gymnasium's time limit and its check of every step: the simulator has its own.
        with np.errstate(invalid="ignore"):  # CARL divides by the ranges of features that have no limits
            self._env = getattr(classic_control, self.carl_name)(env=self._make())
            self._physics = self._env.get_default_context()

    def reset(self, seed: int, context: dict[str, float]) -> np.ndarray:
        self._set_physics(context)
        with np.errstate(invalid="ignore"):
            self._env.reset(seed=seed)
        return self._put(self._bare.state)

    def step(self, action: Any) -> tuple[np.ndarray, float, bool]:
        _, reward, terminated, _, _ = self._env.step(action)
        return self._observation(), float(reward), bool(terminated)

    def get_state(self) -> np.ndarray:
        return np.array(self._bare.state, np.float64)

    def set_state(self, state: np.ndarray, context: dict[str, float]) -> np.ndarray:
        self._set_physics(context)
        return self._put(state)

    @property
    def _bare(self) -> Any:
        return self._env.unwrapped

    def _put(self, state: np.ndarray) -> np.ndarray:
        self._bare.state = np.array(state, self.number)
        return self._observation()

    def _set_physics(self, context: dict[str, float]) -> None:
        # The selector picks its one context at each reset; setting the id writes it into the environment at once.
        self._env.context_selector.contexts = {0: {**self._physics, **context}}
        self._env.context_id = 0

    @abstractmethod
    def _make(self) -> Any:
        """gymnasium's environment."""

    @abstractmethod
    def _observation(self) -> np.ndarray:
        """(O,) of the present state."""


class Acrobot(_Classic):
    """Two links that hang from a pivot, driven at the joint between them; -1 a step until the tip is 1 m above it."""

    carl_name = "CARLAcrobot"
    spec = describe(
        "Acrobot",
        (
            feature("LINK_LENGTH_1", 1.0, (0.6, 1.4), (0.4, 1.8), "m", "length of the upper link"),
            feature("LINK_MASS_2", 1.0, (0.5, 1.5), (0.2, 2.0), "kg", "mass of the lower link"),
        ),
        {
            "cos upper angle": "",
            "sin upper angle": "",
            "cos lower angle": "",
            "sin lower angle": "",
            "upper angular velocity": "rad/s",
            "lower angular velocity": "rad/s",
        },
        ("torque -1 N m", "no torque", "torque 1 N m"),
        episode_steps=500,
        timestep=0.2,
        discrete=True,
        planar=True,
    )

    def _make(self) -> Any:
        return _repaired_acrobot()

    def _observation(self) -> np.ndarray:
        upper, lower, *speeds = self._bare.state
        return np.array([np.cos(upper), np.sin(upper), np.cos(lower), np.sin(lower), *speeds], np.float32)

    @staticmethod
    def state_from_observation(observation: np.ndarray) -> np.ndarray:
        cos_upper, sin_upper, cos_lower, sin_lower, *speeds = np.asarray(observation, np.float64)
        return np.array([np.arctan2(sin_upper, cos_upper), np.arctan2(sin_lower, cos_lower), *speeds])

    @staticmethod
    def render(state: np.ndarray, context: dict[str, float], size: int) -> np.ndarray:
        canvas = Canvas(size, (0.0, 0.0), 6.0)
        canvas.line([(-3.0, 1.0), (3.0, 1.0)], GREEN, 0.03)
        length, (upper, lower) = context["LINK_LENGTH_1"], state[:2]
        elbow = (length * np.sin(upper), -length * np.cos(upper))
        tip = (elbow[0] + np.sin(upper + lower), elbow[1] - np.cos(upper + lower))
        canvas.capsule((0.0, 0.0), elbow, 0.1, BLUE)
        canvas.capsule(elbow, tip, 0.1, ORANGE)
        canvas.disc((0.0, 0.0), 0.06, INK)
        canvas.disc(elbow, 0.06, INK)
        return canvas.finish()


class MountainCarContinuous(_Classic):
    """A car in a valley whose motor is too weak for the slope; 100 at the top of the right one, and a cost of force."""

    carl_name = "CARLMountainCarContinuous"
    number = np.float32
    spec = describe(
        "Mountain car",
        (
            feature("power", 0.0015, (0.0008, 0.0022), (0.0004, 0.003), "a step²", "power of the motor"),
            feature("max_speed", 0.07, (0.01, 0.07), (0.005, 0.09), "a step", "greatest speed"),
        ),
        {"position": "", "velocity": "a step"},
        ("force",),
        episode_steps=999,
        timestep=1.0,
        planar=True,
    )

    def _make(self) -> Any:
        from gymnasium.envs.classic_control import Continuous_MountainCarEnv

        return Continuous_MountainCarEnv()

    def _observation(self) -> np.ndarray:
        return np.array(self._bare.state, np.float32)

    @staticmethod
    def state_from_observation(observation: np.ndarray) -> np.ndarray:
        return np.array(observation, np.float64)

    @staticmethod
    def render(state: np.ndarray, context: dict[str, float], size: int) -> np.ndarray:
        def height(x: float) -> float:
            return 0.45 * np.sin(3 * np.asarray(x)) + 0.55  # gymnasium's hill

        canvas = Canvas(size, (-0.3, 0.6), 2.0)
        path = np.linspace(-1.3, 0.7, 60)
        for left, right in itertools.pairwise(path):
            canvas.polygon([(left, height(left)), (right, height(right)), (right, -0.5), (left, -0.5)], GROUND)
        canvas.line([(0.5, height(0.5)), (0.5, height(0.5) + 0.2)], GREEN, 0.02)
        x = float(state[0])
        canvas.disc((x, float(height(x)) + 0.06), 0.06, ORANGE)
        canvas.disc((x, float(height(x)) + 0.06), 0.015, INK)
        return canvas.finish()


def _repaired_acrobot() -> Any:
    """gymnasium's Acrobot, whose step asks for a name that NumPy 2 no longer has: the same step without it."""
    from gymnasium.envs.classic_control import AcrobotEnv

    class Repaired(AcrobotEnv):
        def step(self, a: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
            bare: Any = self  # gymnasium declares its state as None
            start = np.append(bare.state, self.AVAIL_TORQUE[a])

            def slope(at: np.ndarray) -> np.ndarray:
                return np.asarray(self._dsdt(at))

            # One Runge-Kutta step of the fourth order.
            k1 = slope(start)
            k2 = slope(start + self.dt / 2 * k1)
            k3 = slope(start + self.dt / 2 * k2)
            k4 = slope(start + self.dt * k3)
            upper, lower, *speeds = (start + self.dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4))[:4]
            angles = np.mod(np.array([upper, lower]) + np.pi, 2 * np.pi) - np.pi
            fastest = np.array([self.MAX_VEL_1, self.MAX_VEL_2])
            bare.state = np.array([*angles, *np.clip(speeds, -fastest, fastest)])
            terminated = self._terminal()
            return self._get_ob(), 0.0 if terminated else -1.0, terminated, False, {}

    return Repaired()


ADAPTERS: dict[str, type[Adapter]] = {cls.__name__: cls for cls in (Acrobot, MountainCarContinuous)}
