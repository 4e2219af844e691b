"""The model card of a checkpoint: what it is, what it reaches and what it does not, each figure with its command."""

from pathlib import Path
from typing import Any

from dali.envs.units import number, train_range
from dali.model.agent import Agent
from dali.returns.held_out import HeldOutReturns
from dali.runs.folder import analysis_command


def render_card(
    name: str,
    agent: Agent,
    training: dict[str, Any] | None,
    played: HeldOutReturns | None,
    analysis: dict[str, Any] | None,
    command: str,
) -> str:
    """The card as Markdown.

    Args:
        training: training.json, or None where the run was made without.
        played: from the run's evaluation, or None where it was not evaluated on all of those contexts.
        analysis: what ``python -m dali analyse`` left of these weights, or None.
        command: what writes this card anew.
    """
    spec, method = agent.spec, agent.method
    parts = [
        f"# {name}",
        f"{method.title} on {spec.title}, preset `{agent.config.preset}`, seed {agent.config.seed}. "
        + _context_sentence(agent),
        "## Training",
        _training(agent, training),
        "## Return",
        _returns(name, played),
        "## Code",
        _code(name, agent, analysis),
        "## Recompute",
        f"`{command}` writes this page anew from the weights. The agent acts by the modes of latents and actions, so "
        "that the same machine gives the same returns each time.",
    ]
    return "\n\n".join(parts) + "\n"


def _context_sentence(agent: Agent) -> str:
    features = " and ".join(f"{f.label} ({train_range(f)})" for f in agent.spec.features)
    kind = {
        "none": "It knows nothing of the physics but what it observes",
        "given": "It is given the true physics",
        "inferred": "It infers the physics from its last transitions and is never given it",
    }[agent.method.source]
    return f"{kind}; trained on {agent.config.train.contexts} contexts of {features}."


def _training(agent: Agent, training: dict[str, Any] | None) -> str:
    parameters = sum(p.numel() for p in agent.parameters())
    sizes = f"{parameters / 1e6:.2f} million parameters"
    if training is None:
        return (
            f"| | |\n|---|---|\n| parameters | {sizes} |\n"
            f"| planned | {agent.config.train.steps:,} environment steps |\n\n"
            "The command, the machine and the time of this run were not recorded."
        )
    versions = ", ".join(f"{package} {version}" for package, version in training["versions"].items())
    rows = {
        "command": f"`{training['command']}`",
        "environment steps": f"{training['env_steps']:,}",
        "updates": f"{training['updates']:,}",
        "time": _duration(training["wall_seconds"]),
        "machine": training["machine"],
        "parameters": sizes,
        "versions": versions,
    }
    text = "| | |\n|---|---|\n" + "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    if training["env_steps"] < agent.config.train.steps:
        text += (
            f"\n\nTraining was stopped after {training['env_steps']:,} of the {agent.config.train.steps:,} environment "
            "steps that were planned."
        )
    return text


def _returns(name: str, played: HeldOutReturns | None) -> str:
    command = f"`python -m dali evaluate checkpoints/{name}`"
    if played is None:
        return f"Not evaluated yet: {command}."
    mean, low = played.agent.mean(), played.random.mean()
    reference = "-" if played.reference is None else f"{played.reference:.1f}"
    text = (
        "| physics | agent | random policy | reference |\n|---|---|---|---|\n"
        f"| {played.title} | {mean:.1f} ± {played.agent.std():.1f} | {low:.1f} ± {played.random.std():.1f} "
        f"| {reference} |\n\nMean return of an episode ± standard deviation over contexts, from {command}."
    )
    if played.reference is not None:
        share = (mean - low) / (played.reference - low)
        text += f" Reference: {played.reference_kind}. The agent covers {share:.0%} of the way from random to it."
    spread = (played.agent.std() + played.random.std()) / len(played.agent) ** 0.5
    if mean < low + 2 * spread:
        text += " **The policy is not clearly better than random actions.**"
    return text


def _code(name: str, agent: Agent, analysis: dict[str, Any] | None) -> str:
    if not agent.method.infers_context:
        return f"{agent.method.title} infers no code, so there is nothing to probe or to steer."
    summary = analysis["summary"] if analysis else None
    command = f"`{analysis_command(Path('checkpoints') / name, summary)}`"
    if analysis is None or summary is None:
        return f"Not analysed yet: {command}."
    summaries = [summary, *([analysis["dynamics"]["summary"]] if "dynamics" in analysis else [])]
    probes = [_row(f.label, [summary["probe"][f.name][k] for k in _PROBE]) for f in agent.spec.features]
    dreams = [
        _row(f"{f.label} | `{found.get('engine', 'rssm')}`", _dream_cells(found, f.name))
        for f in agent.spec.features
        for found in summaries
    ]
    counts = ", ".join(f"{count} {regime}" for regime, count in summary["contexts"].items())
    parts = [
        "\n".join(["| | probe R² inside | outside | shuffled control |", "|---|---|---|---|", *probes]),
        "\n".join(
            [
                "| | engine | steering skill, 25 steps | 95 % interval | of medians | shuffled moves | 50 steps "
                "| effective physics: slope | R² |",
                "|" + "---|" * 9,
                *dreams,
            ]
        ),
        f"From {command}; contexts: {counts}; `--engine` picks what dreams. On exploratory episodes, acted by smooth "
        "noise; `--json` gives those of the policy's own episodes apart. Probe: ridge regression from the code to the "
        "physics, fitted on training contexts and judged on others; outside the range it depends on how the episodes "
        "are excited. Dreams hand on the means of their latents. Skill: 1 - error of the steered dream / error of the "
        "unsteered one, against the simulator at the requested physics, mean errors over contexts; at 0 steering is of "
        "no use. Interval: bootstrap over contexts. Slope: effective physics against physics asked for; 1 is ideal. "
        "`rssm` dreams with the world model, in which the policy was trained, `dynamics` with its ensemble of one-step "
        "models; neither is told the physics.",
        *[line for found in summaries if (line := _laws(found))],
    ]
    weak = [reason for f in agent.spec.features for reason in _missed(f.label, f.name, summary)]
    return "\n\n".join(parts) + (f" **Not reached: {'; '.join(weak)}.**" if weak else "")


_PROBE = ("r2_inside", "r2_outside", "r2_control")


def _row(head: str, values: list[Any]) -> str:
    cells = [v if isinstance(v, str) else "-" if v is None else f"{v:.2f}" for v in values]
    return f"| {head} | " + " | ".join(cells) + " |"


def _dream_cells(summary: dict[str, Any], feature: str) -> list[Any]:
    """Figures of one engine's dreams; those that older analyses lack are None."""
    steering, effective = summary["steering"][feature], summary["effective"][feature]
    interval = steering.get("skill_25_interval")
    return [
        steering["skill_25"],
        None if interval is None else f"{interval[0]:.2f} to {interval[1]:.2f}",
        steering.get("skill_25_median"),
        steering.get("control_25"),
        steering["skill_50"],
        effective["slope"],
        effective.get("r2"),
    ]


def _laws(summary: dict[str, Any]) -> str:
    """Dreams against closed forms, in a sentence; empty where the environment has none."""
    found = summary.get("closed_form") or {}
    parts = [f"{law} {f['error_mean']:.1%} off in the mean, at most {f['error_max']:.1%}" for law, f in found.items()]
    return f"`{summary['engine']}` against closed forms: {'; '.join(parts)}." if parts else ""


def _missed(label: str, feature: str, summary: dict[str, Any]) -> list[str]:
    """What a reader should be warned of."""
    r2, skill = summary["probe"][feature]["r2_inside"], summary["steering"][feature]["skill_25"]
    missed = []
    if _below(r2, 0.5):
        missed.append(f"the code does not tell {label} well (R² {number(r2, missing='undefined')})")
    if _below(skill, 0.25):
        missed.append(f"steering {label} changes its dreams little (skill {number(skill, missing='undefined')})")
    return missed


def _below(value: float | None, limit: float) -> bool:
    return value is None or value < limit


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
