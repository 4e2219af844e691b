"""``python -m dali card``."""

import json

import typer

from dali.cli.options import Run

CARD_FILE, TRAINING_FILE = "README.md", "training.json"


def card(
    run: Run,
) -> None:
    """Write a checkpoint's model card, README.md in its folder. Analyse and evaluate the checkpoint first."""
    from dali.errors import CheckpointError
    from dali.returns.held_out import held_out_returns
    from dali.runs.card import render_card
    from dali.runs.checkpoint import load_agent, write_text
    from dali.runs.folder import ANALYSIS_FILE, is_current, load_analysis
    from dali.runs.scores import EVAL_FILE, load_evaluation

    agent = load_agent(run)
    training = summary = None
    if (run / TRAINING_FILE).is_file():
        training = json.loads((run / TRAINING_FILE).read_text(encoding="utf-8"))
    if (run / ANALYSIS_FILE).is_file():
        record = load_analysis(run)
        if not is_current(run, record):
            raise CheckpointError(f"{run / ANALYSIS_FILE} is of other weights; run first: python -m dali analyse {run}")
        summary = record["summary"]
    played = held_out_returns(agent.spec, load_evaluation(run)) if (run / EVAL_FILE).is_file() else None
    name = run.resolve().name
    text = render_card(name, agent, training, played, summary, f"python -m dali card checkpoints/{name}")
    write_text(run / CARD_FILE, text)
    typer.echo(f"Wrote {run / CARD_FILE}")
