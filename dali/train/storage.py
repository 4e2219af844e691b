"""Where the arrays of a replay lie: in memory, or as files in the run's folder, which may be larger than memory.

Files are mapped, so that what is written to them outlives a process that is killed. All their room is taken at once:
a disk that is too small is told before anything is learnt.
"""

import errno
import os
import shutil
from pathlib import Path

import numpy as np

from dali.errors import CheckpointError, TrainingError
from dali.files.writing import reason
from dali.runs.folder import TRAINER_STATE, exists, trainer_numbers

REPLAY = TRAINER_STATE.parent / "replay"  # of a run
DISK = "disk"  # in the trainer's numbers, of a run whose replay lies there


class Storage:
    """Arrays in memory.

    Attributes:
        awaits_state: they hold the records of a state that has not been taken up yet, and must stay as they are.
    """

    on_disk = False
    awaits_state = False

    def zeros(self, name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        """An array under a name of its own.

        Raises:
            TrainingError: there is no room for it.
        """
        try:
            # Taken from the system when they are first written, so that room that is never used costs nothing.
            return np.zeros(shape, dtype)
        except MemoryError as error:
            size = np.prod(shape, dtype=float) * np.dtype(dtype).itemsize / 1e9
            raise TrainingError(
                f"There is not enough memory for a replay of {shape[0]:,} records, of which {name!r} alone takes "
                f"{size:.1f} GB; lower --set capacity, or keep it on the disk with --replay-on-disk."
            ) from error

    def remove(self) -> None:
        """Gives back what no process would."""


class DiskStorage(Storage):
    """Arrays as files of a folder. They hold zeros at first, or what was written to them before."""

    on_disk = True

    def __init__(self, folder: Path, there: bool):
        """``there``: the files must be there, since a run goes on with them."""
        self._folder, self._there, self.awaits_state = folder, there, there

    def zeros(self, name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        path, size = self._folder / name, int(np.prod(shape)) * np.dtype(dtype).itemsize
        try:
            found = path.stat().st_size if path.is_file() else None
            if self._there and found != size:
                state = "is gone" if found is None else f"has {found:,} bytes, expected {size:,}"
                raise CheckpointError(
                    f"{self._folder.parent.parent} cannot be resumed: its replay lies on the disk, and {path} {state}. "
                    "It is removed when a run has finished, and fits no other number of steps."
                )
            if found != size:
                self._make(path, size)
            return np.memmap(path, dtype, "r+", shape=shape)
        except OSError as error:
            raise TrainingError(
                f"The replay takes {size / 1e9:.1f} GB or more on the disk, and {path} cannot be made: {reason(error)}."
            ) from error

    def _make(self, path: Path, size: int) -> None:
        """A file of zeros whose room on the disk is taken."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except (AttributeError, OSError) as error:
                path.unlink()
                if isinstance(error, AttributeError):
                    raise OSError(errno.ENOTSUP, "this system cannot reserve room on a disk") from error
                raise

    def remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def open_storage(folder: Path, on_disk: bool) -> Storage:
    """Where the replay of a run lies: as it was begun, where it goes on from a state.

    Raises:
        CheckpointError: it is asked for on the disk and was begun in memory, or its state cannot be read.
    """
    there = exists(folder / TRAINER_STATE)
    if there:
        began = trainer_numbers(folder).get("replay") == DISK
        if on_disk and not began:
            raise CheckpointError(f"{folder} cannot go on with its replay on the disk: it was begun in memory.")
        on_disk = began
    return DiskStorage(folder / REPLAY, there) if on_disk else Storage()
