"""CARL's environments put right: gymnasium's API and CARL's contexts, plus what a real counterfactual needs.

The simulators beside this module are batched copies of these environments (a test compares their trajectories); these
adapters exist for whoever works through CARL. What they put right in carl-bench 1.1.1:

- CARLPendulum offers `gravity`, which nothing reads (`g` is the gravity), and starts only from angles in [0, π] and
  velocities in [0, 1], a quarter of gymnasium's start.
- CARLCartPole leaves `total_mass` and `polemass_length` as they were when masses or `length` change.
- DMC environments ignore `reset(seed=...)` and compile their model anew at each change of context.
- There is no ball in cup, and no swing-up of the cartpole.
- Contexts that name some features alone reach the selector without the defaults of the others.
- A context that was set by hand stays in force after a reset under the selector's.
- Observations are no members of their own space: a context value is a float where the space is a Box of shape (1,).
- An action of NaN gives a reward of NaN in silence.
"""

from abc import abstractmethod
from typing import Any

import numpy as np
from carl.context.context_space import ContextFeature, UniformFloatContextFeature
from carl.envs.carl_env import CARLEnv
from carl.envs.dmc import CARLDmcQuadrupedEnv, CARLDmcWalkerEnv
from carl.envs.dmc.carl_dmcontrol import CARLDmcEnv
from carl.envs.dmc.loader import load_dmc_env
from carl.envs.dmc.wrappers import MujocoToGymWrapper
from carl.envs.gymnasium.classic_control import CARLCartPole, CARLPendulum
from dm_control.rl import control
from dm_control.suite import ball_in_cup, base, cartpole

from dali.envs.ball_in_cup import draw_ball
from dali.envs.carl_steerable import Steerable, Stepped
from dali.envs.cartpole import FORCE
from dali.envs.cartpole_friction import adapt_model
from dali.envs.features import INVERTIBLE_MOTOR
from dali.envs.mujoco_simulator import PhysicsFields, read_state, write_state
from dali.envs.pendulum import MAX_TORQUE
from dali.envs.spec import ContextFeature as OurFeature
from dali.envs.spec import EnvSpec
from dali.errors import unknown_name


class _ClassicControl(Steerable):
    @property
    def _bare(self) -> Any:
        """gymnasium's environment, whose state and physics are plain attributes."""
        return self.env.unwrapped

    def get_state(self) -> np.ndarray:
        """(S,) float64, as the simulator's."""
        return np.array(self._bare.state, dtype=np.float64)

    def set_state(self, state: np.ndarray) -> np.ndarray:
        """Continues from (S,) and returns the observation (O,). Reset once before; the time limit's clock runs on."""
        self._bare.state = np.array(state, dtype=np.float64)
        return self._observation()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Starts an episode under the selector's next context; the start's range is the context's, not options'."""
        self._progress_instance()
        observation, info = self.env.reset(seed=seed, options=self._start_range())
        info["context_id"] = self.context_id
        return self._add_context_to_state(observation), info

    @abstractmethod
    def _start_range(self) -> dict[str, float]:
        """Options of gymnasium's reset."""

    @abstractmethod
    def _observation(self) -> np.ndarray:
        """(O,) float32 of the present state."""


class Pendulum(_ClassicControl, CARLPendulum):
    """CARLPendulum with `g` alone for gravity, and gymnasium's start. Actions: torque in N m, (1,) in [-2, 2]."""

    catalogue_name = "pendulum"

    @staticmethod
    def get_context_features() -> dict[str, ContextFeature[Any, Any]]:
        features = CARLPendulum.get_context_features()
        del features["gravity"]
        return features

    def _start_range(self) -> dict[str, float]:
        assert self.context is not None
        return {"x_init": self.context["initial_angle_max"], "y_init": self.context["initial_velocity_max"]}

    def _observation(self) -> np.ndarray:
        angle, speed = self._bare.state
        return np.array([np.cos(angle), np.sin(angle), speed], dtype=np.float32)


class PendulumInvertedMotor(Pendulum):
    """The pendulum with a motor whose strength, negative where it is inverted, multiplies the torque of an action."""

    catalogue_name = "pendulum_inverted_motor"

    @staticmethod
    def get_context_features() -> dict[str, ContextFeature[Any, Any]]:
        return {**Pendulum.get_context_features(), INVERTIBLE_MOTOR.name: _uniform(INVERTIBLE_MOTOR)}

    @property
    def _motor_strength(self) -> float:
        assert self.context is not None
        return self.context["motor_strength"]

    def _update_context(self) -> None:
        super()._update_context()
        self._bare.max_torque = MAX_TORQUE * abs(self._motor_strength)

    def step(self, action: np.ndarray) -> Stepped:
        """As gymnasium's, with the torque in N m that the motor makes of the action."""
        asked = np.clip(np.asarray(action, dtype=np.float64), -MAX_TORQUE, MAX_TORQUE)
        return super().step(self._motor_strength * asked)


class CartPole(_ClassicControl, CARLCartPole):
    """CARLCartPole whose derived quantities follow the context. Actions: 0 pushes left, 1 right."""

    catalogue_name = "cartpole"

    def set_state(self, state: np.ndarray) -> np.ndarray:
        self._bare.steps_beyond_terminated = None
        return super().set_state(state)

    def _start_range(self) -> dict[str, float]:
        assert self.context is not None
        return {"low": self.context["initial_state_lower"], "high": self.context["initial_state_upper"]}

    def _observation(self) -> np.ndarray:
        return np.array(self._bare.state, dtype=np.float32)

    def _update_context(self) -> None:
        super()._update_context()
        self._bare.total_mass = self._bare.masspole + self._bare.masscart
        self._bare.polemass_length = self._bare.masspole * self._bare.length


class CartPoleInvertedMotor(CartPole):
    """The cartpole with a motor whose strength, negative where it is inverted, multiplies the force of a push."""

    catalogue_name = "cartpole_inverted_motor"

    @staticmethod
    def get_context_features() -> dict[str, ContextFeature[Any, Any]]:
        return {**CartPole.get_context_features(), INVERTIBLE_MOTOR.name: _uniform(INVERTIBLE_MOTOR)}

    def _update_context(self) -> None:
        super()._update_context()
        assert self.context is not None
        self._bare.force_mag = FORCE * self.context[INVERTIBLE_MOTOR.name]


class _Dmc(Steerable, CARLDmcEnv):
    """A DMC environment whose context is written into the compiled model and whose resets follow their seed."""

    def __init__(self, contexts: dict[Any, dict[str, float]] | None = None, **kwargs: Any):
        self._env = self._load()
        self._physics = self._env.physics
        self._fields = PhysicsFields(self.spec_of(), self._physics.model.ptr)
        # CARLDmcEnv's own constructor is passed over: it loads through a task that takes a context.
        CARLEnv.__init__(self, env=MujocoToGymWrapper(self._env), contexts=self._filled(contexts), **kwargs)

    @classmethod
    def get_context_features(cls) -> dict[str, ContextFeature[Any, Any]]:
        return {f.name: _uniform(f) for f in cls.spec_of().features}

    def _load(self) -> control.Environment:
        # An empty context leaves the model as dm_control has it.
        return load_dmc_env(self.domain, self.task, context={}, environment_kwargs={"flat_observation": True})

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Starts an episode under the selector's next context, drawn from `seed` where one is given."""
        if seed is not None:
            self._env.task.random.seed(seed)
        return super().reset(seed=seed, options=options)

    def get_state(self) -> np.ndarray:
        """(S,) float64, as the simulator's."""
        return read_state(self._physics.data.ptr)

    def set_state(self, state: np.ndarray) -> np.ndarray:
        """Continues from (S,) and returns the observation (O,). Reset once before; the time limit's clock runs on."""
        write_state(self._physics.data.ptr, state)
        self._forward()
        observation = self._env.task.get_observation(self._physics)
        return np.concatenate([np.ravel(part) for part in observation.values()])

    def _update_context(self) -> None:
        self._fields.write(self._context_row(self.context))
        self._forward()

    def _forward(self) -> None:
        # dm_control's step begins with MuJoCo's second half, which reads what derives from state and physics.
        warm_start, sensors = self._physics.data.qacc_warmstart.copy(), self._physics.data.sensordata.copy()
        self._physics.forward()
        self._physics.data.qacc_warmstart[:] = warm_start
        self._physics.data.sensordata[:] = sensors


class BallInCup(_Dmc):
    """dm_control's ball_in_cup (catch), which CARL lacks, under gravity and string length."""

    catalogue_name = "ball_in_cup"
    domain, task = "ball_in_cup", "catch"

    def _load(self) -> control.Environment:
        physics = ball_in_cup.Physics.from_xml_string(*ball_in_cup.get_model_and_assets())
        return _environment(self.spec_of(), physics, _Catch())


class BallInCupDrag(BallInCup):
    """dm_control's ball_in_cup (catch) under gravity and the viscosity of the air."""

    catalogue_name = "ball_in_cup_drag"


class CartPoleFriction(_Dmc):
    """dm_control's cartpole swing-up, which CARL lacks, under gravity and Coulomb friction."""

    catalogue_name = "cartpole_friction"
    domain, task = "cartpole", "swingup"

    def _load(self) -> control.Environment:
        physics = cartpole.Physics.from_xml_string(*cartpole.get_model_and_assets())
        adapt_model(physics.model.ptr)
        return _environment(self.spec_of(), physics, cartpole.Balance(swing_up=True, sparse=False))


class Walker(_Dmc, CARLDmcWalkerEnv):
    """CARL's walker under gravity and motor strength."""

    catalogue_name = "walker"


class WalkerFriction(Walker):
    """CARL's walker under gravity and friction."""

    catalogue_name = "walker_friction"


class Quadruped(_Dmc, CARLDmcQuadrupedEnv):
    """CARL's quadruped under gravity and motor strength."""

    catalogue_name = "quadruped"


def _uniform(feature: OurFeature) -> ContextFeature[Any, Any]:
    """CARL's description of a context feature."""
    return UniformFloatContextFeature(
        feature.name, lower=feature.limits[0], upper=feature.limits[1], default_value=feature.default
    )


def _environment(spec: EnvSpec, physics: Any, task: base.Task) -> control.Environment:
    """An environment of dm_control with the catalogue's steps."""
    return control.Environment(
        physics,
        task,
        time_limit=spec.episode_steps * spec.timestep,
        control_timestep=spec.timestep,
        flat_observation=True,
    )


class _Catch(ball_in_cup.BallInCup):  # type: ignore[misc]  # dm_control has no types
    """The task, with a first position of the ball that the string can reach."""

    def initialize_episode(self, physics: ball_in_cup.Physics) -> None:
        while True:
            physics.data.qpos[2:] = draw_ball(self.random, physics.model.tendon_range[0, 1])
            physics.after_reset()
            if physics.data.ncon == 0:
                break
        base.Task.initialize_episode(self, physics)


_ADAPTERS = {
    c.catalogue_name: c
    for c in (
        Pendulum, PendulumInvertedMotor, CartPole, CartPoleInvertedMotor, BallInCup, BallInCupDrag, CartPoleFriction,
        Walker, WalkerFriction, Quadruped,
    )
}  # fmt: skip


def make(name: str, contexts: dict[Any, dict[str, float]] | None = None, **kwargs: Any) -> CARLEnv:
    """The adapter of a catalogued environment; contexts and the rest as CARL takes them.

    Raises:
        DaliError: unknown environment or context feature, or a value out of its limits.
    """
    if name not in _ADAPTERS:
        raise unknown_name("environment", name, _ADAPTERS)
    return _ADAPTERS[name](contexts=contexts, **kwargs)
