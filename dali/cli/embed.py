"""``python -m dali embed``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from dali.cli.options import AnalysedRun


def embed(
    run: AnalysedRun,
    method: Annotated[Literal["umap", "tsne"], typer.Option(help="How to lay the codes out.")] = "umap",
    dimensions: Annotated[int, typer.Option(min=2, max=3, help="Of the map.")] = 2,
    means: Annotated[bool, typer.Option("--means", help="One point an episode instead of one a record.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the layout and of the points that are fitted.")] = 0,
    status: Annotated[Path | None, typer.Option(help="File to report progress in, for the dashboard.")] = None,
) -> None:
    """Lay a checkpoint's codes out by UMAP or t-SNE; keeps the map in the checkpoint's cache/, for the dashboard."""
    from dali.jobs import reporting
    from dali.runs.cache import MapRequest, make_map

    with reporting(status) as report:
        path = make_map(run, MapRequest(method, dimensions, means, seed), report)
    typer.echo(f"Wrote {path}")
