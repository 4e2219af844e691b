"""Writing files whole or not at all: under a temporary name, then renamed, so that a reader never meets half a file."""

import contextlib
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from dali.errors import CheckpointError

PREFIX, SUFFIX = ".dali-", ".tmp"


def write_atomic(path: Path, write: Callable[[Path], object], make_parents: bool = True) -> None:
    """Calls ``write`` with a temporary path beside ``path`` and renames the result; leaves nothing behind on failure.

    The file gets the permissions that the process's umask gives, whatever ``write`` made of them.

    Args:
        make_parents: make the folder where there is none; else its absence is an error.

    Raises:
        CheckpointError: the disk is full, the folder cannot be written, or what lies at ``path`` is no regular file
            (a device, a folder, a link), which is never replaced. What was there stands.
    """
    check_target(path, make_parents)
    temporary = path.with_name(f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}")
    try:
        if make_parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        write(temporary)
        temporary.chmod(mode)
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:  # safetensors wraps a full disk in its own error
        raise CheckpointError(f"Could not write {path}: {reason(error)}.{_what_stands(path)}") from error
    finally:
        with contextlib.suppress(OSError):  # it is gone where all went well, and no second error may hide the first
            temporary.unlink()


def write_text(path: Path, text: str, make_parents: bool = True) -> None:
    """Writes UTF-8 text; raises as ``write_atomic``."""
    write_bytes(path, text.encode("utf-8"), make_parents)


def write_bytes(path: Path, data: bytes, make_parents: bool = True) -> None:
    """Raises as ``write_atomic``."""
    write_atomic(path, lambda temporary: temporary.write_bytes(data), make_parents)


def reason(error: Exception) -> str:
    """Why a file could not be written or read, in words, without names of temporary files."""
    if "StorageFull" in str(error) or "No space left" in str(error):
        return "no space left on the disk"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return str(error)


def remove_temporaries(folder: Path, process: int) -> None:
    """Removes what a process that was killed left half written in a folder."""
    for path in folder.glob(f"{PREFIX}{process}-*{SUFFIX}"):
        with contextlib.suppress(OSError):
            path.unlink()


def check_target(path: Path, make_parents: bool = True) -> None:
    """Raises CheckpointError where a file could not be written: there is no folder for it, or no regular file there."""
    try:
        if not make_parents and not path.parent.is_dir():
            raise CheckpointError(f"Could not write {path}: there is no folder {path.parent}.")
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise CheckpointError(f"Could not write {path}: {reason(error)}.") from error
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link"}
        kind = kinds.get(stat.S_IFMT(mode), "no regular file")
        raise CheckpointError(f"Could not write {path}: it is {kind}, and only regular files are replaced.")


def _what_stands(path: Path) -> str:
    try:
        return " What was saved before still stands." if path.exists() else ""
    except OSError:
        return ""
