"""A small anti-aliased canvas in metres, drawn by OpenCV into an array, without OpenGL or a window.

Colours are Okabe and Ito's, told apart under the common colour-vision deficiencies.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from dali.envs.lazy import Lazy

if TYPE_CHECKING:
    import cv2
else:
    # Frames are small, and the callers' cores are busy: OpenCV's own threads cost more than they save.
    cv2 = Lazy("cv2", lambda module: module.setNumThreads(1))

Point = Sequence[float] | np.ndarray  # (x, z) in metres
Colour = tuple[int, int, int]

BACKGROUND = (246, 247, 249)
GRID = (226, 229, 233)
GROUND = (205, 209, 215)
INK = (52, 58, 66)
BLUE, ORANGE, VERMILION, GREEN, SKY = (0, 114, 178), (230, 159, 0), (213, 94, 0), (0, 158, 115), (86, 180, 233)

_SHIFT = 6  # OpenCV takes integer coordinates; this many of their bits are fractions of a pixel
_ONE = 1 << _SHIFT
_FAR = 1 << 20  # beyond any picture; a diverged dream is drawn there, inside OpenCV's integers
_SMALLEST = 200  # pixels; pictures below are drawn at a multiple of their size
_TURNS = np.linspace(-math.pi / 2, math.pi / 2, 13)
_HALF_CIRCLE = np.stack([np.cos(_TURNS), np.sin(_TURNS)], axis=1)  # (13, 2)


class Canvas:
    """A square picture of the window centred at (x, z) metres, `span` metres wide and high; z points up.

    Small pictures are drawn larger and averaged, since OpenCV's own smoothing spoils shapes of a few pixels.
    """

    def __init__(self, size: int, centre: tuple[float, float], span: float, outline: bool = False):
        self.outline = outline  # shapes are contours instead of filled
        self._size = size
        inner = size * max(1, -(-_SMALLEST // size))
        self._pixels = _blank(inner).copy()
        self.scale = inner / span  # pixels a metre
        self._left = centre[0] - span / 2
        self._top = centre[1] + span / 2
        self._thinnest = inner / size  # one pixel of the picture
        self._stroke = max(1, round(inner / 128))  # of contours

    def finish(self) -> np.ndarray:
        """The (size, size, 3) uint8 RGB picture."""
        if len(self._pixels) == self._size:
            return self._pixels
        return cv2.resize(self._pixels, (self._size, self._size), interpolation=cv2.INTER_AREA)

    def capsule(self, a: Point, b: Point, radius: float, colour: Colour) -> None:
        """Everything within `radius` metres of the segment a-b (a disc where a = b)."""
        radius = max(radius, 0.6 * self._thinnest / self.scale)  # never thinner than what can be seen
        along = math.atan2(b[1] - a[1], b[0] - a[0])
        turn = radius * np.array([[math.cos(along), math.sin(along)], [-math.sin(along), math.cos(along)]])
        half = _HALF_CIRCLE @ turn  # from the right of the direction a -> b to its left, around b
        self.polygon(np.concatenate([half + np.asarray(b), np.asarray(a) - half]), colour)

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """A ball."""
        at = self._pixel(centre)
        pixels = max(radius * self.scale, self._thinnest)
        thickness = self._stroke if self.outline else cv2.FILLED
        cv2.circle(self._pixels, at, round(pixels * _ONE), colour, thickness, cv2.LINE_AA, _SHIFT)

    def ring(self, centre: Point, radius: float, colour: Colour) -> None:
        """A circle's line, one stroke wide."""
        cv2.circle(self._pixels, self._pixel(centre), round(radius * self.scale * _ONE), colour, 1, cv2.LINE_AA, _SHIFT)

    def polygon(self, points: Sequence[Point] | np.ndarray, colour: Colour) -> None:
        """A convex polygon."""
        corners = self._corners(points)
        if self.outline:
            cv2.polylines(self._pixels, [corners], True, colour, self._stroke, cv2.LINE_AA, _SHIFT)
        else:
            cv2.fillConvexPoly(self._pixels, corners, colour, cv2.LINE_AA, _SHIFT)

    def line(self, points: Sequence[Point] | np.ndarray, colour: Colour, width: float = 0.0) -> None:
        """A path of `width` metres (at least one pixel), the same in both styles."""
        corners = self._corners(points)
        thickness = max(round(self._thinnest), round(width * self.scale))
        cv2.polylines(self._pixels, [corners], False, colour, thickness, cv2.LINE_AA, _SHIFT)

    def _corners(self, points: Sequence[Point] | np.ndarray) -> np.ndarray:
        """(K, 2) int32 in OpenCV's units, of K points in metres."""
        # Half a pixel off, since OpenCV's integer coordinates name the centres of pixels.
        column, row = np.asarray(points, dtype=np.float64).T
        column = (column - self._left) * self.scale - 0.5
        row = (self._top - row) * self.scale - 0.5
        units = np.rint(np.stack([column, row], axis=1) * _ONE)
        return np.clip(np.where(np.isnan(units), -_FAR, units), -_FAR, _FAR).astype(np.int32)

    def _pixel(self, point: Point) -> tuple[int, int]:
        column, row = self._corners([point])[0].tolist()
        return column, row


@lru_cache(maxsize=8)
def _blank(size: int) -> np.ndarray:
    return np.full((size, size, 3), BACKGROUND, dtype=np.uint8)


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """The colour that lies `share` of the way from a to b."""
    red, green, blue = (round(p + share * (q - p)) for p, q in zip(a, b, strict=True))
    return red, green, blue
