"""``python -m dali compact``."""

from typing import Annotated

import typer

from dali.cli.options import Run


def compact(
    run: Run,
    figures_only: Annotated[
        bool, typer.Option("--figures-only", help="Leave the weights out; keep what was evaluated and analysed.")
    ] = False,
) -> None:
    """Halve a checkpoint for shipping: 16-bit weights, no trainer's state, no films. Analyse and evaluate it after."""
    from dali.runs.checkpoint import compact_agent, leave_out_weights

    if figures_only:
        typer.echo(f"{run}: {leave_out_weights(run) / 1e6:.1f} MB of weights are left out; its figures stay.")
        return
    before, after = compact_agent(run)
    typer.echo(f"{run}: {before / 1e6:.1f} MB of weights are {after / 1e6:.1f} MB now. It cannot be resumed any more.")
