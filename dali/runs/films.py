"""Films that a training left on its way: real episode beside dream, one small GIF a moment.

    films/step-N.gif     what the agent dreamed after N environment steps

Shapes: T frames, H x W pixels.
"""

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dali.errors import CheckpointError
from dali.files.reading import read_bytes
from dali.files.writing import reason, write_bytes
from dali.runs.folder import FILMS

if TYPE_CHECKING:
    from PIL import Image

COUNT = 10  # films a run, where nobody says
EVERY = 2  # records from one frame to the next
FPS = 10  # frames a second that a GIF plays, whatever the environment's step: its clock counts hundredths
KEPT_BYTES = 2**19  # of all films of a run; ten take 400 kB, and the noise of dreamed pixels more
MAX_BYTES = 2**20  # of a film that is read; ours take 30 to 130 kB
MAX_FRAMES, MAX_PIXELS = 512, 2**25  # of it, and of all its frames together; ours have 26 and 1 million
_NAME = re.compile(r"step-(\d{1,10})\.gif")


class TrainingFilm(NamedTuple):
    """Where the film of an environment step lies."""

    step: int
    path: Path


def list_films(folder: Path) -> list[TrainingFilm]:
    """The films of a run by their steps; none where there is no folder of them.

    Raises:
        CheckpointError: the folder cannot be read.
    """
    try:
        found = [(_NAME.fullmatch(path.name), path) for path in (folder / FILMS).iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CheckpointError(f"{folder / FILMS} cannot be read: {reason(error)}.") from error
    return sorted(TrainingFilm(int(match[1]), path) for match, path in found if match)


def write_film(folder: Path, step: int, gif: bytes) -> None:
    """Writes the film of an environment step, and removes the oldest for which KEPT_BYTES leave no room beside it.

    Raises:
        CheckpointError: it cannot be written. What was there stands.
    """
    room = KEPT_BYTES - len(gif)
    for film in reversed([film for film in list_films(folder) if film.step != step]):
        try:
            room -= film.path.lstat().st_size
        except OSError as error:
            raise CheckpointError(f"{film.path} cannot be read: {reason(error)}.") from error
        if room < 0:
            _remove(film.path)
    write_bytes(folder / FILMS / f"step-{step}.gif", gif)


def drop_films(folder: Path, after: int) -> None:
    """Removes the films of environment steps beyond one that a run goes on from; the run makes them anew.

    Raises:
        CheckpointError: the folder cannot be read, or one of them cannot be removed.
    """
    for film in list_films(folder):
        if film.step > after:
            _remove(film.path)


def read_film(path: Path) -> np.ndarray:
    """The frames of a film, (T, H, W, 3) uint8; one that is shown for longer than 1 / FPS is repeated.

    Raises:
        CheckpointError: it is not there, is larger than the limits above, or is no GIF that can be decoded.
    """
    from PIL import Image  # here, so that a run without films can be listed and trained without it

    try:
        data = read_bytes(path, MAX_BYTES)
    except FileNotFoundError:
        raise CheckpointError(f"There is no film {path}.") from None
    try:
        with Image.open(io.BytesIO(data), formats=("GIF",)) as image:
            return _decode(image, path)
    except (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, Image.DecompressionBombError) as error:
        raise CheckpointError(f"{path} is not a film that can be shown: it is no whole GIF.") from error


def _decode(image: "Image.Image", path: Path) -> np.ndarray:
    frames: list[np.ndarray] = []
    while True:
        width, height = image.size  # of this frame: a later one may ask for more than the first
        times = max(1, round(image.info.get("duration", 0) * FPS / 1000))
        count = len(frames) + times
        if count > MAX_FRAMES or count * width * height > MAX_PIXELS:
            raise CheckpointError(
                f"{path} has {count} frames or more of {width} x {height} pixels; expected at most {MAX_FRAMES} frames "
                f"and {MAX_PIXELS:,} pixels in all."
            )
        frames += [np.asarray(image.convert("RGB"))] * times
        try:
            image.seek(image.tell() + 1)
        except EOFError:
            return np.stack(frames)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be removed: {reason(error)}.") from error
