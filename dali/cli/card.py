"""``python -m dali card``."""

from typing import Annotated

import typer

from dali.cli.options import Run
from dali.config import MAX_SEED


def card(
    run: Run,
    episodes: Annotated[int, typer.Option(min=1, max=1000, help="Episodes of each physics.")] = 10,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of the start states.")] = 0,
) -> None:
    """Write a checkpoint's model card, README.md in its folder. Analyse the checkpoint first."""
    from dali.errors import CheckpointError
    from dali.files.writing import write_text
    from dali.runs.card import measure_returns, render_card
    from dali.runs.folder import ANALYSIS_FILE, CARD
    from dali.runs.run import open_run

    opened = open_run(run)
    agent, training, analysis = opened.agent(), opened.record(), opened.analysis()
    if analysis and not opened.analysis_is_current():
        raise CheckpointError(f"{run / ANALYSIS_FILE} is of other weights; run first: python -m dali analyse {run}")
    name = run.resolve().name
    command = f"python -m dali card checkpoints/{name} --episodes {episodes} --seed {seed}"
    text = render_card(name, agent, training, *measure_returns(agent, episodes, seed), analysis, command)
    write_text(run / CARD, text)
    typer.echo(f"Wrote {run / CARD}")
