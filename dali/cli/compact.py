"""``python -m dali compact``."""

import typer

from dali.cli.options import Run


def compact(run: Run) -> None:
    """Halve a checkpoint for shipping: weights as 16-bit floats, no trainer's state. Analyse and evaluate it after."""
    from dali.runs.checkpoint import compact_agent

    before, after = compact_agent(run)
    typer.echo(f"{run}: {before / 1e6:.1f} MB of weights are {after / 1e6:.1f} MB now. It cannot be resumed any more.")
