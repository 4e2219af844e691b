"""Entry point of the command line: ``python -m dali``."""

import sys

import typer

from dali.cli import bench
from dali.cli.analyse import analyse
from dali.cli.card import card
from dali.cli.compact import compact
from dali.cli.compare import compare
from dali.cli.counterfactual import counterfactual
from dali.cli.doctor import doctor
from dali.cli.dreams import dreams
from dali.cli.embed import embed
from dali.cli.evaluate import evaluate
from dali.cli.plausibility import plausibility
from dali.cli.react import react
from dali.cli.reference import reference
from dali.cli.sweep import sweep
from dali.cli.train import train
from dali.errors import DaliError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
for command in (
    train,
    sweep,
    evaluate,
    compare,
    analyse,
    card,
    counterfactual,
    plausibility,
    react,
    dreams,
    embed,
    compact,
    reference,
    doctor,
):
    app.command()(command)
app.add_typer(bench.app, name="bench")


@app.callback()
def main() -> None:
    """Train, evaluate and steer dynamics-aligned world models of contextual environments."""


def run() -> None:
    """Runs the command line; a DaliError ends it with its sentence and exit status 1."""
    try:
        app()
    except DaliError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    run()
