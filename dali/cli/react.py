"""``python -m dali react``."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from dali.cli.options import AsJson, Run, Status

if TYPE_CHECKING:
    from dali.returns.sensitivity import Reaction


def react(
    run: Run,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes of each of the card's held-out contexts.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Seed of start states and random directions.")] = 0,
    as_json: AsJson = False,
    status: Status = None,
) -> None:
    """Which physics a policy reacts to: its actions under moved contexts, and the return lost without them.

    Writes reaction.json into the folder. Where the context is inferred, `analyse` must have been run before.
    """
    from dali.jobs import reporting
    from dali.returns.sensitivity import measure_reaction
    from dali.runs.checkpoint import load_agent
    from dali.runs.folder import digest
    from dali.runs.reaction import REACTION_FILE, context_moves, save_reaction

    with reporting(status) as report:
        weights = digest(run)
        agent = load_agent(run)
        report(0, 2, "finding what moves the context")
        moves = context_moves(agent, run) if agent.method.source != "none" else lambda c_from, c_to: c_to
        report(1, 2, "playing episodes with the context moved, frozen, shuffled and delayed")
        reaction = measure_reaction(agent, moves, episodes, seed)
        save_reaction(run, reaction, weights)
    typer.echo(json.dumps(asdict(reaction)) if as_json else f"{_table(reaction)}\nWrote {run / REACTION_FILE}")


def _table(reaction: "Reaction") -> str:
    """Both measurements for people."""
    lines = [f"Change of the action over {reaction.states} states [95 % interval, over {reaction.contexts} contexts]"]
    for feature in reaction.features:
        lines.append(
            f"  {feature.feature:20s} moved by a quarter of its train range {feature.action.text(3)}, "
            f"random moves as long {feature.random.text(3)}"
        )
    lines.append("Return lost with the context")
    for change in reaction.lost:
        share = f", {change.normalised.text(2)} of the way from random to reference" if change.normalised else ""
        lines.append(f"  {change.change:20s} {change.lost.text(1)}{share}")
    return "\n".join(lines)
