"""The checkpoints that the dashboard offers, loaded once and shared by all sessions; the picker that chooses one.

Everything is cached by path, modification time and size of the files it is made from, so that a run that trains on is
read anew. Cached objects are shared: nobody changes them. Torch and the analysis take seconds to import, and the first
screen needs neither; functions that do import them.
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from dali.config import PRESETS
from dali.envs import catalogue
from dali.envs.spec import EnvSpec
from dali.errors import CheckpointError, DaliError
from dali.files.text import code_span, markdown
from dali.files.writing import reason
from dali.methods import METHODS
from dali.runs.folder import (
    ANALYSIS_FILE,
    CONFIG,
    EPISODES_FILE,
    WEIGHTS,
    check_folder,
    exists,
    list_runs,
    missing,
    weights_name,
)
from dali.runs.run import Run, Unreadable, open_run
from dali.studio.folders import checkpoints_folders, names_of
from dali.studio.style import require_app, shown_path

if TYPE_CHECKING:
    from dali.episodes import Episodes
    from dali.model.agent import Agent
    from dali.runs.artifacts import Readout

CHOSEN = "run"  # the key of the session state and of the URL that holds the chosen run's name, by ``names_of``

Stamp = tuple[tuple[str, int, int], ...]  # path, modification time in ns and size of each file


def list_checkpoints(*folders: Path) -> tuple[list[Run], list[Unreadable]]:
    """The runs of folders by environment, method, preset and seed, and those that this version cannot read.

    Args:
        folders: those of this session by default. One that is absent is among the unreadable where there are others.
    """
    runs: list[Run] = []
    unreadable = []
    folders = folders or tuple(checkpoints_folders())
    for folder in folders:
        try:
            if len(folders) > 1:
                check_folder(folder)
            paths = list_runs(folder)
        except CheckpointError as error:
            unreadable.append(Unreadable(folder, str(error)))
            continue
        for path in paths:
            try:
                runs.append(_open_run(stamp(path, CONFIG)))
            except CheckpointError as error:
                unreadable.append(Unreadable(path, str(error)))
    return sorted(runs, key=_order), unreadable


def name_of(run: Run) -> str:
    """What a run is called among all that are shown, on pages and in URLs."""
    runs = list_checkpoints()[0]
    called = {other.folder: name for other, name in zip(runs, names_of(runs), strict=True)}
    return called.get(run.folder, run.name)


def find_run(runs: list[Run], name: str | None) -> Run | None:
    """The run that is called so, or the one in the first folder where several have the name; None of neither."""
    called = names_of(runs)
    if name in called:
        return runs[called.index(name)]
    first = {folder: place for place, folder in enumerate(checkpoints_folders())}
    alike = [run for run in runs if run.name == name]
    return min(alike, key=lambda run: first.get(run.folder.parent, len(first)), default=None)


def first_choice(runs: list[Run]) -> Run:
    """The run that a page opens with: of the first environment that has figures, the last method, the first seed."""
    analysed = [run for run in runs if exists(run.folder / ANALYSIS_FILE)] or runs
    env = analysed[0].config.env
    return max((run for run in analysed if run.config.env == env), key=lambda run: (_order(run)[1], -run.config.seed))


def stamp(folder: Path, *names: str) -> Stamp:
    """What a cache entry made from a folder's files is keyed by.

    Raises:
        CheckpointError: a file is missing, or cannot be looked at.
    """
    entries = []
    for name in names:
        path = folder / name
        try:
            status = path.stat()
        except OSError as error:
            if name == WEIGHTS and isinstance(error, FileNotFoundError):
                raise missing(folder, name) from error
            raise CheckpointError(f"{path} cannot be read: {reason(error)}.") from error
        entries.append((str(path), status.st_mtime_ns, status.st_size))
    return tuple(entries)


def load_agent(run: Run) -> "Agent":
    """The trained agent, shared between sessions: never change it.

    Raises:
        CheckpointError: the weights are missing, damaged or of another configuration.
    """
    return _load_agent(stamp(run.folder, CONFIG, WEIGHTS))


def load_episodes(run: Run) -> "Episodes":
    """The recorded episodes that ``python -m dali analyse`` or ``record`` left.

    Raises:
        CheckpointError: there are none, or they are damaged; names the command that makes them.
    """
    return (
        _load_episodes(stamp(run.folder, CONFIG, EPISODES_FILE))
        if exists(run.folder / EPISODES_FILE)
        else run.episodes()
    )


def load_readout(run: Run) -> "Readout":
    """Probe, code map and support, fitted on the recorded training contexts.

    Raises:
        DaliError: no recorded episodes, too few of them, or no codes in them.
    """
    episodes = load_episodes(run)
    if not run.config.method.infers_context:
        raise DaliError(f"{run.config.method.title} infers no context code, so there is nothing to read physics from.")
    figures = (ANALYSIS_FILE,) if (run.folder / ANALYSIS_FILE).exists() else ()
    return _fit_readout(stamp(run.folder, EPISODES_FILE, *figures), episodes, run.spec)


def load_analysis(run: Run) -> dict[str, Any] | None:
    """The figures that ``python -m dali analyse`` left, or None where it has not been run.

    Raises:
        CheckpointError: the file is damaged.
    """
    if not exists(run.folder / ANALYSIS_FILE):
        return None
    return _load_analysis(stamp(run.folder, ANALYSIS_FILE))


def figures_are_current(run: Run) -> bool:
    """False where the weights have changed since the figures were computed."""
    return _is_current(stamp(run.folder, CONFIG, weights_name(run.folder), ANALYSIS_FILE))


def choose_run() -> Run:
    """The picker in the sidebar, the same on every page. Stops the script with a hint where there is nothing to choose.

    ``?run=NAME`` in the URL chooses first; then what the session chose before, on whatever page.
    """
    require_app()
    runs, damaged = list_checkpoints()
    if not runs:
        show_damaged(damaged)
        explain_no_checkpoints(damaged)
        st.stop()
    names = names_of(runs)
    asked = st.query_params.get(CHOSEN, st.session_state.get(CHOSEN))
    chosen = find_run(runs, asked) or first_choice(runs)
    wanted = names[runs.index(chosen)]
    if asked is not None and find_run(runs, asked) is None:
        text = f"There is no readable checkpoint {asked!r}; this is {wanted!r}."
        st.warning(markdown(text), icon=":material/warning:")
    # The widget follows the choice, which outlives it: a page that does not show the picker would drop its own value.
    st.session_state[CHOSEN] = st.session_state["run_picker"] = wanted
    if st.query_params.get(CHOSEN) != wanted:  # each assignment is sent, and a new URL is a step of the history
        st.query_params[CHOSEN] = wanted
    st.sidebar.selectbox("Checkpoint", names, key="run_picker", on_change=_follow_picker)
    st.sidebar.caption(markdown(chosen.title))
    if len(checkpoints_folders()) > 1:
        st.sidebar.caption(f"In {code_span(shown_path(chosen.folder.parent))}")
    if damaged:
        with st.sidebar.expander(f"{len(damaged)} cannot be opened", icon=":material/error:"):
            show_damaged(damaged)
    return chosen


def show_damaged(damaged: list[Unreadable]) -> None:
    """Why each of these folders is not offered."""
    for item in damaged:
        st.error(f"**{markdown(item.folder.name)}** cannot be opened. {markdown(item.reason)}")


def explain_no_checkpoints(damaged: list[Unreadable]) -> None:
    """What to do next where no run can be opened."""
    st.info(
        f"No {'readable ' if damaged else ''}checkpoint in {' or '.join(map(code_span, checkpoints_folders()))}. "
        "Train one (about 40 minutes on two CPU cores for the pendulum), then compute its figures:",
        icon=":material/info:",
    )
    st.code(
        "python -m dali train --env pendulum --method dali_d_chi --preset small --seed 0\n"
        "python -m dali analyse checkpoints/pendulum-dali_d_chi-s0",
        language="bash",
    )


def stop_with(error: DaliError) -> None:
    """Shows what a user can put right and ends the page, not the app."""
    st.error(markdown(error), icon=":material/error:")
    st.stop()


def _order(run: Run) -> tuple[tuple[int, str], int, int, int, str]:
    config = run.config
    env, method, preset = catalogue.order(config.env), list(METHODS), list(PRESETS)
    return env, method.index(config.method.name), preset.index(config.preset), config.seed, run.name


def _follow_picker() -> None:
    st.session_state[CHOSEN] = st.query_params[CHOSEN] = st.session_state["run_picker"]


def _folder(files: Stamp) -> Path:
    return Path(files[0][0]).parent


@lru_cache(256)  # asked for every run in each script, several times: Streamlit's cache takes a millisecond to find one
def _open_run(files: Stamp) -> Run:
    return open_run(_folder(files))


@st.cache_resource(max_entries=4, show_spinner="Loading the agent …")
def _load_agent(files: Stamp) -> "Agent":
    return open_run(_folder(files)).agent()


@st.cache_resource(max_entries=4, show_spinner="Loading recorded episodes …")
def _load_episodes(files: Stamp) -> "Episodes":
    return open_run(_folder(files)).episodes()


@st.cache_resource(max_entries=4, show_spinner="Fitting the probe and the code map …")
def _fit_readout(files: Stamp, _episodes: "Episodes", _spec: EnvSpec) -> "Readout":
    from dali.runs.artifacts import fit_readout, load_typical

    return fit_readout(_episodes, _spec, load_typical(_folder(files)))


@st.cache_resource(max_entries=16, show_spinner=False)
def _load_analysis(files: Stamp) -> dict[str, Any]:
    found = open_run(_folder(files)).analysis()
    assert found is not None  # it is stamped, so it was there a moment ago
    return found


@st.cache_data(max_entries=64, show_spinner=False)
def _is_current(files: Stamp) -> bool:
    return open_run(_folder(files)).analysis_is_current()
