"""A small anti-aliased canvas in metres, drawn by OpenCV into an array, without OpenGL or a window.

Colours are Okabe and Ito's, told apart under the common colour-vision deficiencies.
"""

import math

import cv2
import numpy as np

# Frames are small, and the callers' cores are busy: OpenCV's own threads cost more than they save.
cv2.setNumThreads(1)

BACKGROUND = (246, 247, 249)
GRID = (226, 229, 233)
GROUND = (205, 209, 215)
INK = (52, 58, 66)
BLUE, ORANGE, VERMILION, GREEN, SKY = (0, 114, 178), (230, 159, 0), (213, 94, 0), (0, 158, 115), (86, 180, 233)

_SHIFT = 6  # OpenCV takes integer coordinates; this many of their bits are fractions of a pixel
_ONE = 1 << _SHIFT
_SMALLEST = 200  # pixels; pictures below are drawn at a multiple of their size


class Canvas:
    """A square picture of the window centred at (x, z) metres, `span` metres wide and high; z points up.

    Small pictures are drawn larger and averaged, since OpenCV's own smoothing spoils shapes of a few pixels.
    """

    def __init__(self, size: int, centre: tuple[float, float], span: float, outline: bool = False):
        self.outline = outline  # shapes are contours instead of filled
        self._size = size
        inner = size * max(1, -(-_SMALLEST // size))
        self._pixels = np.full((inner, inner, 3), BACKGROUND, dtype=np.uint8)
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

    def capsule(self, a, b, radius: float, colour) -> None:
        """Everything within `radius` metres of the segment a-b (a disc where a = b)."""
        radius = max(radius, 0.6 * self._thinnest / self.scale)  # never thinner than what can be seen
        along = math.atan2(b[1] - a[1], b[0] - a[0])
        steps = max(6, min(16, int(radius * self.scale)))
        points = []
        for end, start in ((b, along - math.pi / 2), (a, along + math.pi / 2)):
            for k in range(steps + 1):
                angle = start + math.pi * k / steps
                points.append((end[0] + radius * math.cos(angle), end[1] + radius * math.sin(angle)))
        self.polygon(points, colour)

    def disc(self, centre, radius: float, colour) -> None:
        """A ball."""
        at = self._pixel(centre)
        pixels = max(radius * self.scale, self._thinnest)
        thickness = self._stroke if self.outline else cv2.FILLED
        cv2.circle(self._pixels, at, round(pixels * _ONE), colour, thickness, cv2.LINE_AA, _SHIFT)

    def ring(self, centre, radius: float, colour) -> None:
        """A circle's line, one stroke wide."""
        cv2.circle(self._pixels, self._pixel(centre), round(radius * self.scale * _ONE), colour, 1, cv2.LINE_AA, _SHIFT)

    def polygon(self, points, colour) -> None:
        """A convex polygon."""
        corners = np.array([self._pixel(p) for p in points], dtype=np.int32)
        if self.outline:
            cv2.polylines(self._pixels, [corners], True, colour, self._stroke, cv2.LINE_AA, _SHIFT)
        else:
            cv2.fillConvexPoly(self._pixels, corners, colour, cv2.LINE_AA, _SHIFT)

    def line(self, points, colour, width: float = 0.0) -> None:
        """A path of `width` metres (at least one pixel), the same in both styles."""
        corners = np.array([self._pixel(p) for p in points], dtype=np.int32)
        thickness = max(round(self._thinnest), round(width * self.scale))
        cv2.polylines(self._pixels, [corners], False, colour, thickness, cv2.LINE_AA, _SHIFT)

    def _pixel(self, point) -> tuple[int, int]:
        # Half a pixel off, since OpenCV's integer coordinates name the centres of pixels.
        column = (point[0] - self._left) * self.scale - 0.5
        row = (self._top - point[1]) * self.scale - 0.5
        # Beyond any picture; keeps a diverged dream inside OpenCV's integers. In this order NaN ends there too.
        limit = 1 << 20
        return round(min(limit, max(-limit, column * _ONE))), round(min(limit, max(-limit, row * _ONE)))
