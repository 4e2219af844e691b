"""Entry point of the command line: ``dali``, or ``python -m dali``."""

import sys
from typing import Annotated

try:
    import typer

    from dali import __version__
    from dali.cli import bench
    from dali.cli.analyse import analyse
    from dali.cli.app import app as dashboard
    from dali.cli.card import card
    from dali.cli.compact import compact
    from dali.cli.compare import compare
    from dali.cli.counterfactual import counterfactual
    from dali.cli.doctor import doctor
    from dali.cli.dreams import dreams
    from dali.cli.embed import embed
    from dali.cli.evaluate import evaluate
    from dali.cli.plausibility import plausibility
    from dali.cli.play import play
    from dali.cli.react import react
    from dali.cli.record import record
    from dali.cli.reference import reference
    from dali.cli.results import results
    from dali.cli.sweep import sweep
    from dali.cli.train import train
    from dali.errors import DaliError, missing_package
    from dali.files.text import plain
except KeyboardInterrupt:  # Ctrl-C in the first moments
    sys.exit(130)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for command in (
    train,
    sweep,
    evaluate,
    compare,
    analyse,
    record,
    card,
    results,
    counterfactual,
    play,
    plausibility,
    react,
    dreams,
    embed,
    compact,
    reference,
    doctor,
):
    app.command()(command)
app.command("app")(dashboard)
app.add_typer(bench.app, name="bench")

OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "not enough memory")  # in torch's words


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"dali-studio {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    env: Annotated[
        str | None,
        typer.Option(help="Environments outside this package that may be imported, as in --env my_module:MyEnv."),
    ] = None,
) -> None:
    """Train, evaluate and steer dynamics-aligned world models of contextual environments."""
    if env is not None:
        from dali.envs.outside import allow

        allow(env)


def run() -> None:
    """Runs the command line; a DaliError or a package that is missing ends it with a sentence and exit status 1."""
    for stream in (sys.stdout, sys.stderr):  # a terminal without σ shows ? for it
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        try:
            app()
        except ModuleNotFoundError as error:
            raise missing_package(error) from error
    except DaliError as error:
        _end(str(error))
    except MemoryError:
        _end("There is not enough memory for this.")
    except RuntimeError as error:
        if not any(words in str(error) for words in OUT_OF_MEMORY):
            raise
        _end("There is not enough memory for this.")
    except KeyboardInterrupt:
        sys.exit(130)


def _end(sentence: str) -> None:
    typer.echo(f"error: {plain(sentence)}", err=True)
    sys.exit(1)


if __name__ == "__main__":
    run()
