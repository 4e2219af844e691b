"""Reading JSON that may be damaged, hostile or half written: with limits, and one sentence where it is not right."""

import json
import stat
from pathlib import Path
from typing import Any

from dali.errors import CheckpointError, DaliError
from dali.files.text import quote

MAX_BYTES = 16 * 2**20  # of a JSON file; ours take 40 kB. Parsed, it may take twenty times that
MAX_LOG_BYTES = 64 * 2**20  # of a log; a day of training writes 5 MB
MAX_DEPTH = 32  # objects and arrays inside each other; ours go to 6
MAX_DIGITS = 64  # of an integer; a random generator's state takes 39


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """A whole regular file.

    Raises:
        FileNotFoundError: there is none; the caller knows what makes it.
        CheckpointError: it is no regular file, cannot be read, or is larger than ``limit`` bytes.
    """
    try:
        status = path.stat()  # before it is opened: opening a pipe would wait for whoever writes it
        if not stat.S_ISREG(status.st_mode):
            raise CheckpointError(f"{path} is not a regular file.")
        if status.st_size > limit:
            raise CheckpointError(f"{path} has {status.st_size:,} bytes; expected at most {limit:,}.")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(data) > limit:
        raise CheckpointError(f"{path} has more than {limit:,} bytes.")
    return data


def read_text(path: Path, limit: int = MAX_BYTES) -> str:
    """A whole UTF-8 file; raises as ``read_bytes``, and CheckpointError where it is not UTF-8."""
    try:
        return read_bytes(path, limit).decode("utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}.") from error


def read_json(path: Path) -> Any:
    """The value of a JSON file.

    Raises:
        FileNotFoundError: there is none.
        CheckpointError: it cannot be read, or is not JSON within the limits above.
    """
    try:
        return parse_json(read_text(path), str(path))
    except CheckpointError:
        raise
    except DaliError as error:
        raise CheckpointError(str(error)) from error


def read_object(path: Path) -> dict[str, Any]:
    """The object of a JSON file; raises as ``read_json``, and CheckpointError where it holds another value."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds {quote(value)}; expected an object.")
    return value


def parse_json(text: str, source: str) -> Any:
    """The value of a JSON text.

    Args:
        source: what the text is, for the sentence.

    Raises:
        DaliError: not JSON, nested more than 32 deep, or an integer of more than 64 digits.
    """
    try:
        value = json.loads(text, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise DaliError(f"{source} is not valid JSON: {error}.") from error
    except RecursionError as error:
        raise DaliError(f"{source} is not valid JSON: it is nested too deeply.") from error
    except _TooLong as error:
        raise DaliError(f"{source} is not valid JSON: it holds {error}.") from error
    if _deeper_than(value, MAX_DEPTH):
        raise DaliError(f"{source} is nested more than {MAX_DEPTH} deep.")
    return value


class _TooLong(ValueError):
    """An integer of more digits than any that we write."""


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise _TooLong(f"an integer of {len(digits)} digits; expected at most {MAX_DIGITS}")
    return int(digits)


def _deeper_than(value: Any, limit: int) -> bool:
    """Level by level, since a recursive walk could itself go too deep."""
    level = [value]
    for _ in range(limit):
        containers = [v for v in level if isinstance(v, (dict, list))]
        level = [item for c in containers for item in (c.values() if isinstance(c, dict) else c)]
        if not level:
            return False
    return True
