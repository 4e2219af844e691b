"""How a film is shown: how large, how fast, how often, and what is burned into its pictures.

Shapes: T frames of a film.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dali.errors import DaliError
from dali.export.pictures import Picture, tile_columns
from dali.video import PAPER, caption, caption_height, footer, footer_height, tile

WIDTHS = {720: 1280, 1080: 1920}  # of a picture of 16:9, by its height
GAP = 8  # pixels between panes
MARGINS = 60  # of a picture's height, above and below
MOST_HOLD, MOST_LOOPS = 10.0, 10
SLOWEST, FASTEST = 0.1, 4.0


@dataclass(frozen=True)
class Look:
    """The look of a film.

    Attributes:
        height: pixels of a picture of 16:9, 720 or 1080, with all panes in it; None leaves panes at their size.
        hold: seconds that the last frame stands. speed: of real time; below 1 is slow motion.
        loops: how often the film runs. clock: whether time and errors stand under the panes.
    """

    height: int | None = None
    hold: float = 0.0
    speed: float = 1.0
    loops: int = 1
    clock: bool = False

    def __post_init__(self) -> None:
        if self.height is not None and self.height not in WIDTHS:
            raise DaliError(f"A film cannot be {self.height} pixels high; expected {' or '.join(map(str, WIDTHS))}.")
        if not (math.isfinite(self.hold) and 0.0 <= self.hold <= MOST_HOLD):
            raise DaliError(f"The last frame cannot stand {self.hold:g} s; expected 0 to {MOST_HOLD:g} s.")
        if not (math.isfinite(self.speed) and SLOWEST <= self.speed <= FASTEST):
            raise DaliError(f"A speed of {self.speed:g} is out of range; expected {SLOWEST:g} to {FASTEST:g}.")
        if not 1 <= self.loops <= MOST_LOOPS:
            raise DaliError(f"A film cannot run {self.loops} times; expected 1 to {MOST_LOOPS}.")

    def arguments(self) -> list[str]:
        """The options of ``python -m dali counterfactual`` that ask for the same."""
        words = ["--height", str(self.height)] if self.height is not None else []
        words += ["--hold", f"{self.hold:g}"] if self.hold else []
        words += ["--speed", f"{self.speed:g}"] if self.speed != 1.0 else []
        words += ["--loops", str(self.loops)] if self.loops != 1 else []
        return [*words, "--clock"] if self.clock else words

    def rate(self, timestep: float) -> float:
        """Frames a second, of an environment with steps of so many seconds."""
        return self.speed / timestep

    def arrange(self, panes: int) -> tuple[list[int], int, int | None]:
        """The order of panes, their columns, and pixels a side of each, the most that fit the height; None without one.

        Pairs stand side by side, or, where there are so many that they are larger so, above each other.
        """
        rows_of_pairs = list(range(panes)), tile_columns(panes)
        if self.height is None:
            return *rows_of_pairs, None
        columns_of_pairs = [*range(0, panes, 2), *range(1, panes, 2)], max(1, panes // 2)
        offered = [rows_of_pairs] if panes % 2 else [rows_of_pairs, columns_of_pairs]
        return max(((*way, self._largest(panes, way[1])) for way in offered), key=lambda way: way[2])

    def _largest(self, panes: int, columns: int) -> int:
        assert self.height is not None
        rows, margin = math.ceil(panes / columns), self.height // MARGINS
        for size in range(self.height, 16, -1):
            width = columns * (size + GAP) - GAP
            high = rows * (size + caption_height(size) + GAP) - GAP + (footer_height(size) if self.clock else 0)
            if high <= self.height - 2 * margin and width <= WIDTHS[self.height] - 2 * margin:
                break
        return size

    def compose(self, pictures: Sequence[Picture], columns: int, notes: Sequence[str]) -> Iterator[np.ndarray]:
        """Each frame (height, width, 3) uint8 of a film once, panes tiled, captioned and noted; one at a time.

        Args:
            pictures, columns: as ``arrange`` has them.
            notes: what stands under the panes of each frame, where the clock is asked for.
        """
        for t, note in enumerate(notes):
            frame = tile([caption(p.frames[t : t + 1], p.title, p.caption) for p in pictures], columns)[0]
            if self.clock:
                frame = footer(frame, note, pictures[0].frames.shape[2])
            yield frame if self.height is None else _centred(frame, self.height)


PLAIN = Look()  # panes at their size, once, in real time


def _centred(frame: np.ndarray, height: int) -> np.ndarray:
    """A frame in the middle of a white one of 16:9."""
    out = np.full((height, WIDTHS[height], 3), PAPER, np.uint8)
    top, left = (out.shape[0] - frame.shape[0]) // 2, (out.shape[1] - frame.shape[1]) // 2
    out[top : top + frame.shape[0], left : left + frame.shape[1]] = frame
    return out
