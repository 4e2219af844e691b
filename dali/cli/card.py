"""``python -m dali card``."""

import json
from typing import Annotated

import typer

from dali.cli.options import Run

CARD_FILE, TRAINING_FILE = "README.md", "training.json"


def card(
    run: Run,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes under the default and each held-out physics.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the start states.")] = 0,
) -> None:
    """Write a checkpoint's model card, README.md in its folder. Analyse the checkpoint first."""
    from dali.errors import CheckpointError
    from dali.runs.card import measure_returns, render_card
    from dali.runs.checkpoint import load_agent, write_text
    from dali.runs.folder import ANALYSIS_FILE, is_current, load_analysis

    agent = load_agent(run)
    training = summary = None
    if (run / TRAINING_FILE).is_file():
        training = json.loads((run / TRAINING_FILE).read_text(encoding="utf-8"))
    if (run / ANALYSIS_FILE).is_file():
        record = load_analysis(run)
        if not is_current(run, record):
            raise CheckpointError(f"{run / ANALYSIS_FILE} is of other weights; run first: python -m dali analyse {run}")
        summary = record["summary"]
    name = run.resolve().name
    command = f"python -m dali card checkpoints/{name} --episodes {episodes} --seed {seed}"
    text = render_card(name, agent, training, *measure_returns(agent, episodes, seed), summary, command)
    write_text(run / CARD_FILE, text)
    typer.echo(f"Wrote {run / CARD_FILE}")
