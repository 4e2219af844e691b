"""The catalogue of contextual environments: one EnvSpec each, and `make`, which builds its simulator.

Train ranges and grids are those of the DALI benchmark (arXiv 2508.20294, appendix C, as its authors ran them);
the grid of `walker_friction` is ours, since the paper has none. `length` of the cartpole is half the pole's length,
as in gymnasium. To add an environment: its module, an entry here, a test of its physics.
"""

from dali.envs import ball_in_cup, cartpole, cartpole_friction, outside, pendulum, quadruped, walker
from dali.envs.adapter import no_real_counterfactual
from dali.envs.base import Simulator
from dali.envs.spec import EnvSpec
from dali.errors import DaliError, unknown_name

# Each environment is a module of its own: its description, its simulator and its drawing.
_ENTRIES: tuple[tuple[EnvSpec, type[Simulator]], ...] = (
    (pendulum.PENDULUM, pendulum.Pendulum),
    (pendulum.INVERTED_MOTOR, pendulum.InvertedMotorPendulum),
    (cartpole.CARTPOLE, cartpole.Cartpole),
    (cartpole.INVERTED_MOTOR, cartpole.InvertedMotorCartpole),
    (ball_in_cup.BALL_IN_CUP, ball_in_cup.BallInCup),
    (ball_in_cup.BALL_IN_CUP_DRAG, ball_in_cup.BallInCupDrag),
    (cartpole_friction.CARTPOLE_FRICTION, cartpole_friction.CartpoleFriction),
    (walker.WALKER, walker.Walker),
    (walker.WALKER_FRICTION, walker.Walker),
    (quadruped.QUADRUPED, quadruped.Quadruped),
)
CATALOGUE: dict[str, EnvSpec] = {entry.name: entry for entry, _ in _ENTRIES}
_SIMULATORS = {entry.name: simulator for entry, simulator in _ENTRIES}


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
    return _SIMULATORS[name]


def make(name: str, num: int) -> Simulator:
    """N = num copies of the environment, under its default physics until reset.

    Raises:
        DaliError: unknown name, num below 1, or a package that this environment needs is missing.
    """
    try:
        return simulator_class(name)(spec(name), num)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("dali"):
            raise
        raise DaliError(f"Environment {name!r} needs the package {error.name!r}, which is not installed.") from error


def check_restores_state(name: str) -> None:
    """Raises DaliError where nothing can be held against the simulator, since it can't be put back into a state."""
    if not simulator_class(name).restores_state:
        raise DaliError(no_real_counterfactual(spec(name)))


def folder_name(name: str) -> str:
    """An environment's name as a part of a folder's: carl_Acrobot of carl:Acrobot."""
    return name.replace(":", "_").replace(".", "_")
