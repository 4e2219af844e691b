"""``python -m dali reference``."""

from pathlib import Path
from typing import Annotated

import typer

from dali.config import MAX_SEED


def reference(
    env: Annotated[str, typer.Argument(help="Environment of the catalogue, such as pendulum.")],
    episodes: Annotated[int, typer.Option(min=1, max=1000, help="Episodes a context.")] = 50,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of the start states.")] = 0,
    output: Annotated[
        Path | None, typer.Option(help="JSON file; the one that ships with the package by default.")
    ] = None,
) -> None:
    """Recompute the reference returns (random policy, expert) that normalised scores are made of."""
    from dali.envs import catalogue

    spec = catalogue.spec(env)
    from tqdm import tqdm

    from dali.files.writing import write_text
    from dali.returns.expert import compute_references, render_references
    from dali.returns.reference import reference_path

    path = output or reference_path(env)
    with tqdm(unit="context") as bar:

        def on_context(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = compute_references(spec, episodes, seed, on_context)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, render_references(found, spec, episodes, seed))
    typer.echo(f"{len(found.contexts)} contexts; expert: {found.expert_kind}. Wrote {path}")
