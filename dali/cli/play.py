"""``python -m dali play``."""

from pathlib import Path
from typing import Annotated

import typer

from dali.cli.counterfactual import expected
from dali.cli.options import Run


def play(
    run: Run,
    take: Annotated[
        Path, typer.Argument(help="A take that the page Play saved, as JSON.", exists=True, dir_okay=False)
    ],
    output: Annotated[Path | None, typer.Option(help="The take as mp4 (H.264).")] = None,
    csv: Annotated[Path | None, typer.Option(help="Its traces as CSV.")] = None,
    size: Annotated[int, typer.Option(min=64, max=1024, help="Pixels a side of each pane.")] = 256,
    expect: Annotated[str | None, typer.Option(help="Refuse a checkpoint whose digest does not begin so.")] = None,
) -> None:
    """Play a recorded take again, in dream and simulator, and save what it shows."""
    from dali.dreams.take import perform, read_take
    from dali.export.take import take_csv, take_film
    from dali.files.writing import write_bytes, write_text
    from dali.runs.film_source import open_film_source

    played = read_take(take)
    expected(run, expect)
    performance = perform(open_film_source(run), played)
    if output is not None:
        write_bytes(output, take_film(performance, size))
    if csv is not None:
        write_text(csv, take_csv(performance))
    own, asked = (float((error**2).mean() ** 0.5) for error in performance.errors(1, performance.steps + 1))
    typer.echo(f"steps: {performance.steps}\nerror, own physics: {own:.3f} σ\nerror, asked physics: {asked:.3f} σ")
