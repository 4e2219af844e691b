"""``python -m dali results``."""

from pathlib import Path
from typing import Annotated

import typer

from dali.errors import DaliError


def results(
    folder: Annotated[Path, typer.Argument(help="Folder that holds the runs' folders.")] = Path("checkpoints"),
    output: Annotated[Path | None, typer.Option(help="Markdown file to write; printed where it is not given.")] = None,
    check: Annotated[Path | None, typer.Option(help="Fail if this file differs; nothing is written.")] = None,
) -> None:
    """Tables of all checkpoints in a folder, as Markdown, from their analysis.json and eval.json."""
    from dali.export.results import load_results, results_page
    from dali.files.reading import read_text
    from dali.files.writing import write_text

    target = output or check
    command = " ".join(["python -m dali results", *([str(folder)] if str(folder) != "checkpoints" else [])])
    printed = f"{command} --output {target}" if target else command
    page = results_page(load_results(folder), printed, target.parent if target else None)
    if check is not None:
        if not check.is_file() or read_text(check) != page:
            raise DaliError(f"{check} differs from the figures in {folder}; write it anew: {command} --output {check}")
        typer.echo(f"{check} agrees with the figures in {folder}.")
    elif output is not None:
        write_text(output, page)
        typer.echo(f"Wrote {output}")
    else:
        typer.echo(page, nl=False)
