"""Frames to films: captioned, tiled, compared and encoded. Pure functions over uint8 RGB frames.

Shapes: a film is (T, H, W, 3) uint8, T frames. Everything here is deterministic: the same frames and the same
libraries give the same bytes, on any number of cores.
"""

import io
import math
import threading
from collections.abc import Iterator, Sequence
from functools import cache

import cv2
import numpy as np
from PIL import Image

from dali.errors import DaliError

PAPER = 255  # grey level of captions, gaps and padding
INK = (32, 32, 32)
SHEET_FRAMES = 64  # a sheet of 8 x 8 frames of 256 px is 2048 px wide, which every browser decodes

_FONT_LOCK = threading.Lock()  # a FontFace caches glyphs and is not safe to draw with from two threads


def check_film(frames: np.ndarray, name: str = "film") -> np.ndarray:
    """Returns the frames if they are a film (T >= 1, H, W, 3) of uint8, else raises DaliError."""
    if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8:
        found = getattr(frames, "dtype", type(frames).__name__)
        raise DaliError(f"The {name} has values of type {found}; expected uint8.")
    if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape[1:3]:
        raise DaliError(f"The {name} has shape {frames.shape}; expected (frames, height, width, 3).")
    if len(frames) == 0:
        raise DaliError(f"The {name} has no frames; expected at least one.")
    return frames


def _check_same_shape(films: Sequence[np.ndarray]) -> None:
    for film in films:
        check_film(film)
        if film.shape != films[0].shape:
            raise DaliError(f"Films of shapes {films[0].shape} and {film.shape} cannot be combined; expected the same.")


@cache
def _font() -> "cv2.FontFace":
    return cv2.FontFace("sans")  # bundled with OpenCV 5; has superscripts, Greek letters and the minus sign


def _text_width(text: str, size: int, weight: int) -> int:
    rect = cv2.getTextSize((0, 0), text, (0, 0), _font(), size, weight)
    return rect[2]


def _draw_text(image: np.ndarray, text: str, x: int, baseline: int, size: int, weight: int, room: int) -> None:
    """Draws one line in place, made smaller (to three quarters) and then cut with an ellipsis to fit `room` pixels."""
    with _FONT_LOCK:
        smallest = max(8, size * 3 // 4)
        while size > smallest and _text_width(text, size, weight) > room:
            size -= 1
        while len(text) > 1 and _text_width(text, size, weight) > room:
            text = text[:-2].rstrip() + "…"
        cv2.putText(image, text, (x, baseline), INK, _font(), size, weight)


def caption(frames: np.ndarray, title: str, physics: str = "") -> np.ndarray:
    """Puts a band with a title line and a line of physics with units above each frame.

    Args:
        frames: (T, H, W, 3) uint8.
        title: what the pane is, for example "Dream, counterfactual".
        physics: for example "g = 4.9 m/s², l = 1.00 m".

    Returns:
        (T, H + band, W, 3) uint8. The band is drawn once, its height depends on the width alone, so that panes of one
        size stay in line whatever their text.
    """
    check_film(frames)
    width = frames.shape[2]
    size = _text_size(width)
    band = np.full((caption_height(width), width, 3), PAPER, np.uint8)
    margin = size // 2
    _draw_text(band, title, margin, round(size * 1.15), size, 600, width - 2 * margin)
    _draw_text(band, physics, margin, round(size * 2.4), round(size * 0.85), 400, width - 2 * margin)
    return np.concatenate([np.broadcast_to(band, (len(frames), *band.shape)), frames], axis=1)


def caption_height(width: int) -> int:
    """Pixels that ``caption`` adds above a film of a width."""
    return round(_text_size(width) * 2.9)


def _text_size(width: int) -> int:
    return max(9, round(width / 16))


def footer_height(width: int) -> int:
    """Pixels that ``footer`` adds below a frame whose panes have a width."""
    return round(_text_size(width) * 1.9)


def footer(frame: np.ndarray, text: str, width: int) -> np.ndarray:
    """A frame (H, W, 3) with one line of text below it, as large as the captions of panes of a width."""
    size = _text_size(width)
    band = np.full((footer_height(width), frame.shape[1], 3), PAPER, np.uint8)
    _draw_text(band, text, size // 2, round(size * 1.35), size, 400, frame.shape[1] - size)
    return np.concatenate([frame, band])


def tile(panes: Sequence[np.ndarray], columns: int | None = None, gap: int = 8) -> np.ndarray:
    """Lays films of one shape out in rows on white.

    Args:
        panes: P films (T, H, W, 3).
        columns: panes in a row; by default 2 for four panes (2 x 2) and otherwise all in one row.
        gap: pixels between panes.

    Returns:
        (T, R * H + (R - 1) * gap, C * W + (C - 1) * gap, 3) uint8, R rows of C columns.
    """
    if not panes:
        raise DaliError("There is no pane to tile; expected at least one.")
    _check_same_shape(panes)
    if columns is None:
        columns = 2 if len(panes) == 4 else len(panes)
    if columns < 1:
        raise DaliError(f"Cannot tile panes in {columns} columns; expected at least 1.")
    columns = min(columns, len(panes))
    rows = math.ceil(len(panes) / columns)
    time, height, width, _ = panes[0].shape
    out = np.full((time, rows * (height + gap) - gap, columns * (width + gap) - gap, 3), PAPER, np.uint8)
    for i, pane in enumerate(panes):
        y, x = i // columns * (height + gap), i % columns * (width + gap)
        out[:, y : y + height, x : x + width] = pane
    return out


def enlarge(frames: np.ndarray, size: int) -> np.ndarray:
    """Square frames (T, P, P, 3) at another size (T, size, size, 3), each pixel kept as a block."""
    check_film(frames)
    return np.stack([cv2.resize(frame, (size, size), interpolation=cv2.INTER_NEAREST_EXACT) for frame in frames])


def _largest_channel(image: np.ndarray) -> np.ndarray:
    red, green, blue = cv2.split(image)
    return cv2.max(cv2.max(red, green), blue)


def _commonest_colour(image: np.ndarray) -> tuple[int, int, int]:
    packed = image.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    colours, counts = np.unique(packed, return_counts=True)
    colour = int(colours[counts.argmax()])
    return colour >> 16, colour >> 8 & 255, colour & 255


def ghost(real: np.ndarray, dream: np.ndarray) -> np.ndarray:
    """Draws the dream over the real film so that the two can be told apart without colour.

    The real film fades to two fifths of its contrast; the dream is an outline in black ink, and its body is hatched
    where the real film shows something else.

    Args:
        real: (T, H, W, 3) uint8.
        dream: the same shape.

    Returns:
        (T, H, W, 3) uint8.
    """
    _check_same_shape([real, dream])
    height, width = real.shape[1:3]
    hatch = (np.add.outer(np.arange(height), np.arange(width)) % 6) < 2
    background = np.full((height, width, 3), _commonest_colour(dream[0]), np.uint8)
    fade = np.round(PAPER - (PAPER - np.arange(256)) * 0.4).astype(np.uint8)
    out = cv2.LUT(real.reshape(len(real), -1), fade).reshape(real.shape)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    for t in range(len(out)):
        grey = cv2.cvtColor(dream[t], cv2.COLOR_RGB2GRAY)
        outline = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, cross) > 40
        elsewhere = _largest_channel(cv2.absdiff(dream[t], real[t])) > 40
        body = _largest_channel(cv2.absdiff(dream[t], background)) > 40
        out[t][outline | (hatch & elsewhere & body)] = 0
    return out


def difference(real: np.ndarray, dream: np.ndarray) -> np.ndarray:
    """The absolute difference of two films, the largest of the three channels, through the cividis colour map.

    Dark is 0, bright 255. Cividis is perceptually even and reads the same with a colour vision deficiency (Nuñez et
    al., 2018).

    Args:
        real: (T, H, W, 3) uint8.
        dream: the same shape.

    Returns:
        (T, H, W, 3) uint8.
    """
    _check_same_shape([real, dream])
    out = np.empty_like(real)
    for t in range(len(out)):
        size = _largest_channel(cv2.absdiff(real[t], dream[t]))
        out[t] = cv2.applyColorMap(size, cv2.COLORMAP_CIVIDIS)[..., ::-1]
    return out


def _grid(frames: np.ndarray, columns: int) -> np.ndarray:
    """Frames (T, H, W, 3) row by row in one picture; cells past the last frame are black."""
    time, height, width, _ = frames.shape
    grid = np.zeros((math.ceil(time / columns) * height, columns * width, 3), np.uint8)
    for t, frame in enumerate(frames):
        y, x = t // columns * height, t % columns * width
        grid[y : y + height, x : x + width] = frame
    return grid


def encode_png(image: np.ndarray, options: Sequence[int] = ()) -> bytes:
    """One picture (H, W, 3) uint8 as PNG; ``options`` are OpenCV's."""
    ok, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not ok:
        raise DaliError(f"A picture of shape {image.shape} could not be encoded as PNG.")
    return data.tobytes()


def sprite(frames: np.ndarray) -> tuple[bytes, int]:
    """All frames as one PNG sheet, row by row, for a player that draws them by index.

    PNG is exact, so that equal frames look equal. At its lowest compression, with fixed codes and without row filters,
    it is smaller than JPEG on flat line drawings and browsers decode it as fast; photographic frames would make it
    several times larger.

    Args:
        frames: (T, H, W, 3) uint8, at most SHEET_FRAMES.

    Returns:
        The PNG and the number of columns.
    """
    check_film(frames)
    if len(frames) > SHEET_FRAMES:
        raise DaliError(f"A sheet holds at most {SHEET_FRAMES} frames; found {len(frames)}.")
    columns = math.ceil(math.sqrt(len(frames)))
    quick = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_FIXED]
    quick += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]
    return encode_png(_grid(frames, columns), quick), columns


def png_strip(frames: np.ndarray, every: int, timestep: float | None = None) -> bytes:
    """Every `every`-th frame side by side as one PNG.

    Args:
        frames: (T, H, W, 3) uint8.
        every: at least 1; frames 0, every, 2 * every, ... are shown.
        timestep: seconds a frame; when given, each picture is headed by its time.
    """
    check_film(frames)
    if every < 1:
        raise DaliError(f"Cannot show every {every}th frame; expected at least 1.")
    shown = frames[::every]
    if timestep is not None:
        labels = [f"t = {i * timestep:.2f} s" for i in range(0, len(frames), every)]
        shown = np.concatenate([caption(frame[None], label) for frame, label in zip(shown, labels, strict=True)])
    return encode_png(tile([frame[None] for frame in shown], columns=len(shown))[0])


def encode_mp4(frames: np.ndarray | Iterator[np.ndarray], fps: float) -> bytes:
    """An H.264 film that browsers and slide decks play: yuv420p, BT.709, index first.

    One thread, `bitexact` and `cpu-independent` make it the same bytes on every machine with the same ffmpeg.
    Odd sizes grow by one row or column, a copy of the last, since yuv420p needs even ones.

    Args:
        frames: (T, H, W, 3) uint8, or its frames one by one, so that a large film need not be in memory.
        fps: frames a second, above 0.
    """
    import imageio.v3 as imageio  # here, so that an engine without it can import this module

    if not isinstance(frames, Iterator):
        check_film(frames)
    if not (math.isfinite(fps) and fps > 0):
        raise DaliError(f"A film of {fps} frames a second cannot be encoded; expected a number above 0.")
    scale = "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int+bitexact"
    options = ["-map_metadata", "-1", "-vf", f"{scale},format=yuv420p"]
    options += ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
    options += ["-preset", "veryfast", "-crf", "18", "-threads", "1", "-x264-params", "threads=1:cpu-independent=1"]
    options += ["-flags:v", "+bitexact", "-fflags", "+bitexact", "-movflags", "+faststart"]
    try:
        return imageio.imwrite(  # type: ignore[call-overload]  # a batch may be any iterable
            "<bytes>",
            (_even(frame) for frame in frames),
            is_batch=True,
            extension=".mp4",
            plugin="FFMPEG",
            fps=fps,
            codec="libx264",
            quality=None,  # -crf above
            macro_block_size=1,
            ffmpeg_log_level="error",
            input_params=["-fflags", "+bitexact"],
            output_params=options,
        )
    except (OSError, RuntimeError, ImportError) as error:
        raise DaliError(f"The film could not be encoded: {_first_line(error)}") from error


def _even(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    odd = height % 2 or width % 2
    return np.pad(frame, [(0, height % 2), (0, width % 2), (0, 0)], mode="edge") if odd else frame


def encode_gif(frames: np.ndarray, fps: float, colours: int = 256) -> bytes:
    """A looping GIF with one palette of ``colours``, at most 256, taken from up to 16 frames.

    GIF counts time in hundredths of a second: delays alternate so that the film lasts T / fps to within one. A run of
    equal frames is stored as one frame with their joint delay.

    Args:
        frames: (T, H, W, 3) uint8.
        fps: frames a second, above 0 and at most 100.
    """
    check_film(frames)
    if not 0 < fps <= 100:
        raise DaliError(f"A GIF of {fps} frames a second cannot be encoded; expected above 0 and at most 100.")
    sample = frames[np.unique(np.linspace(0, len(frames) - 1, 16).astype(int))]
    palette = Image.fromarray(_grid(sample, 4)).quantize(colours, Image.Quantize.MEDIANCUT)
    pictures = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    ticks = np.round(np.arange(len(frames) + 1) * 100 / fps).astype(int)
    delays = (np.diff(ticks) * 10).tolist()
    out = io.BytesIO()
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], duration=delays, loop=0, optimize=False)
    return out.getvalue()


def probe(mp4: bytes) -> int:
    """The number of frames in an mp4, each of them decoded."""
    import imageio.v3 as imageio

    try:
        count = sum(1 for _ in imageio.imiter(mp4, extension=".mp4", plugin="FFMPEG"))
    except (OSError, RuntimeError, ImportError, IndexError) as error:
        raise DaliError(f"These {len(mp4)} bytes are not a film that ffmpeg can read: {_first_line(error)}") from error
    if not count:
        raise DaliError(f"These {len(mp4)} bytes are not a film that ffmpeg can read: it has no frames.")
    return count


def _first_line(error: Exception) -> str:
    """imageio's messages go on with the command line and the log of ffmpeg."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
