"""``python -m dali plausibility``."""

import json
from typing import Annotated

import typer

from dali.cli.options import AnalysedRun, AsJson, Status
from dali.config import MAX_SEED


def plausibility(
    run: AnalysedRun,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of signs, folds and permutations.")] = 0,
    as_json: AsJson = False,
    status: Status = None,
) -> None:
    """Test by dimension of the code whether moving it changes dreams; keeps the result in the checkpoint's cache/."""
    from dali.jobs import reporting
    from dali.runs.cache import MOVE, make_effects

    with reporting(status) as report:
        effects = make_effects(run, report, seed)
    if as_json:
        rows = {f"z{e.dimension}": {"shift": e.shift, **vars(e.test)} for e in effects}
        typer.echo(json.dumps({"move_sigmas": MOVE, "seed": seed, "dimensions": rows}))
        return
    typer.echo(f"Dreams moved by ± {MOVE:g} σ against dreams unmoved; chance is 0.50.")
    for e in effects:
        typer.echo(
            f"  z{e.dimension}  AUC {e.test.auc:.2f} [{e.test.low:.2f}, {e.test.high:.2f}]  p {e.test.p_value:.3f}  "
            f"dreams change by {e.shift:.2f} standard deviations"
        )
