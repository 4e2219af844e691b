"""Dynamics-aligned world models of contextual environments (DALI, arXiv 2508.20294), as a library.

    import dali

    run = dali.open_run("checkpoints/pendulum-dali_d_chi-s0")
    film = run.counterfactual(episode=380, t=60, g=4.9)
    film.save("film.mp4")

Importing this package takes no time: torch is loaded when a name below is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dali.errors import CheckpointError, DaliError
    from dali.library import Film, OpenRun, list_envs, list_runs, make_env, open_run, train_agent

__version__ = "0.2.0"
__all__ = [
    "CheckpointError",
    "DaliError",
    "Film",
    "OpenRun",
    "list_envs",
    "list_runs",
    "make_env",
    "open_run",
    "train_agent",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("dali.errors" if name.endswith("Error") else "dali.library"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
