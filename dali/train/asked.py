"""The configuration that words of the train command ask for, and in what it differs from a run that is there."""

import argparse
import dataclasses
from collections.abc import Sequence

from dali.config import IMMATERIAL, RunConfig, make_config
from dali.errors import DaliError
from dali.train.steps import default_steps


def asked_config(env: str, method: str, seed: int, options: Sequence[str]) -> RunConfig:
    """What ``python -m dali train --env ENV --method METHOD --seed SEED OPTIONS`` would train.

    Options that decide nothing about what is learnt are passed over; the command itself complains of unknown ones.

    Raises:
        DaliError: an unknown preset or field, or a change that cannot be read.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--steps")
    parser.add_argument("--set", action="append", default=[])
    try:
        found, _ = parser.parse_known_args([*options])
    except argparse.ArgumentError as error:
        raise DaliError(f"Options {' '.join(options)!r} cannot be read: {error}.") from None
    try:
        steps = int(found.steps) if found.steps else default_steps(env, found.preset)
    except ValueError:
        raise DaliError(f"--steps is {found.steps!r}; expected a number of environment steps.") from None
    return make_config(env, method, found.preset, seed, steps, **parse_changes(found.set))


def differences(there: RunConfig, asked: RunConfig) -> list[str]:
    """ "NAME is X, asked for Y" of each field in which two runs learn otherwise."""
    pairs = [(name, getattr(there, name), getattr(asked, name)) for name in ("env", "method_name", "preset", "seed")]
    for before, after in ((there.model, asked.model), (there.train, asked.train)):
        pairs += [(f.name, getattr(before, f.name), getattr(after, f.name)) for f in dataclasses.fields(before)]
    return [f"{name} is {a}, asked for {b}" for name, a, b in pairs if a != b and name not in IMMATERIAL]


def parse_seeds(text: str) -> list[int]:
    """Seeds of "0,1,2" or "0-2". Raises DaliError for another form."""
    try:
        if "-" in text:
            first, last = (int(part) for part in text.split("-"))
            seeds = list(range(first, last + 1))
        else:
            seeds = [int(part) for part in text.split(",")]
    except ValueError:
        seeds = []
    if not seeds:
        raise DaliError(f"Seeds are {text!r}; expected numbers such as 0,1,2 or a range such as 0-2.")
    return seeds


def parse_changes(pairs: Sequence[str]) -> dict[str, bool | int | float | str]:
    """NAME=VALUE pairs, values as bool, int, float or str, whichever fits first."""
    changes: dict[str, bool | int | float | str] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator:
            raise DaliError(f"--set {pair!r} is not of the form NAME=VALUE.")
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
