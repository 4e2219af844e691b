"""The checkpoints that the dashboard offers, loaded once and shared by all sessions; the picker that chooses one.

Everything is cached by path, modification time and size of the files it is made from, so that a run that trains on is
read anew. Cached objects are shared: nobody changes them. Torch and the analysis take seconds to import, and the first
screen needs neither; functions that do import them.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from dali.config import PRESETS, RunConfig
from dali.envs import catalogue
from dali.envs.spec import EnvSpec
from dali.errors import CheckpointError, DaliError
from dali.methods import METHODS
from dali.runs import folder as run_folder
from dali.runs.folder import ANALYSIS_FILE, CONFIG, WEIGHTS, list_runs, load_config
from dali.studio.style import require_app

if TYPE_CHECKING:
    from dali.episodes import Episodes
    from dali.model.agent import Agent
    from dali.runs.artifacts import Readout

ENVIRONMENT_VARIABLE = "DALI_CHECKPOINTS"
DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / "checkpoints"
CHOSEN = "run"  # the key of the session state and of the URL that holds the chosen run's name

Stamp = tuple[tuple[str, int, int], ...]  # path, modification time in ns and size of each file


@dataclass(frozen=True)
class Run:
    """A checkpoint whose configuration is readable."""

    folder: Path
    config: RunConfig

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def spec(self) -> EnvSpec:
        return catalogue.spec(self.config.env)

    @property
    def title(self) -> str:
        """What it is, for people."""
        c = self.config
        return f"{self.spec.title} · {c.method.title} · preset {c.preset} · seed {c.seed}"


@dataclass(frozen=True)
class Damaged:
    """A folder that looks like a checkpoint and cannot be read, with the reason."""

    folder: Path
    reason: str


def checkpoints_folder() -> Path:
    """The folder of runs: DALI_CHECKPOINTS, or checkpoints/ beside app.py."""
    return Path(os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_FOLDER)


def list_checkpoints(folder: Path | None = None) -> tuple[list[Run], list[Damaged]]:
    """The runs of a folder by environment, method, preset and seed, and those that this version cannot read."""
    runs: list[Run] = []
    damaged = []
    for path in list_runs(folder or checkpoints_folder()):
        try:
            runs.append(Run(path, _load_config(stamp(path, CONFIG))))
        except DaliError as error:
            damaged.append(Damaged(path, str(error)))
    return sorted(runs, key=_order), damaged


def first_choice(runs: list[Run]) -> Run:
    """The run that a page opens with: of the first environment that has figures, the last method, the first seed."""
    analysed = [run for run in runs if (run.folder / ANALYSIS_FILE).is_file()] or runs
    env = analysed[0].config.env
    return max((run for run in analysed if run.config.env == env), key=lambda run: (_order(run)[1], -run.config.seed))


def stamp(folder: Path, *names: str) -> Stamp:
    """What a cache entry made from a folder's files is keyed by.

    Raises:
        CheckpointError: a file is missing.
    """
    entries = []
    for name in names:
        path = folder / name
        try:
            status = path.stat()
        except OSError as error:
            raise CheckpointError(f"There is no {path}: {error.strerror}.") from error
        entries.append((str(path), status.st_mtime_ns, status.st_size))
    return tuple(entries)


def load_agent(run: Run) -> "Agent":
    """The trained agent, shared between sessions: never change it.

    Raises:
        CheckpointError: the weights are missing, damaged or of another configuration.
    """
    return _load_agent(stamp(run.folder, CONFIG, WEIGHTS))


def load_episodes(run: Run) -> "Episodes":
    """The recorded episodes that ``python -m dali analyse`` left.

    Raises:
        CheckpointError: there are none, or they are damaged; names the command that makes them.
    """
    from dali.runs.artifacts import EPISODES_FILE
    from dali.runs.artifacts import load_episodes as load

    path = run.folder / EPISODES_FILE
    return _load_episodes(stamp(run.folder, EPISODES_FILE)) if path.exists() else load(path)


def load_readout(run: Run) -> "Readout":
    """Probe, code map and support, fitted on the recorded training contexts.

    Raises:
        DaliError: no recorded episodes, too few of them, or no codes in them.
    """
    from dali.runs.artifacts import EPISODES_FILE

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
    if not (run.folder / ANALYSIS_FILE).exists():
        return None
    return _load_analysis(stamp(run.folder, ANALYSIS_FILE))


def figures_are_current(run: Run) -> bool:
    """False where the weights have changed since the figures were computed."""
    return _is_current(stamp(run.folder, CONFIG, WEIGHTS, ANALYSIS_FILE))


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
    names = [run.name for run in runs]
    first = first_choice(runs).name
    wanted = st.query_params.get(CHOSEN, st.session_state.get(CHOSEN))
    if wanted not in names:
        if wanted is not None:
            st.warning(f"There is no readable checkpoint {wanted!r}; this is {first!r}.", icon=":material/warning:")
        wanted = first
    # The widget follows the choice, which outlives it: a page that does not show the picker would drop its own value.
    st.session_state[CHOSEN] = st.session_state["run_picker"] = st.query_params[CHOSEN] = wanted
    st.sidebar.selectbox("Checkpoint", names, key="run_picker", on_change=_follow_picker)
    chosen = runs[names.index(wanted)]
    st.sidebar.caption(chosen.title)
    if damaged:
        with st.sidebar.expander(f"{len(damaged)} cannot be opened", icon=":material/error:"):
            show_damaged(damaged)
    return chosen


def show_damaged(damaged: list[Damaged]) -> None:
    """Why each of these folders is not offered."""
    for item in damaged:
        st.error(f"**{item.folder.name}** cannot be opened. {item.reason}")


def explain_no_checkpoints(damaged: list[Damaged]) -> None:
    """What to do next where no run can be opened."""
    st.info(
        f"No {'readable ' if damaged else ''}checkpoint in `{checkpoints_folder()}`. Train one (about 40 minutes on "
        "two CPU cores for the pendulum), then compute its figures:",
        icon=":material/info:",
    )
    st.code(
        "python -m dali train --env pendulum --method dali_d_chi --preset small --seed 0\n"
        "python -m dali analyse checkpoints/pendulum-dali_d_chi-s0",
        language="bash",
    )


def stop_with(error: DaliError) -> None:
    """Shows what a user can put right and ends the page, not the app."""
    st.error(str(error), icon=":material/error:")
    st.stop()


def _order(run: Run) -> tuple[int, int, int, int, str]:
    config = run.config
    env, method, preset = list(catalogue.CATALOGUE), list(METHODS), list(PRESETS)
    return env.index(config.env), method.index(config.method.name), preset.index(config.preset), config.seed, run.name


def _follow_picker() -> None:
    st.session_state[CHOSEN] = st.query_params[CHOSEN] = st.session_state["run_picker"]


def _folder(files: Stamp) -> Path:
    return Path(files[0][0]).parent


@st.cache_data(max_entries=64, show_spinner=False)
def _load_config(files: Stamp) -> RunConfig:
    config = load_config(_folder(files))
    catalogue.spec(config.env)  # a run of an environment that this version lacks cannot be opened
    return config


@st.cache_resource(max_entries=4, show_spinner="Loading the agent …")
def _load_agent(files: Stamp) -> "Agent":
    from dali.runs.checkpoint import load_agent

    return load_agent(_folder(files))


@st.cache_resource(max_entries=4, show_spinner="Loading recorded episodes …")
def _load_episodes(files: Stamp) -> "Episodes":
    from dali.runs.artifacts import load_episodes

    return load_episodes(Path(files[0][0]))


@st.cache_resource(max_entries=4, show_spinner="Fitting the probe and the code map …")
def _fit_readout(files: Stamp, _episodes: "Episodes", _spec: EnvSpec) -> "Readout":
    from dali.runs.artifacts import fit_readout, load_typical

    return fit_readout(_episodes, _spec, load_typical(_folder(files)))


@st.cache_resource(max_entries=16, show_spinner=False)
def _load_analysis(files: Stamp) -> dict[str, Any]:
    return run_folder.load_analysis(_folder(files))


@st.cache_data(max_entries=64, show_spinner=False)
def _is_current(files: Stamp) -> bool:
    folder = _folder(files)
    return run_folder.is_current(folder, run_folder.load_analysis(folder))
