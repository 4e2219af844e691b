"""The model card of a checkpoint: what it is, what it reaches and what it does not, each figure with its command."""

from pathlib import Path
from typing import Any

from dali.model.agent import Agent
from dali.returns.held_out import HeldOutReturns
from dali.runs.folder import analysis_command


def render_card(
    name: str,
    agent: Agent,
    training: dict[str, Any] | None,
    played: HeldOutReturns | None,
    summary: dict[str, Any] | None,
    command: str,
) -> str:
    """The card as Markdown.

    Args:
        training: training.json, or None where the run was made without.
        played: from the run's evaluation, or None where it was not evaluated on all of those contexts.
        summary: the summary of ``python -m dali analyse`` on these weights, or None.
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
        _returns(name, agent, played),
        "## Code",
        _code(name, agent, summary),
        "## Recompute",
        f"`{command}` writes this page anew from the weights. The agent acts by the modes of latents and actions, so "
        "that the same machine gives the same returns each time.",
    ]
    return "\n\n".join(parts) + "\n"


def _context_sentence(agent: Agent) -> str:
    features = " and ".join(
        f"{f.label} ({f.train[0]:g} to {f.train[1]:g}{'' if f.unit == 'x' else ' '}{f.unit})"
        for f in agent.spec.features
    )
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


def _returns(name: str, agent: Agent, played: HeldOutReturns | None) -> str:
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


def _code(name: str, agent: Agent, summary: dict[str, Any] | None) -> str:
    if not agent.method.infers_context:
        return f"{agent.method.title} infers no code, so there is nothing to probe or to steer."
    command = f"`{analysis_command(Path('checkpoints') / name, summary)}`"
    if summary is None:
        return f"Not analysed yet: {command}."
    head = (
        "| | probe R² inside | outside | shuffled control | steering skill, 25 steps | 50 steps | effective slope |\n"
        "|---|---|---|---|---|---|---|"
    )
    rows, weak = [], []
    for feature in agent.spec.features:
        probe, steering = summary["probe"][feature.name], summary["steering"][feature.name]
        effective = summary["effective"][feature.name]
        values = [probe["r2_inside"], probe["r2_outside"], probe["r2_control"], steering["skill_25"]]
        values += [steering["skill_50"], effective["slope"]]
        rows.append(f"| {feature.label} | " + " | ".join("-" if v is None else f"{v:.2f}" for v in values) + " |")
        if _below(probe["r2_inside"], 0.5):
            weak.append(f"the code does not tell {feature.label} well (R² {_shown(probe['r2_inside'])})")
        if _below(steering["skill_25"], 0.25):
            weak.append(f"steering {feature.label} changes its dreams little (skill {_shown(steering['skill_25'])})")
    counts = ", ".join(f"{count} {regime}" for regime, count in summary["contexts"].items())
    text = "\n".join([head, *rows]) + (
        f"\n\nFrom {command}; contexts: {counts}. "
        "On exploratory episodes; `--json` gives those of the policy's own episodes apart. "
        "Probe: ridge regression from the code to the physics, fitted on training contexts and judged on others. "
        "Skill: 1 - error of the steered dream / error of the unsteered one, against the simulator at the requested "
        "physics; at 0 steering is of no use. Slope: physics found in the dream against physics asked for; 1 is ideal."
    )
    return text + (f" **Not reached: {'; '.join(weak)}.**" if weak else "")


def _below(value: float | None, limit: float) -> bool:
    return value is None or value < limit


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
