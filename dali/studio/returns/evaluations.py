"""The evaluations beside the checkpoints, loaded once, and which runs still lack one."""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from dali.config import RunConfig
from dali.errors import CheckpointError
from dali.files.text import markdown
from dali.methods import METHODS
from dali.returns.comparison import setting, setting_changes
from dali.returns.evaluation import Evaluation
from dali.returns.scoring import Scores, compare
from dali.runs.folder import CONFIG, weights_name
from dali.runs.scores import EVAL_FILE
from dali.runs.scores import load_evaluation as load
from dali.studio import jobs
from dali.studio.folders import checkpoints_folders
from dali.studio.loaders import Run, Stamp, list_checkpoints, stamp

STATUS = Path("cache") / "evaluate.json"


@dataclass(frozen=True)
class Evaluated:
    """The runs of one environment and setting, by method in the order of METHODS, and those without an evaluation."""

    methods: dict[str, list[tuple[Run, Evaluation]]]
    missing: list[tuple[Run, str]]  # with the reason

    def scores(self, run: Run, chosen: list[str], normalised: bool) -> dict[str, Scores]:
        """Scores of the chosen methods on the contexts they share."""
        evaluations = {name: [e for _, e in self.methods[name]] for name in chosen}
        return compare(run.spec, evaluations, normalised)


def choose_comparable(run: Run) -> list[Run]:
    """Runs of an environment that differ in method and seed alone: those of most methods, or of the group picked.

    Runs of one folder are compared: in another there may be the same training again.
    """
    alike: dict[tuple[Path, RunConfig], list[Run]] = {}
    for other in list_checkpoints()[0]:
        if other.config.env == run.config.env:
            alike.setdefault((other.folder.parent, setting(other.config)), []).append(other)
    home = run.folder.parent
    groups = sorted(alike.values(), key=lambda runs: (runs[0].folder.parent != home, -len(_methods(runs)), -len(runs)))
    place = 0
    if len(groups) == 1:
        st.caption(f"Compared: {_describe(groups[0])}.")
    else:
        place = st.selectbox(
            "Compared",
            range(len(groups)),
            format_func=lambda i: _describe(groups[i]),
            key=f"compared:{run.config.env}:{home}",
            persist_state="session",
            help="Runs compare where they differ in method and seed alone; each entry is such a group.",
        )
    if changes := setting_changes(groups[place][0].config):
        st.caption(f"Changed from the preset: {', '.join(changes)}.")
    return groups[place]


def _methods(runs: list[Run]) -> set[str]:
    return {run.config.method_name for run in runs}


def _describe(runs: list[Run]) -> str:
    methods = _methods(runs)
    who = METHODS[methods.pop()].title if len(methods) == 1 else f"{len(methods)} methods"
    config, count = runs[0].config, "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    text = f"{who}, {count}: preset {config.preset}, {config.train.steps:,} environment steps"
    if changes := setting_changes(config):
        text += f", {len(changes)} {'field' if len(changes) == 1 else 'fields'} changed"
    if len(checkpoints_folders()) > 1:
        text += f", in {runs[0].folder.parent.name}"
    return text


def evaluated_runs(runs: list[Run]) -> Evaluated:
    """What was evaluated of these runs, and what was not."""
    methods: dict[str, list[tuple[Run, Evaluation]]] = {name: [] for name in METHODS}
    missing = []
    for run in runs:
        try:
            methods[run.config.method_name].append((run, load_evaluation(run)))
        except CheckpointError as error:
            missing.append((run, str(error)))
    return Evaluated({name: found for name, found in methods.items() if found}, missing)


def show_missing(evaluated: Evaluated) -> None:
    """Each run without an evaluation, the command that makes it, and a button that runs it in the background."""
    for run, reason in evaluated.missing:
        st.markdown(f"**{markdown(run.name)}**: {markdown(reason.split(';')[0].removesuffix('.'))}.")
        status = run.folder / STATUS
        if jobs.running(status, f"Evaluating {run.name}"):
            continue
        arguments = ["evaluate", str(run.folder), "--grid", "quick", "--episodes", "5"]
        with st.container(horizontal=True, vertical_alignment="center"):
            st.code(f"python -m dali {' '.join(arguments)}", language="bash")
            st.button(
                "Evaluate on a dozen contexts",
                key=f"evaluate:{run.name}",
                on_click=jobs.start,
                args=([*arguments, "--status", str(status)], status),
            )


def load_evaluation(run: Run) -> Evaluation:
    """The evaluation that ``python -m dali evaluate`` left.

    Raises:
        CheckpointError: there is none, it is damaged, or of other weights.
    """
    if not (run.folder / EVAL_FILE).exists():
        return load(run.folder)
    return _load(stamp(run.folder, CONFIG, weights_name(run.folder), EVAL_FILE))


@st.cache_resource(max_entries=64, show_spinner=False)
def _load(files: Stamp) -> Evaluation:
    return load(Path(files[0][0]).parent)
