"""The configuration that the words of a train command ask for, and in what it differs from a run that is there."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dali.config import FREE_TO_CHANGE, MAX_SEED, METHOD, PRESET, RunConfig, change_config, make_config
from dali.envs import catalogue
from dali.envs.frames import check_observation
from dali.errors import CheckpointError, DaliError
from dali.files.text import quote
from dali.runs.folder import TRAINER_STATE, trainer_numbers
from dali.runs.schema import parse_config
from dali.train.checks import check_training
from dali.train.steps import default_steps

MOST_RUNS = 10_000  # of a sweep
# Fields of a configuration that options name, and the options.
OWN_OPTIONS = {name: name for name in ("env", "method", "preset", "seed", "steps")} | {"method_name": "method"}


def asked_config(
    env: str, method: str, preset: str, seed: int, steps: int | None, change: Sequence[str] | None
) -> RunConfig:
    """The configuration that options ask for. Raises DaliError for the first of them that cannot work."""
    usual = default_steps(env, preset)
    config = make_config(env, method, preset, seed, usual if steps is None else steps, **_parse_changes(change or []))
    check_observation(catalogue.spec(env), config.model.observation)
    check_training(config)
    return config


def resumed_config(
    folder: Path,
    env: str | None,
    method: str | None,
    preset: str | None,
    seed: int | None,
    steps: int | None,
    change: Sequence[str] | None,
) -> RunConfig:
    """The configuration of a run to go on with: its own, but for more steps and what a resumed run may change.

    Raises:
        CheckpointError: nothing to go on with, an option asks for another run, or for fewer steps than are done.
    """
    there, done = saved_run(folder, trainer_numbers(folder))
    named: dict[str, Any] = {"env": env, "method_name": method, "preset": preset, "seed": seed}
    there_named = dataclasses.replace(there, **{name: value for name, value in named.items() if value is not None})
    config = change_config(there_named, there.train.steps if steps is None else steps, **_parse_changes(change or []))
    check_same_run(folder, there, config, done)
    check_training(config)
    return config


def saved_run(folder: Path, numbers: dict[str, Any]) -> tuple[RunConfig, int]:
    """Configuration and environment steps of a trainer's numbers. Raises CheckpointError where they are not there."""
    path = folder / TRAINER_STATE
    if "config" not in numbers:
        raise CheckpointError(f"{path} does not hold the state of this training: it has no 'config'.")
    config, done = parse_config(numbers["config"], str(path)), numbers.get("env_steps")
    if not isinstance(done, int) or isinstance(done, bool):
        raise CheckpointError(f"{path} does not hold the state of this training: its 'env_steps' is {quote(done)}.")
    return config, done


def check_same_run(folder: Path, there: RunConfig, asked: RunConfig, done: int) -> None:
    """Raises CheckpointError where a run cannot go on as the one asked for; the number of steps may be another.

    Args:
        done: environment steps that it has taken.
    """
    longer = change_config(there, asked.train.steps)
    if found := differences(longer, asked):
        raise CheckpointError(f"{folder} cannot be resumed as another run: {found[0]}.")
    if asked.train.steps != there.train.steps and asked.train.steps < done:
        raise CheckpointError(
            f"{folder} cannot be resumed for {asked.train.steps:,} environment steps in all: it has taken {done:,}."
        )


def config_of_command(words: Sequence[str]) -> RunConfig:
    """What ``python -m dali train WORDS`` would train, without what reading a command line otherwise takes to import.

    Raises:
        DaliError: an unknown option, or a value that cannot work.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--env", default="")
    parser.add_argument("--method", default=METHOD)
    parser.add_argument("--preset", default=PRESET)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--output")
    parser.add_argument("--keep-every", type=int)
    parser.add_argument("--films", type=int)
    parser.add_argument("--replay-on-disk", action="store_true")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--set", action="append", dest="change")
    try:
        found, unknown = parser.parse_known_args([*words])
    except argparse.ArgumentError as error:
        raise DaliError(f"The options of the train command cannot be read: {error}.") from None
    if unknown:
        raise DaliError(f"The train command has no option {quote(unknown[0])}.")
    return asked_config(found.env, found.method, found.preset, found.seed, found.steps, found.change)


def differences(there: RunConfig, asked: RunConfig) -> list[str]:
    """ "NAME is X, asked for Y" of each field that two runs differ in, but for those that a resumed run may change."""
    pairs = [(name, getattr(there, name), getattr(asked, name)) for name in ("env", "method_name", "preset", "seed")]
    for before, after in ((there.model, asked.model), (there.train, asked.train)):
        pairs += [(f.name, getattr(before, f.name), getattr(after, f.name)) for f in dataclasses.fields(before)]
    return [f"{name} is {a}, asked for {b}" for name, a, b in pairs if a != b and name not in FREE_TO_CHANGE]


def parse_seeds(text: str) -> list[int]:
    """Seeds of "0,1,2" or "0-2". Raises DaliError for another form, and for more than a sweep can have."""
    problem = DaliError(
        f"Seeds are {quote(text)}; expected numbers such as 0,1,2 or a range such as 0-2, at most {MOST_RUNS} of them."
    )
    try:
        seeds: Sequence[int]
        first, dash, last = text.partition("-")
        if dash:
            seeds = range(int(first), int(last) + 1)  # its length is known before it is made
            if seeds and (seeds[-1] - seeds[0] >= MOST_RUNS or seeds[-1] > MAX_SEED):
                raise problem
        else:
            seeds = sorted({int(part) for part in text.split(",", MOST_RUNS)})
    except ValueError:
        raise problem from None
    if not seeds or min(seeds) < 0 or max(seeds) > MAX_SEED:
        raise problem
    return list(seeds)


def _parse_changes(pairs: Sequence[str]) -> dict[str, bool | int | float | str]:
    """NAME=VALUE pairs, values as bool, int, float or str, whichever fits first."""
    changes: dict[str, bool | int | float | str] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator:
            raise DaliError(f"--set {pair!r} is not of the form NAME=VALUE.")
        if name in OWN_OPTIONS:
            raise DaliError(f"--set {name}=... has an option of its own: --{OWN_OPTIONS[name]}.")
        changes[name] = _value(text)
    return changes


def _value(text: str) -> bool | int | float | str:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
