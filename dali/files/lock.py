"""A lock on a folder that a process holds while it works there; it is free again as soon as that process is gone."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from dali.errors import CheckpointError, DaliError
from dali.files.writing import reason

if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


POLL = 0.1  # seconds between two tries
PATIENCE = 1.0  # seconds, since who only looks whether a lock is held holds it for a moment


class Busy(DaliError):
    """Another process holds the lock."""


@contextmanager
def hold(path: Path, wait: bool = False) -> Iterator[IO[bytes]]:
    """Holds a lock file, made where there is none, and writes this process's number into it.

    Args:
        wait: for whoever holds it, instead of raising.

    Raises:
        Busy: another process holds it. CheckpointError: it cannot be made.
    """
    deadline = time.monotonic() + PATIENCE
    with _open(path) as file:
        while True:
            try:
                _lock(file)
                break
            except (BlockingIOError, PermissionError) as error:  # Windows says the latter
                if not wait and time.monotonic() > deadline:
                    raise Busy(f"Process {holder(path) or 'unknown'} is at work in {path.parent}.") from error
                time.sleep(POLL)
            except OSError as error:
                raise CheckpointError(f"{path} cannot be locked: {reason(error)}.") from error
        try:
            write_holder(file, os.getpid())
        except OSError as error:
            raise CheckpointError(f"Could not write {path}: {reason(error)}.") from error
        yield file


def is_held(path: Path) -> bool:
    """True where a process holds the lock."""
    try:
        if not path.is_file():
            return False
        file = path.open("r+b")
    except OSError:
        return False  # there is none, or not ours to look at
    with file:
        try:
            _lock(file)
        except (BlockingIOError, PermissionError):
            return True
        except OSError:
            return False  # on a disk without locks
    return False


def holder(path: Path) -> int | None:
    """The number of the process that held the lock last, dead or alive."""
    with suppress(OSError, ValueError):
        return int(path.read_bytes()[:20]) if path.is_file() else None
    return None


def write_holder(file: IO[bytes], process: int) -> None:
    """Says in a held lock file which process works."""
    file.seek(0)
    file.truncate()
    file.write(str(process).encode())
    file.flush()


def _open(path: Path) -> IO[bytes]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
    except OSError as error:
        raise CheckpointError(f"Could not write {path}: {reason(error)}.") from error
