"""Errors that a person can act on. The CLI and the app print their text alone, without a traceback."""

from collections.abc import Iterable

from dali.files.text import quote, shorten

LONGEST = 2000  # characters of a message, whatever it quotes


class DaliError(Exception):
    """Something a user can put right: a name, a file or a value. The message says what was found and expected."""

    def __str__(self) -> str:
        return shorten(super().__str__(), LONGEST)


class CheckpointError(DaliError):
    """A folder that is not a checkpoint this version can read."""


class TrainingError(DaliError):
    """Training cannot go on; the last good checkpoint stands."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> DaliError:
    """The error for a name outside a catalogue, with what would have been accepted."""
    return DaliError(f"Unknown {kind} {quote(name)}; expected one of: {', '.join(sorted(known))}.")


def missing_package(error: ModuleNotFoundError) -> DaliError:
    """The error for a package that is not installed. Raises the given one where the module is one of ours."""
    if error.name is None or error.name.split(".")[0] in ("dali", "pages"):
        raise error
    return DaliError(
        f"The package {error.name.split('.')[0]!r} is not installed; the extras train, app and sweep bring what "
        "training, the dashboard and Ray need, as in: pip install '.[train]'"
    )
