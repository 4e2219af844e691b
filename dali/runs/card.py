"""The model card of a checkpoint: what it is, what it reaches and what it does not, each figure with its command."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dali.envs.contexts import check_held_out, sample_contexts
from dali.model.agent import Agent
from dali.returns.play import evaluate, plan_episodes, return_at_default
from dali.returns.reference import card_contexts, load_references
from dali.runs.folder import analysis_command


@dataclass(frozen=True)
class PlayedReturns:
    """Returns of an agent on one set of contexts, beside what bounds them. E: episodes in all."""

    contexts: int
    agent: np.ndarray  # (E,)
    random: np.ndarray  # (E,)
    reference: float | None  # mean return of the reference on the same contexts
    reference_kind: str | None


def measure_returns(agent: Agent, episodes: int, seed: int) -> tuple[PlayedReturns, PlayedReturns]:
    """Returns under the default physics, and on the card's held-out contexts inside the train range.

    Raises:
        DaliError: one of those contexts was trained on.
    """
    spec = agent.spec
    references = load_references(spec.name)
    held_out = card_contexts(spec)
    check_held_out(spec, held_out, sample_contexts(spec, agent.config.train.contexts, agent.config.seed))
    regimes, grids = ["interpolation"] * len(held_out), ["card"] * len(held_out)
    asked = plan_episodes(spec, held_out, regimes, grids, episodes, seed)
    result = evaluate(agent, asked, seed).episodes

    def played(contexts: np.ndarray, ours: np.ndarray, random: np.ndarray) -> PlayedReturns:
        reference = np.nan if references is None else references.at(contexts)[1].mean()
        if references is None or np.isnan(reference):
            return PlayedReturns(len(contexts), ours.ravel(), random.ravel(), None, None)
        return PlayedReturns(len(contexts), ours.ravel(), random.ravel(), float(reference), references.expert_kind)

    return (
        played(spec.default_context[None], *return_at_default(agent, episodes, seed)),
        played(held_out, result["return"].to_numpy(), result["random_return"].to_numpy()),
    )


def render_card(
    name: str,
    agent: Agent,
    training: dict[str, Any] | None,
    default: PlayedReturns,
    held_out: PlayedReturns,
    summary: dict[str, Any] | None,
    command: str,
) -> str:
    """The card as Markdown.

    Args:
        training: training.json, or None where the run was made without.
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
        _returns(agent, default, held_out),
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


def _returns(agent: Agent, default: PlayedReturns, held_out: PlayedReturns) -> str:
    head = "| physics | episodes | agent | random policy | reference |\n|---|---|---|---|---|"
    rows = [
        _return_row("default", default),
        _return_row(f"{held_out.contexts} held-out contexts inside the train range", held_out),
    ]
    text = "\n".join([head, *rows]) + "\n\nMean return of an episode ± standard deviation over episodes."
    if default.reference_kind:
        text += f" Reference: {default.reference_kind}."
    if held_out.reference is not None:
        low = held_out.random.mean()
        share = (held_out.agent.mean() - low) / (held_out.reference - low)
        text += f" On the held-out contexts the agent covers {share:.0%} of the way from random to reference."
    spread = held_out.agent.std() / len(held_out.agent) ** 0.5 + held_out.random.std() / len(held_out.random) ** 0.5
    if held_out.agent.mean() < held_out.random.mean() + 2 * spread:
        text += " **The policy is not clearly better than random actions.**"
    return text


def _return_row(label: str, played: PlayedReturns) -> str:
    agent, random = (f"{r.mean():.1f} ± {r.std():.1f}" for r in (played.agent, played.random))
    reference = "-" if played.reference is None else f"{played.reference:.1f}"
    return f"| {label} | {len(played.agent)} | {agent} | {random} | {reference} |"


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
