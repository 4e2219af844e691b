"""The tables of checkpoints on the overview, one an environment, and the figures that they and a run's summary show."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from dali.envs.spec import EnvSpec
from dali.envs.units import MISSING, quantity, train_range
from dali.errors import CheckpointError
from dali.returns.held_out import held_out_returns
from dali.studio.folders import names_of
from dali.studio.loaders import CHOSEN, Run, figures_are_current, first_choice, load_analysis
from dali.studio.returns.evaluations import load_evaluation

SHOWN = "overview_shown"  # session state: the run whose row was clicked
ROW_HEIGHT, MOST_ROWS = 32, 20  # of a table of checkpoints; height in pixels
RETURN_HELP = (
    "Mean return of an episode on the protocol's held-out contexts inside the train range, as in the model card; blank "
    "where the run was not evaluated on all of them."
)
FIGURES = (("R²", "probe", "r2_inside"), ("Skill", "steering", "skill_25"))


def analysis_of(run: Run) -> tuple[dict[str, Any] | None, str]:
    """A run's figures, if there are any, and their state in a few words."""
    if not run.config.method.infers_context:
        return None, "no code"
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


def table(runs: list[Run], names: list[str] | None = None) -> list[dict[str, Any]]:
    """One row a checkpoint of one environment, its figures as numbers; what is not known is None.

    Args:
        names: what the runs are called, where others are shown beside them.
    """
    rows = []
    for run, name in zip(runs, names or names_of(runs), strict=True):
        record, state = analysis_of(run)
        summary = record["summary"] if record else None
        config = run.config
        agent, random = held_out_return(run) or (None, None)
        row: dict[str, Any] = {"Checkpoint": name, "Method": config.method.title, "Return": agent, "Random": random}
        for title, part, key in FIGURES:
            for feature in run.spec.features:
                value = summary[part][feature.name][key] if summary else None
                row[f"{title} {feature.label}"] = None if value is None else round(value, 2) + 0.0  # never "-0.00"
        row |= {"Steps": config.train.steps, "Seed": config.seed, "Preset": config.preset, "Figures": state}
        rows.append(row)
    return rows


def by_environment(runs: list[Run]) -> dict[str, list[Run]]:
    """Runs by environment; the flagship's environment first, and in each its flagship."""
    flagship = first_choice(runs)
    groups: dict[str, list[Run]] = {flagship.config.env: []}
    for run in runs:
        groups.setdefault(run.config.env, []).append(run)
    return {env: sorted(found, key=lambda run: run != first_choice(found)) for env, found in groups.items()}


def show_tables(runs: list[Run]) -> None:
    """The checkpoints, a table an environment; a click on a cell opens its run."""
    called = dict(zip((run.folder for run in runs), names_of(runs), strict=True))
    for env, found in by_environment(runs).items():
        names = [called[run.folder] for run in found]
        spec = found[0].spec
        ranges = ", ".join(f"{f.label} {train_range(f)}" for f in spec.features)
        st.subheader(spec.title, anchor=False)
        st.caption(f"Hidden physics, with the range of training: {ranges}. Click a row to open its run.")
        rows = table(found, names)
        st.dataframe(
            rows,
            hide_index=True,
            height=ROW_HEIGHT * (1 + min(len(rows), MOST_ROWS)) + 3,
            row_height=ROW_HEIGHT,
            column_config=_columns(spec),
            key=f"checkpoints:{env}",
            on_select=_click(env, names),
            selection_mode="single-cell",
            placeholder=MISSING,
        )
    st.caption(
        "R²: how well a linear probe reads the physics off the code, on contexts never trained on. Skill: how much "
        "less a dream errs for being moved to another physics, over 25 steps; 1 is ideal, 0 useless. Return: "
        + RETURN_HELP[0].lower() + RETURN_HELP[1:]
    )  # fmt: skip


def _columns(spec: EnvSpec) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "Checkpoint": st.column_config.TextColumn(pinned=True, width=190),
        "Return": st.column_config.NumberColumn(format="%.1f", help=RETURN_HELP),
        "Random": st.column_config.NumberColumn(format="%.1f", help="The same of random actions."),
        "Steps": st.column_config.NumberColumn(format="localized"),
    }
    for title, *_ in FIGURES:
        for feature in spec.features:
            columns[f"{title} {feature.label}"] = st.column_config.NumberColumn(format="%.2f")
    return columns


def _click(env: str, names: list[str]) -> Callable[[], None]:
    """What a click on a cell does: chooses its run and opens it."""

    def follow() -> None:
        cells = st.session_state[f"checkpoints:{env}"].selection.cells
        if cells:
            name = names[cells[0][0]]
            st.session_state[CHOSEN] = st.query_params[CHOSEN] = st.session_state[SHOWN] = name

    return follow


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
                "Probe error": f"± {quantity(feature, probe['mae_inside'])}",
                "Steering skill, 25 steps": steering["skill_25"],
                "50 steps": steering["skill_50"],
                "Effective physics: slope": effective["slope"],
                "R²": effective["r2"],
                "error": f"± {quantity(feature, effective['mae'])}",
            }
        )
    return rows


def held_out_return(run: Run) -> tuple[float, float] | None:
    """Mean return on the protocol's contexts inside the train range, of the agent and of random actions.

    None where it was not evaluated on all of them.
    """
    try:
        found = held_out_returns(run.spec, load_evaluation(run))
    except CheckpointError:
        return None
    return None if found is None else (float(found.agent.mean()), float(found.random.mean()))
