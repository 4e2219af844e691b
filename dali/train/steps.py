"""How long a run is where nobody says."""

from dali.config import PRESETS
from dali.envs import catalogue
from dali.errors import unknown_name


def default_steps(env: str, preset: str) -> int:
    """Environment steps where --steps is not given: the preset's own for tiny, else the environment's.

    Raises:
        DaliError: no such preset or environment.
    """
    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    steps = catalogue.spec(env).train_steps
    return PRESETS["tiny"][1].steps if preset == "tiny" else steps
