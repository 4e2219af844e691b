"""Arguments that several commands share. They are checked before a command imports what takes seconds."""

from pathlib import Path
from typing import Annotated

import typer


def checkpoint_folder(run: Path) -> Path:
    """The folder of a checkpoint.

    Raises:
        CheckpointError: it is none; says in one sentence what is wrong.
    """
    from dali.envs import catalogue
    from dali.errors import CheckpointError, DaliError
    from dali.runs.folder import CONFIG, load_config

    config = load_config(run)
    try:
        catalogue.spec(config.env)
    except DaliError as error:
        raise CheckpointError(f"{run / CONFIG}: {error}") from error
    return run


Run = Annotated[Path, typer.Argument(help="Checkpoint folder.", callback=checkpoint_folder)]
AnalysedRun = Annotated[Path, typer.Argument(help="Checkpoint folder, analysed before.", callback=checkpoint_folder)]
