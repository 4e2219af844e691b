"""``python -m dali card``."""

import typer

from dali.cli.options import Run


def card(run: Run) -> None:
    """Write a checkpoint's model card, README.md in its folder. Analyse and evaluate the checkpoint first."""
    from dali.errors import CheckpointError
    from dali.files.writing import write_text
    from dali.returns.held_out import held_out_returns
    from dali.runs.card import render_card
    from dali.runs.folder import ANALYSIS_FILE, CARD
    from dali.runs.run import open_run

    opened = open_run(run)
    agent, training, analysis = opened.agent(), opened.record(), opened.analysis()
    if analysis and not opened.analysis_is_current():
        raise CheckpointError(f"{run / ANALYSIS_FILE} is of other weights; run first: python -m dali analyse {run}")
    evaluation = opened.evaluation()
    played = None if evaluation is None else held_out_returns(agent.spec, evaluation)
    name = run.resolve().name
    text = render_card(name, agent, training, played, analysis, f"python -m dali card checkpoints/{name}")
    write_text(run / CARD, text)
    typer.echo(f"Wrote {run / CARD}")
