"""``python -m dali results``."""

from pathlib import Path
from typing import Annotated

import typer

from dali.errors import DaliError
from dali.files.reading import read_text

MARKS = ("<!-- differences -->", "<!-- /differences -->")


def results(
    folder: Annotated[Path, typer.Argument(help="Folder that holds the runs' folders.")] = Path("checkpoints"),
    output: Annotated[Path | None, typer.Option(help="Markdown file to write; printed where it is not given.")] = None,
    check: Annotated[Path | None, typer.Option(help="Fail if this file differs; nothing is written.")] = None,
    readme: Annotated[
        Path | None, typer.Option(help="Markdown file between whose marks the table of differences is written.")
    ] = None,
) -> None:
    """Tables of all checkpoints in a folder, as Markdown, from their analysis.json and eval.json."""
    from dali.export.results import difference_table, load_results, results_page
    from dali.files.writing import write_text

    target = output or check
    command = " ".join(["python -m dali results", *([str(folder)] if str(folder) != "checkpoints" else [])])
    printed = f"{command} --output {target}" if target else command
    found = load_results(folder)
    page = results_page(found, printed, target.parent if target else None)
    if readme is not None:
        write_text(readme, with_differences(readme, difference_table(found)))
        typer.echo(f"Wrote {readme}")
    if check is not None:
        if not check.is_file() or read_text(check) != page:
            raise DaliError(f"{check} differs from the figures in {folder}; write it anew: {command} --output {check}")
        typer.echo(f"{check} agrees with the figures in {folder}.")
    elif output is not None:
        write_text(output, page)
        typer.echo(f"Wrote {output}")
    elif readme is None:
        typer.echo(page, nl=False)


def with_differences(file: Path, table: str) -> str:
    """The text of a Markdown file with the table of differences between its marks.

    Raises:
        DaliError: it cannot be read, or has no marks.
    """
    try:
        text = read_text(file)
    except FileNotFoundError:
        raise DaliError(f"There is no {file}.") from None
    before, mark, rest = text.partition(f"{MARKS[0]}\n")
    _, end, after = rest.partition(MARKS[1])
    if not (mark and end):
        raise DaliError(f"{file} has no lines {MARKS[0]} and {MARKS[1]}, between which the table is written.")
    return f"{before}{mark}{table}\n{end}{after}"
