"""The status file of a long command: what it is doing, how far it is, and how it ended. Who watches it reads JSON."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from dali.errors import CheckpointError, DaliError
from dali.files.reading import read_json
from dali.files.text import quote
from dali.files.writing import write_text

State = Literal["running", "done", "failed", "cancelled"]
Report = Callable[[int, int, str], None]  # steps done, steps in all, what is being done


def unreported(done: int, total: int, text: str) -> None:
    """A Report that nobody reads."""


@dataclass(frozen=True)
class Status:
    """How a job stands. ``text`` is for people: what is being done, or why it failed."""

    state: State
    done: int = 0
    total: int = 0
    text: str = ""

    @property
    def share(self) -> float:
        """0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 0.0


def write_status(path: Path, status: Status) -> None:
    """Writes atomically, so that a watcher never reads half."""
    write_text(path, json.dumps(asdict(status)))


def read_status(path: Path) -> Status | None:
    """What was written last; None where nothing was.

    Raises:
        DaliError: the file holds something else.
    """
    try:
        found = read_json(path)
    except FileNotFoundError:
        return None
    except CheckpointError as error:
        raise DaliError(f"{path} is not the status of a job: {error}") from error
    kinds = {"state": str, "done": int, "total": int, "text": str}
    fits = isinstance(found, dict) and {name: type(value) for name, value in found.items()} == kinds
    if not fits or found["state"] not in get_args(State):
        raise DaliError(f"{path} is not the status of a job: it holds {quote(found)}.")
    return Status(**found)


@contextmanager
def reporting(path: Path | None) -> Iterator[Report]:
    """Gives a function that reports progress; writes how the work inside ended. Without a path nothing is written."""
    last = Status("running")

    def report(done: int, total: int, text: str) -> None:
        nonlocal last
        last = Status("running", done, total, text)
        if path is not None:
            write_status(path, last)

    try:
        report(0, 0, "starting")
        yield report
    except BaseException as error:
        if path is not None:
            reason = str(error) if isinstance(error, DaliError) else f"stopped by {type(error).__name__}"
            write_status(path, Status("failed", last.done, last.total, reason))
        raise
    if path is not None:
        write_status(path, Status("done", last.total, last.total, last.text))
