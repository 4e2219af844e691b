"""The folders of runs that the dashboard shows, and how their runs are called apart.

DALI_CHECKPOINTS names one or several, told apart as in PATH; without it there is checkpoints/ beside app.py. Visitors
from this machine may add more for their session.
"""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from dali.errors import CheckpointError, DaliError
from dali.runs.folder import CONFIG, check_folder, exists
from dali.runs.run import Run
from dali.studio import jobs

ENVIRONMENT_VARIABLE = "DALI_CHECKPOINTS"
DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / "checkpoints"
ADDED = "folders_added"  # session state: what this visitor added
MOST = 8  # folders that one visitor adds


def given_folders() -> list[Path]:
    """The folders that the server was started with."""
    named = [Path(part) for part in os.environ.get(ENVIRONMENT_VARIABLE, "").split(os.pathsep) if part]
    return _each_once(named) or [DEFAULT_FOLDER]


def checkpoints_folders() -> list[Path]:
    """All folders of runs of this session."""
    return _each_once([*given_folders(), *st.session_state.get(ADDED, [])])


def checkpoints_folder() -> Path:
    """The first folder of runs, where trainings are written."""
    return given_folders()[0]


def add_folder(text: str) -> None:
    """Shows the runs of one more folder to this visitor.

    Raises:
        DaliError: visitors of this server may not, there is no such folder or no run in it, or there are too many.
    """
    if not jobs.allowed():
        raise DaliError(f"This server shows the folders of {ENVIRONMENT_VARIABLE} alone.")
    folder = Path(text).expanduser().absolute()
    check_folder(folder)
    if not any(exists(child / CONFIG) for child in folder.iterdir()):
        raise CheckpointError(f"No folder in {folder} holds a {CONFIG}, so there is no run in it.")
    added = st.session_state.get(ADDED, [])
    if len(added) >= MOST:
        raise DaliError(f"At most {MOST} folders can be added; remove one first.")
    st.session_state[ADDED] = _each_once([*added, folder])


def remove_folder(folder: Path) -> None:
    """No longer shows the runs of a folder that was added."""
    st.session_state[ADDED] = [other for other in st.session_state.get(ADDED, []) if other != folder]


def names_of(runs: Sequence[Run]) -> list[str]:
    """What each run is called on pages and in URLs: its name; with its folder's before it where two have the same."""
    called = [(run.name, f"{run.folder.absolute().parent.name}/{run.name}", str(run.folder)) for run in runs]
    counts = [Counter(names) for names in zip(*called, strict=True)]
    return [next(n for n, count in zip(names, counts, strict=True) if count[n] == 1) for names in called]


def _each_once(folders: Sequence[Path]) -> list[Path]:
    """Without those that come again, under whatever name; each at its first place."""
    first: dict[str, Path] = {}
    for folder in folders:
        first.setdefault(os.path.realpath(folder), folder)
    return list(first.values())
