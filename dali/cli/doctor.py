"""``python -m dali doctor``."""

from pathlib import Path
from typing import Annotated

import typer

from dali.errors import DaliError


def doctor(
    checkpoints: Annotated[Path, typer.Argument(help="Folder that holds the runs' folders.")] = Path("checkpoints"),
) -> None:
    """Check this installation: versions, environments, films, checkpoints. Exit status 1 if something is wrong."""
    from dali.doctor import examine

    problems = []
    for finding in examine(checkpoints):
        typer.echo(f"{'FAIL' if finding.problem else 'ok':4s}  {finding.what:30s} {finding.text}")
        if finding.problem:
            problems.append(finding.what)
    if problems:
        raise DaliError(f"{len(problems)} {'problem' if len(problems) == 1 else 'problems'}: {', '.join(problems)}.")
