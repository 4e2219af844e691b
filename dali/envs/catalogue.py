"""The catalogue of contextual environments: one EnvSpec each, and `make`, which builds its simulator.

Train ranges and grids are those of the DALI benchmark (arXiv 2508.20294, appendix C, as its authors ran them);
the grid of `walker_friction` is ours, since the paper has none. `length` of the cartpole is half the pole's length,
as in gymnasium. To add an environment: an entry here, its module in `_SIMULATORS`, a test of its physics.
"""

import importlib
from dataclasses import replace

from dali.envs import outside
from dali.envs.adapter import no_real_counterfactual
from dali.envs.base import Simulator
from dali.envs.spec import ContextFeature, EnvSpec
from dali.errors import DaliError, unknown_name

_GRAVITY = ContextFeature(
    name="gravity",
    label="gravity",
    unit="m/s²",
    default=9.81,
    train=(4.9, 14.7),
    interpolate_single=(4.9, 7.35, 9.81, 12.25, 14.7),
    extrapolate_single=(0.98, 1.715, 2.45, 3.185, 3.92, 15.68, 16.66, 17.64, 18.62, 19.6),
    interpolate_double=(4.9, 9.81, 14.7),
    extrapolate_double=(0.98, 2.45, 3.92, 15.68, 17.64, 19.6),
)
_GRAVITY_SPARSE = replace(
    _GRAVITY, extrapolate_single=(0.98, 2.45, 3.92, 15.68, 17.64, 19.6), extrapolate_double=(0.98, 3.92, 15.68, 19.6)
)
_STRENGTH = ContextFeature(
    name="actuator_strength",
    label="motor strength",
    unit="x",
    default=1.0,
    train=(0.5, 1.5),
    interpolate_single=(0.5, 0.75, 1.0, 1.25, 1.5),
    extrapolate_single=(0.1, 0.2, 0.3, 0.4, 1.6, 1.7, 1.8, 1.9, 2.0),
    interpolate_double=(0.5, 1.0, 1.5),
    extrapolate_double=(0.1, 0.3, 1.6, 1.8, 2.0),
)

_PENDULUM = EnvSpec(
    name="pendulum",
    title="Pendulum",
    features=(
        ContextFeature(
            name="g",
            label="gravity",
            unit="m/s²",
            default=10.0,
            train=(5.0, 15.0),
            interpolate_single=(5.0, 7.5, 10.0, 12.5, 15.0),
            extrapolate_single=(1.0, 2.0, 3.0, 4.0, 16.0, 17.0, 18.0, 19.0, 20.0),
            interpolate_double=(5.0, 10.0, 15.0),
            extrapolate_double=(1.0, 3.0, 17.0, 20.0),
        ),
        ContextFeature(
            name="l",
            label="rod length",
            unit="m",
            default=1.0,
            train=(0.5, 1.5),
            interpolate_single=(0.5, 0.75, 1.0, 1.25, 1.5),
            extrapolate_single=(0.1, 0.2, 0.3, 0.4, 1.6, 1.7, 1.8, 1.9, 2.0),
            interpolate_double=(0.5, 1.0, 1.5),
            extrapolate_double=(0.1, 0.3, 1.6, 1.8, 2.0),
        ),
    ),
    observation_names=("cos angle", "sin angle", "angular velocity"),
    observation_units=("", "", "rad/s"),
    action_names=("torque",),
    discrete=False,
    episode_steps=200,
    timestep=0.05,
    train_steps=80_000,
)

_INVERTED_MOTOR = ContextFeature(
    name="motor_strength",
    label="motor strength",
    unit="x",
    default=1.0,
    train=(-1.5, 1.5),
    gap=(-0.5, 0.5),
    interpolate_single=(-1.5, -1.25, -1.0, -0.75, -0.5, 0.5, 0.75, 1.0, 1.25, 1.5),
    extrapolate_single=(-2.0, -1.75, -0.3, -0.1, 0.1, 0.3, 1.75, 2.0),
    interpolate_double=(-1.5, -1.0, -0.5, 0.5, 1.0, 1.5),
    extrapolate_double=(-2.0, -0.3, 0.3, 2.0),
    cue=True,
)
_PENDULUM_INVERTED_MOTOR = replace(
    _PENDULUM,
    name="pendulum_inverted_motor",
    title="Pendulum with an inverted motor",
    features=(_INVERTED_MOTOR, _PENDULUM.feature("l")),
)

_CARTPOLE = EnvSpec(
    name="cartpole",
    title="Cartpole",
    features=(
        replace(
            _GRAVITY,
            default=9.8,
            interpolate_single=(4.9, 7.35, 9.8, 12.25, 14.7),
            interpolate_double=(4.9, 9.8, 14.7),
        ),
        ContextFeature(
            name="length",
            label="half pole length",
            unit="m",
            default=0.5,
            train=(0.35, 0.75),
            interpolate_single=(0.4, 0.5, 0.6, 0.7),
            extrapolate_single=(0.1, 0.15, 0.2, 0.25, 0.3, 0.8, 0.85, 0.9, 0.95, 1.0),
            interpolate_double=(0.5, 0.7),
            extrapolate_double=(0.1, 0.2, 0.3, 0.8, 0.9, 1.0),
        ),
    ),
    observation_names=("cart position", "cart velocity", "pole angle", "pole angular velocity"),
    observation_units=("m", "m/s", "rad", "rad/s"),
    action_names=("push left", "push right"),
    discrete=True,
    episode_steps=500,
    timestep=0.02,
    train_steps=80_000,
)

_BALL_IN_CUP = EnvSpec(
    name="ball_in_cup",
    title="Ball in cup",
    features=(
        _GRAVITY,
        ContextFeature(
            name="string_length",
            label="string length",
            unit="m",
            default=0.3,
            train=(0.15, 0.45),
            interpolate_single=(0.15, 0.225, 0.3, 0.375, 0.45),
            extrapolate_single=(0.03, 0.06, 0.09, 0.12, 0.48, 0.51, 0.54, 0.57, 0.6),
            interpolate_double=(0.15, 0.3, 0.45),
            extrapolate_double=(0.03, 0.09, 0.48, 0.54, 0.6),
        ),
    ),
    observation_names=("cup x", "cup z", "ball x", "ball z", "cup vx", "cup vz", "ball vx", "ball vz"),
    observation_units=("m",) * 4 + ("m/s",) * 4,
    action_names=("force x", "force z"),
    discrete=False,
    episode_steps=1000,
    timestep=0.02,
    train_steps=100_000,
)

_CARTPOLE_FRICTION = EnvSpec(
    name="cartpole_friction",
    title="Cartpole with friction",
    features=(
        _GRAVITY,
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

_BALL_IN_CUP_DRAG = replace(
    _BALL_IN_CUP,
    name="ball_in_cup_drag",
    title="Ball in cup in thick air",
    features=(
        _GRAVITY,
        ContextFeature(
            name="viscosity",
            label="viscosity of the air",
            unit="Pa s",
            default=1.0,
            train=(0.2, 2.0),
            interpolate_single=(0.2, 0.6, 1.0, 1.5, 2.0),
            extrapolate_single=(0.0, 0.04, 0.08, 0.12, 0.16, 2.2, 2.4, 2.6, 2.8, 3.0),
            interpolate_double=(0.2, 1.0, 2.0),
            extrapolate_double=(0.0, 0.08, 0.16, 2.2, 2.6, 3.0),
            cue=True,
        ),
    ),
)

_WALKER_JOINTS = ("z", "x", "torso", "right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle")
_WALKER_BODIES = ("torso", "right thigh", "right leg", "right foot", "left thigh", "left leg", "left foot")
_WALKER = EnvSpec(
    name="walker",
    title="Walker",
    features=(_GRAVITY, _STRENGTH),
    observation_names=(
        *(f"{function} {body}" for body in _WALKER_BODIES for function in ("cos", "-sin")),
        "height",
        *(f"{joint} velocity" for joint in _WALKER_JOINTS),
    ),
    observation_units=("",) * 14 + ("m",) + ("m/s",) * 2 + ("rad/s",) * 7,
    action_names=_WALKER_JOINTS[3:],
    discrete=False,
    episode_steps=1000,
    timestep=0.025,
    train_steps=500_000,
)
_WALKER_FRICTION = replace(
    _WALKER,
    name="walker_friction",
    title="Walker on ice and rubber",
    features=(
        _GRAVITY_SPARSE,
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

_LEGS = ("front left", "front right", "back right", "back left")
_QUADRUPED_HINGES = tuple(f"{joint} {leg}" for leg in _LEGS for joint in ("yaw", "pitch", "knee", "ankle"))
_QUADRUPED_MOTORS = tuple(f"{motor} {leg}" for leg in _LEGS for motor in ("yaw", "lift", "extend"))
_QUADRUPED = EnvSpec(
    name="quadruped",
    title="Quadruped",
    features=(
        _GRAVITY_SPARSE,
        replace(_STRENGTH, extrapolate_single=(0.1, 0.3, 1.6, 1.8, 2.0), extrapolate_double=(0.1, 0.3, 1.8, 2.0)),
    ),
    observation_names=(
        *_QUADRUPED_HINGES,
        *(f"{hinge} velocity" for hinge in _QUADRUPED_HINGES),
        *(f"{motor} activation" for motor in _QUADRUPED_MOTORS),
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
    action_names=_QUADRUPED_MOTORS,
    discrete=False,
    episode_steps=1000,
    timestep=0.02,
    train_steps=600_000,
    planar=False,
)

CATALOGUE: dict[str, EnvSpec] = {
    entry.name: entry
    for entry in (
        _PENDULUM,
        _PENDULUM_INVERTED_MOTOR,
        _CARTPOLE,
        _BALL_IN_CUP,
        _BALL_IN_CUP_DRAG,
        _CARTPOLE_FRICTION,
        _WALKER,
        _WALKER_FRICTION,
        _QUADRUPED,
    )
}

# Imported only when made, so that the pendulum and the cartpole need no MuJoCo.
_SIMULATORS: dict[str, tuple[str, str]] = {
    "pendulum": ("dali.envs.pendulum", "Pendulum"),
    "pendulum_inverted_motor": ("dali.envs.pendulum", "InvertedMotorPendulum"),
    "cartpole": ("dali.envs.cartpole", "Cartpole"),
    "ball_in_cup": ("dali.envs.ball_in_cup", "BallInCup"),
    "ball_in_cup_drag": ("dali.envs.ball_in_cup", "BallInCupDrag"),
    "cartpole_friction": ("dali.envs.cartpole_friction", "CartpoleFriction"),
    "walker": ("dali.envs.walker", "Walker"),
    "walker_friction": ("dali.envs.walker", "Walker"),
    "quadruped": ("dali.envs.quadruped", "Quadruped"),
}


def names() -> tuple[str, ...]:
    """The environments of this package."""
    return tuple(CATALOGUE)


def order(name: str) -> tuple[int, str]:
    """What lists of environments are sorted by: this package's in the catalogue's order, then all others."""
    listed = names()
    return (listed.index(name) if name in listed else len(listed), name)


def spec(name: str) -> EnvSpec:
    """The entry of that name, such as pendulum, carl:Acrobot or my_module:MyEnv (dali.envs.outside).

    Raises:
        DaliError: an unknown one, or one whose code nobody has allowed to be imported.
    """
    if outside.is_outside(name):
        return outside.spec(name)
    if name not in CATALOGUE:
        raise unknown_name("environment", name, CATALOGUE)
    return CATALOGUE[name]


def simulator_class(name: str) -> type[Simulator]:
    """The class of that environment's simulator, for its static methods (draw, states_from_observations)."""
    if outside.is_outside(name):
        return outside.simulator(name)
    spec(name)
    module, attribute = _SIMULATORS[name]
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("dali"):
            raise
        raise DaliError(f"Environment {name!r} needs the package {error.name!r}, which is not installed.") from error


def make(name: str, num: int) -> Simulator:
    """N = num copies of the environment, under its default physics until reset.

    Raises:
        DaliError: unknown name, num below 1, or a package that this environment needs is missing.
    """
    return simulator_class(name)(spec(name), num)


def check_restores_state(name: str) -> None:
    """Raises DaliError where nothing can be held against the simulator, since it can't be put back into a state."""
    if not simulator_class(name).restores_state:
        raise DaliError(no_real_counterfactual(spec(name)))


def folder_name(name: str) -> str:
    """An environment's name as a part of a folder's: carl_Acrobot of carl:Acrobot."""
    return name.replace(":", "_").replace(".", "_")
