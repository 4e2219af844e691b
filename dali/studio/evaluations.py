"""The evaluations beside the checkpoints, loaded once, and which runs still lack one."""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from dali.analysis.comparison import setting, setting_text
from dali.analysis.evaluate import Evaluation
from dali.analysis.scoring import Scores, compare
from dali.errors import CheckpointError
from dali.methods import METHODS
from dali.run_folder import CONFIG, WEIGHTS
from dali.scores import EVAL_FILE
from dali.scores import load_evaluation as load
from dali.studio import jobs
from dali.studio.loaders import Run, Stamp, list_checkpoints, stamp

STATUS = Path("cache") / "evaluate.json"


@dataclass(frozen=True)
class Evaluated:
    """The runs of one environment and setting, by method in the order of METHODS, and those without an evaluation."""

    methods: dict[str, list[tuple[Run, Evaluation]]]
    missing: list[tuple[Run, str]]  # with the reason
    other: int  # runs of the environment with another setting, which are not comparable

    def scores(self, run: Run, chosen: list[str], normalised: bool) -> dict[str, Scores]:
        """Scores of the chosen methods on the contexts they share."""
        evaluations = {name: [e for _, e in self.methods[name]] for name in chosen}
        return compare(run.spec, evaluations, normalised)

    def owner(self, method: str, preferred: Run) -> Run:
        """The preferred run where it is of that method, else the method's first."""
        runs = [run for run, _ in self.methods[method]]
        return preferred if preferred in runs else runs[0]


def evaluated_runs(like: Run) -> Evaluated:
    """All runs that differ from one in method and seed alone: others are not comparable with it."""
    methods: dict[str, list[tuple[Run, Evaluation]]] = {name: [] for name in METHODS}
    missing, other, wanted = [], 0, setting(like.config)
    for run in list_checkpoints()[0]:
        if run.config.env != like.config.env:
            continue
        if setting(run.config) != wanted:
            other += 1
            continue
        try:
            methods[run.config.method_name].append((run, load_evaluation(run)))
        except CheckpointError as error:
            missing.append((run, str(error)))
    return Evaluated({name: found for name, found in methods.items() if found}, missing, other)


def show_setting(evaluated: Evaluated, like: Run) -> None:
    """What the runs that are compared have in common, how many there are, and how many are left out."""
    count = sum(map(len, evaluated.methods.values()))
    text = f"{count} evaluated {'run' if count == 1 else 'runs'} of {like.spec.title.lower()}: "
    text += setting_text(like.config)
    if evaluated.other:
        text += f". Not comparable and left out: {evaluated.other} with other settings; choose one of them to see it"
    st.caption(f"{text}.")


def show_missing(evaluated: Evaluated) -> None:
    """Each run without an evaluation, the command that makes it, and a button that runs it in the background."""
    for run, reason in evaluated.missing:
        st.markdown(f"**{run.name}**: {reason.split(';')[0].removesuffix('.')}.")
        status = run.folder / STATUS
        found = jobs.watch(status, f"Evaluating {run.name}")
        if found is not None and found.state == "running":
            continue
        if found is not None and found.state == "failed":
            st.error(found.text)
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
    return _load(stamp(run.folder, CONFIG, WEIGHTS, EVAL_FILE))


@st.cache_resource(max_entries=64, show_spinner=False)
def _load(files: Stamp) -> Evaluation:
    return load(Path(files[0][0]).parent)
