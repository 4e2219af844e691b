"""``python -m dali analyse``."""

import json
from functools import partial
from typing import Annotated, Any, cast

import typer

from dali.cli.options import AsJson, Run
from dali.config import MAX_SEED
from dali.envs.units import number


def analyse(
    run: Run,
    seed: Annotated[
        int, typer.Option(min=0, max=MAX_SEED, help="Seed of held-out contexts, episodes and targets.")
    ] = 0,
    contexts: Annotated[int, typer.Option(min=10, max=10_000, help="Training contexts and held-out ones, each.")] = 100,
    engine: Annotated[
        str, typer.Option(help="What dreams: rssm (the world model) or dynamics (its ensemble of one-step models).")
    ] = "rssm",
    as_json: AsJson = False,
    save: Annotated[
        bool, typer.Option(help="Write latents.npz and analysis.json into the folder, for the app.")
    ] = True,
) -> None:
    """Recompute a checkpoint's figures from its weights: probes, steering skill, effective physics."""
    from dali.dreams.counterfactual import Engine, check_engine, engines
    from dali.envs import catalogue
    from dali.envs.adapter import no_real_counterfactual
    from dali.runs.artifacts import save_analysis
    from dali.runs.checkpoint import load_agent
    from dali.runs.folder import digest
    from dali.runs.report import analyse as compute

    weights = digest(run)
    agent = load_agent(run)
    check_engine(agent, engine)
    asked = cast(Engine, engine)
    result = compute(agent, seed, contexts, engines(agent) if save else (asked,))
    if save:
        save_analysis(run, result, weights)
    summary = result.summary(asked)
    restores = catalogue.simulator_class(agent.spec.name).restores_state
    missing = "too few exploratory episodes of 110 steps and more to steer"
    unsteered = missing if restores else no_real_counterfactual(agent.spec)
    typer.echo(json.dumps(summary) if as_json else _table(summary, unsteered))


def _table(summary: dict[str, Any], unsteered: str) -> str:
    """The summary for people, one block a factor; ``unsteered`` says why there are no figures of steering."""
    lines = []
    for name, probe in summary["probe"].items():
        steering, effective = summary["steering"][name], summary["effective"][name]
        unit = probe["unit"]
        lines += [
            f"{name}",
            f"  probe R² inside {_number(probe['r2_inside'])}, outside {_number(probe['r2_outside'])}, "
            f"shuffled control {_number(probe['r2_control'])}; error inside ±{_error(probe['mae_inside'])} {unit}",
        ]
        if steering["skill_25"] is None:
            lines.append(f"  {unsteered}")
            continue
        lines += [
            f"  steering skill at 25 steps {_number(steering['skill_25'])} {_interval(steering['skill_25_interval'])}, "
            f"of medians {_number(steering['skill_25_median'])} (shuffled moves "
            f"{_number(steering['control_25'])}), at 50 steps {_number(steering['skill_50'])}",
            f"  effective physics: slope {_number(effective['slope'])}, R² {_number(effective['r2'])}, "
            f"error ±{_error(effective['mae'])} {unit}, selectivity {_number(effective['selectivity'])}",
        ]
    for law, found in summary["closed_form"].items():
        lines.append(
            f"{law}: {found['error_mean']:.1%} off the closed form in the mean, at most {found['error_max']:.1%}; "
            f"smallest ratio {found['ratio_min']:.3f}"
        )
    counts = ", ".join(f"{count} {regime}" for regime, count in summary["contexts"].items())
    return "\n".join(
        [*lines, f"engine: {summary['engine']}; contexts: {counts}; seed {summary['seed']}; {summary['seconds']} s"]
    )


def _interval(bounds: list[float]) -> str:
    return f"[{bounds[0]:.2f}, {bounds[1]:.2f}]"


_number = partial(number, missing="-")


def _error(value: float) -> str:
    """With two decimals, or as many as its first digit takes."""
    return _number(value) if value >= 0.005 or value == 0 else f"{value:.1g}"
