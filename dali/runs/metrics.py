"""The log of a training, metrics.jsonl: one JSON object a line, written while it trains."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from dali.errors import DaliError
from dali.files.reading import MAX_LOG_BYTES, parse_json, read_bytes
from dali.files.writing import write_text
from dali.runs.folder import METRICS

TAIL = 2**16  # bytes at the end of a log that its last row is looked for in
DIGITS = 7  # significant, of a 32-bit float
COUNTS = ("env_steps", "update")  # of every row

Row = dict[str, float]


class MetricsLog(NamedTuple):
    """The rows of a log, and one sentence for each line that is none."""

    rows: list[Row]
    problems: list[str]


def read_log(folder: Path) -> MetricsLog:
    """A run's log; empty where there is no file.

    A last line that a kill cut short is left out; a line in the middle that is no row is left out and named.

    Raises:
        CheckpointError: the file cannot be read, or is larger than 64 MB.
    """
    path = folder / METRICS
    try:
        lines = read_bytes(path, MAX_LOG_BYTES).split(b"\n")
    except FileNotFoundError:
        return MetricsLog([], [])
    rows, problems = [], []
    for number, line in enumerate(lines[:-1], 1):  # what follows the last line's end is empty, or cut short
        try:
            rows.append(_row(line, f"{path}, line {number}"))
        except DaliError as error:
            problems.append(f"{error} It is left out.")
    return MetricsLog(rows, problems)


def shorten_log(folder: Path, most: int) -> None:
    """Writes a run's log with the digits that 32-bit floats have. A log with lines that are no rows stays as it is.

    Args:
        most: rows that are kept, the last among them, at even distances.

    Raises:
        CheckpointError: as of ``read_log``.
    """
    log = read_log(folder)
    if log.rows and not log.problems:
        every = math.ceil(len(log.rows) / most)
        kept = log.rows[::-every][::-1]
        rows = [{k: v if isinstance(v, int) else float(f"{v:.{DIGITS}g}") for k, v in row.items()} for row in kept]
        write_text(folder / METRICS, "".join(json.dumps(row) + "\n" for row in rows))


def last_row(folder: Path) -> Row | None:
    """The last whole row of a run's log, from its end alone; None where there is none or it cannot be read."""
    path = folder / METRICS
    if not path.is_file():  # to open a pipe would wait for whoever writes it
        return None
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL))
            lines = file.read(TAIL).split(b"\n")[:-1]
    except OSError:
        return None
    for line in reversed(lines):
        try:
            return _row(line, METRICS)
        except DaliError:
            continue
    return None


def _row(line: bytes, source: str) -> Row:
    """The row of a line. Raises DaliError where it is none."""
    try:
        row = parse_json(line.decode("utf-8"), source)
    except UnicodeDecodeError as error:
        raise DaliError(f"{source} is not UTF-8 text.") from error
    if not isinstance(row, dict) or not all(_is_number(value) for value in row.values()):
        raise DaliError(f"{source} is not a row of numbers.")
    for name in COUNTS:
        if not isinstance(row.get(name), int):
            raise DaliError(f"{source} has no whole number {name!r}.")
    return row


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
