"""What the overview tells of each checkpoint: a row of the table, and the figures of the chosen one."""

from typing import Any

from dali.errors import CheckpointError
from dali.methods import Method
from dali.studio.loaders import Run, figures_are_current, load_analysis
from dali.studio.style import listed, number

CONTEXTS = {"none": "none", "given": "the true physics", "inferred": "inferred code z"}


def context_text(method: Method) -> str:
    """What a method knows of the physics, and which modules read it."""
    if method.source == "none":
        return "no context: trained over random physics"
    what = CONTEXTS[method.source]
    where = "enters the posterior" if method.shallow else "enters sequence model, heads, actor and critic"
    return f"{what}, {where}" + (", aligned with the state" if method.cross_modal else "")


def analysis_of(run: Run) -> tuple[dict[str, Any] | None, str]:
    """A run's figures, if there are any, and their state in a few words."""
    if not run.config.method.infers_context:
        return None, "no code to analyse"
    try:
        record = load_analysis(run)
        if record is None:
            return None, "not analysed yet"
        return record, "up to date" if figures_are_current(run) else "older than the weights"
    except CheckpointError as error:
        return None, str(error)


def table(runs: list[Run]) -> list[dict[str, Any]]:
    """One row a checkpoint."""
    rows = []
    for run in runs:
        record, state = analysis_of(run)
        summary = record["summary"] if record else {"probe": {}, "steering": {}}
        config = run.config
        rows.append(
            {
                "Checkpoint": run.name,
                "Environment": run.spec.title,
                "Hidden physics": listed([f"{f.label} ({f.unit})" for f in run.spec.features]),
                "Method": config.method.title,
                "Context": CONTEXTS[config.method.source],
                "Preset": config.preset,
                "Seed": config.seed,
                "Steps": config.train.steps,
                "Probe R² inside": _by_factor(summary["probe"], "r2_inside"),
                "Steering skill, 25 steps": _by_factor(summary["steering"], "skill_25"),
                "Figures": state,
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
                "Feature": f"{feature.label} {feature.name}",
                "Train range": f"{feature.train[0]:g} to {feature.train[1]:g} {feature.unit}",
                "Probe R² inside": probe["r2_inside"],
                "outside": probe["r2_outside"],
                "shuffled": probe["r2_control"],
                "Probe error": f"± {number(probe['mae_inside'], 2, probe['unit'])}",
                "Steering skill, 25 steps": steering["skill_25"],
                "50 steps": steering["skill_50"],
                "Effective physics: slope": effective["slope"],
                "R²": effective["r2"],
                "error": f"± {number(effective['mae'], 2, effective['unit'])}",
            }
        )
    return rows


def _by_factor(values: dict[str, dict[str, Any]], key: str) -> str:
    return listed([f"{name} {number(figures[key])}" for name, figures in values.items()])
