"""Arguments that several commands share. They are checked before a command imports what takes seconds."""

from pathlib import Path
from typing import Annotated

import typer


def checkpoint_folder(run: Path) -> Path:
    """The folder of a checkpoint.

    Raises:
        CheckpointError: it is none; says in one sentence what is wrong.
    """
    from dali.runs.run import open_run

    open_run(run)
    return run


Run = Annotated[Path, typer.Argument(help="Checkpoint folder.", callback=checkpoint_folder)]
AnalysedRun = Annotated[Path, typer.Argument(help="Checkpoint folder, analysed before.", callback=checkpoint_folder)]
Status = Annotated[Path | None, typer.Option(help="File to report progress in, for the dashboard.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
