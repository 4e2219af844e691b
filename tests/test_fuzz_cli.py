"""Every command with every option at values that no one means: a sentence or success, never a traceback.

What takes long is cut off where it would begin, so that what is tried are the options and their checks.
"""

import pytest
import typer
from typer.testing import CliRunner

from dali.__main__ import app
from dali.errors import DaliError

VALUES = ("-1", "0", "nan", "1e24", "1000000000000000000000000", "", "no/such/path", "x" * 300)
LONG = (
    "dali.train.trainer.Trainer",
    "dali.train.pool.run_here",
    "dali.train.pool.run_on_ray",
    "dali.returns.play.evaluate",
    "dali.runs.report.analyse",
    "dali.runs.cache.make_map",
    "dali.runs.cache.make_effects",
    "dali.runs.dream_errors.make_dream_errors",
    "dali.runs.film_source.open_film_source",
    "dali.returns.expert.compute_references",
    "dali.runs.checkpoint.compact_agent",
    "dali.runs.checkpoint.load_agent",
    "dali.bench.bench_train",
    "dali.bench.bench_env",
    "dali.bench.bench_render",
    "dali.bench.bench_imagine",
    "dali.export.cost.bench_film",
    "dali.doctor.examine",
    "subprocess.Popen",  # of a dashboard, or of whatever else a command starts
)


USUAL = {"env": "pendulum", "methods": "dali_d"}  # of options that a command cannot go without


class Begun(DaliError):
    """The command's options were accepted."""


@pytest.fixture
def cut_off(monkeypatch, tmp_path):
    """Commands stop before what takes long, in an empty folder."""

    def begin(*arguments, **options):
        raise Begun("begun")

    for name in LONG:
        monkeypatch.setattr(name, begin)
    monkeypatch.chdir(tmp_path)


def commands() -> dict[tuple[str, ...], object]:
    """Words -> command, of all that the command line has."""
    found = {}
    for name, command in typer.main.get_command(app).commands.items():
        inner = getattr(command, "commands", None)
        for words, one in [((name, n), c) for n, c in inner.items()] if inner else [((name,), command)]:
            found[words] = one
    return found


def options() -> list[tuple[tuple[str, ...], str]]:
    return [
        (words, parameter.opts[0])
        for words, command in commands().items()
        for parameter in command.params
        if parameter.opts[0].startswith("--") and not getattr(parameter, "is_flag", False)
    ]


def needed(words: tuple[str, ...], run: str) -> list[str]:
    """What a command cannot go without."""
    usual = {"run": run, "runs": run, "take": f"{run}/config.json", **USUAL}
    out = []
    for parameter in commands()[words].params:
        if parameter.required:
            out += [] if parameter.opts[0].startswith("--") is False else [parameter.opts[0]]
            out.append(usual[parameter.name])
    return out if words != ("train",) else ["--env", "pendulum"]  # which --resume can go without


@pytest.mark.parametrize(
    ("words", "option"), options(), ids=lambda value: " ".join(value) if isinstance(value, tuple) else value
)
def test_no_value_of_an_option_gives_a_traceback(words, option, cut_off, make_run):
    run = str(make_run())
    for value in VALUES:
        result = CliRunner().invoke(app, [*words, *needed(words, run), f"{option}={value}"])
        good = result.exception is None or isinstance(result.exception, (DaliError, SystemExit))
        assert good, f"{' '.join(words)} {option}={value!r}: {result.exception!r}"


def arguments() -> list[tuple[tuple[str, ...], str]]:
    return [
        (words, parameter.name)
        for words, command in commands().items()
        for parameter in command.params
        if not parameter.opts[0].startswith("--")
    ]


@pytest.mark.parametrize(
    ("words", "argument"), arguments(), ids=lambda value: " ".join(value) if isinstance(value, tuple) else value
)
def test_no_value_of_an_argument_gives_a_traceback(words, argument, cut_off, make_run):
    run = str(make_run())
    for value in VALUES:
        line = [*words]
        for parameter in commands()[words].params:
            if parameter.name == argument:
                line += ["--", value] if value.startswith("-") else [value]
            elif parameter.required:
                line += [] if not parameter.opts[0].startswith("--") else [parameter.opts[0]]
                line.append(USUAL.get(parameter.name, run))
        result = CliRunner().invoke(app, line)
        good = result.exception is None or isinstance(result.exception, (DaliError, SystemExit))
        assert good, f"{' '.join(line)[:200]}: {result.exception!r}"


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_an_unknown_option_and_a_missing_run_are_refused(words, cut_off, make_run):
    result = CliRunner().invoke(app, [*words, *needed(words, str(make_run())), "--no-such-option", "1"])
    assert result.exit_code == 2
    if "{run}" in needed(words, "{run}"):
        for missing in ("no/such/run", "", "x" * 300, "/dev/null"):
            result = CliRunner().invoke(app, [*words, *needed(words, missing)])
            assert isinstance(result.exception, DaliError), (missing, result.exception)
            assert not isinstance(result.exception, Begun)
