"""What the overview tells of each checkpoint: a row of the table, and the figures of the chosen one."""

from typing import Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dali.errors import CheckpointError
from dali.files.text import code_span, markdown, without_images
from dali.methods import Method
from dali.runs.folder import EVAL_FILE, exists
from dali.studio.loaders import CHOSEN, Run, figures_are_current, load_analysis
from dali.studio.style import MISSING, amount, listed, number, train_range

CONTEXTS = {"none": "none", "given": "the true physics", "inferred": "inferred code z"}
PAGES = (
    ("latent_space", "What its code knows", ":material/scatter_plot:"),
    ("counterfactuals", "Turn its physics", ":material/movie:"),
    ("generalization", "How it generalises", ":material/public:"),
)
ROW_HEIGHT, MOST_ROWS = 32, 20  # of the table of checkpoints; height in pixels


def context_text(method: Method) -> str:
    """What a method knows of the physics, and which modules read it."""
    if method.source == "none":
        return "none, it is trained over random physics and sees none of it"
    what = CONTEXTS[method.source]
    where = "read by the posterior" if method.shallow else "read by sequence model, heads, actor and critic"
    return f"{what}, {where}" + ("; also trained to agree with the latent state" if method.cross_modal else "")


def analysis_of(run: Run) -> tuple[dict[str, Any] | None, str]:
    """A run's figures, if there are any, and their state in a few words."""
    if not run.config.method.infers_context:
        return None, "no code to analyse"
    try:
        record = load_analysis(run)
        if record is None:
            return None, "not analysed yet"
        factor_table(run, record["summary"])
        return record, "up to date" if figures_are_current(run) else "older than the weights"
    except CheckpointError as error:
        return None, str(error)
    except (KeyError, TypeError):
        return None, "made by another version"


def table(runs: list[Run]) -> list[dict[str, Any]]:
    """One row a checkpoint, with its figures; those that need an import of seconds are left to `add_returns`."""
    rows = []
    for run in runs:
        record, state = analysis_of(run)
        summary = record["summary"] if record else {"probe": {}, "steering": {}}
        config = run.config
        rows.append(
            {
                "Checkpoint": run.name,
                "Method": config.method.title,
                "Probe R² inside": _by_factor(run, summary["probe"], "r2_inside"),
                "Steering skill, 25 steps": _by_factor(run, summary["steering"], "skill_25"),
                "Figures": state,
                "Environment": run.spec.title,
                "Trained": f"{config.train.steps:,} steps, preset {config.preset}, seed {config.seed}",
            }
        )
    return rows


def factor_table(run: Run, summary: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a context feature: what probe, steering and effective physics came to."""
    rows = []
    for feature in run.spec.features:
        probe, steering, effective = (summary[part][feature.name] for part in ("probe", "steering", "effective"))
        rows.append(
            {
                "Feature": f"{feature.title}",
                "Train range": train_range(feature),
                "Probe R² inside": probe["r2_inside"],
                "outside": probe["r2_outside"],
                "shuffled": probe["r2_control"],
                "Probe error": f"± {amount(feature, probe['mae_inside'])}",
                "Steering skill, 25 steps": steering["skill_25"],
                "50 steps": steering["skill_50"],
                "Effective physics: slope": effective["slope"],
                "R²": effective["r2"],
                "error": f"± {amount(feature, effective['mae'])}",
            }
        )
    return rows


def add_returns(rows: list[dict[str, Any]], runs: list[Run]) -> list[dict[str, Any]]:
    """The rows of `table` with the return under the default physics, after the method."""
    found = [default_return(run) for run in runs]
    shown = [MISSING if f is None else f"{number(f[0], 0)} ({number(f[1], 0)})" for f in found]
    return [
        {**dict(list(row.items())[:2]), "Return (random)": text, **row} for row, text in zip(rows, shown, strict=True)
    ]


def show_table(place: DeltaGenerator, rows: list[dict[str, Any]]) -> None:
    """The table of checkpoints, high enough for a score of them without scrolling."""
    place.dataframe(
        rows,
        hide_index=True,
        height=ROW_HEIGHT * (1 + min(len(rows), MOST_ROWS)) + 3,
        row_height=ROW_HEIGHT,
        column_config={
            "Checkpoint": st.column_config.TextColumn(pinned=True),
            "Probe R² inside": st.column_config.TextColumn(width=200),
            "Steering skill, 25 steps": st.column_config.TextColumn(width=200),
        },
    )


def show_way_on(run: Run) -> None:
    """Links to the pages that have something to show of a run."""
    with st.container(horizontal=True):
        for page, label, icon in PAGES:
            if page != "latent_space" or run.config.method.infers_context:
                st.page_link(f"pages/{page}.py", label=label, icon=icon, query_params={CHOSEN: run.name})


def is_evaluated(run: Run) -> bool:
    """True where returns were recorded, of whatever weights."""
    return exists(run.folder / EVAL_FILE)


def default_return(run: Run) -> tuple[float, float] | None:
    """Mean return under the default physics, of the agent and of random actions; None where it was not evaluated."""
    from dali.studio.returns.evaluations import load_evaluation  # torch takes seconds to import

    try:
        evaluation = load_evaluation(run)
    except CheckpointError:
        return None
    at_default = np.flatnonzero(np.isclose(evaluation.contexts, run.spec.default_context).all(1))
    if not len(at_default):
        return None
    row = evaluation.by_context.iloc[at_default[0]]
    return float(row["return"]), float(row["random_return"])


def show_training(run: Run) -> None:
    """How the run was trained, as far as it says so itself."""
    try:
        record = run.record()
    except CheckpointError as error:
        st.warning(markdown(error))
        return
    if record is None:
        return
    seconds, steps, machine, command = (record[k] for k in ("wall_seconds", "env_steps", "machine", "command"))
    text = f"{steps:,} environment steps in {seconds / 60:.0f} minutes on {markdown(machine)}."
    st.caption(f"{text} Train it anew with {code_span(command)}")


def show_card(run: Run) -> None:
    """The model card, if the run has one; its images are links, so that looking at it fetches nothing."""
    try:
        text = run.card()
    except CheckpointError as error:
        st.warning(markdown(error))
        return
    if text is not None:
        with st.expander("Model card", icon=":material/description:"):
            st.markdown(without_images(text))


def _by_factor(run: Run, values: dict[str, dict[str, Any]], key: str) -> str:
    if not values:
        return MISSING
    return listed([f"{f.label} {number(values[f.name][key])}" for f in run.spec.features])
