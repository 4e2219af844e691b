"""``python -m dali embed``."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer

from dali.cli.options import AnalysedRun, Status
from dali.config import MAX_SEED


def embed(
    run: AnalysedRun,
    method: Annotated[Literal["umap", "tsne"], typer.Option(help="How to lay the codes out.")] = "umap",
    dimensions: Annotated[int, typer.Option(min=2, max=3, help="Of the map.")] = 2,
    means: Annotated[bool, typer.Option("--means", help="One point an episode instead of one a record.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of layout and fitted points.")] = 0,
    status: Status = None,
) -> None:
    """Lay a checkpoint's codes out by UMAP or t-SNE; keeps the map in the checkpoint's cache/, for the dashboard."""
    _find_a_cache()
    from dali.jobs import reporting
    from dali.runs.cache import MapRequest, make_map

    with reporting(status) as report:
        path = make_map(run, MapRequest(method, dimensions, means, seed), report)
    typer.echo(f"Wrote {path}")


def _find_a_cache() -> None:
    """Has numba, which compiles UMAP, cache in a temporary folder where no home could be written to."""
    home = Path(os.path.expanduser("~"))
    if not os.environ.get("NUMBA_CACHE_DIR") and not os.access(home, os.W_OK):
        folder = tempfile.mkdtemp(prefix="dali-numba-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["NUMBA_CACHE_DIR"] = folder
