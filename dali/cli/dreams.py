"""``python -m dali dreams``."""

from typing import Annotated

import typer

from dali.cli.options import AnalysedRun, Status


def dreams(
    run: AnalysedRun,
    count: Annotated[int, typer.Option(min=1, help="Starts that are listed.")] = 10,
    status: Status = None,
) -> None:
    """Find where dreams go wrong; lists the worst starts, and keeps all errors in the checkpoint's cache/."""
    import numpy as np

    from dali.dreams.errors import HORIZON
    from dali.jobs import reporting
    from dali.runs.dream_errors import make_dream_errors

    with reporting(status) as report:
        found = make_dream_errors(run, report)
    typer.echo(f"Error over {HORIZON} steps, in standard deviations of the data, from {len(found.t)} starts.")
    for kind in ("factual", "counterfactual"):
        values = getattr(found, kind)
        low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
        typer.echo(f"{kind}: median {middle:.2f}, 5 % {low:.2f}, 95 % {high:.2f}; worst:")
        for row in np.argsort(-values)[:count]:
            typer.echo(f"  episode {found.episode[row]:4d}  t {found.t[row]:3d}  {values[row]:.2f}")
