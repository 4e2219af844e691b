"""Moments of a film as a figure for a paper: frames as pictures, everything else as text that stays legible.

A figure is as wide as a column. It is laid out once, in points, and written as SVG or PDF. The PDF names Helvetica and
Symbol, which every reader has, instead of embedding them.

Shapes: T frames.
"""

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

from dali.errors import DaliError
from dali.export.pictures import Picture
from dali.video import encode_png

POINT = 25.4 / 72  # mm
COLUMNS = {"column": (84.0, 5), "page": (174.0, 9)}  # mm of papers of two columns, and moments in a row
TEXT, SMALL = 7.5, 7.0  # pt, the least that journals take
LEADING = 1.3
EM = 0.53  # of the font's size, mean width of a letter of Helvetica; lines are broken by it
GAP = 3.0  # pt between pictures
WITH_SYMBOL = {"σ": "s", "χ": "c", "μ": "m", "θ": "q", "ω": "w", "−": "-", "≈": "\xbb", "≤": "\xa3", "≥": "\xb3"}


@dataclass(frozen=True)
class Label:
    """A line of text; ``y`` is its baseline, from the top."""

    x: float
    y: float
    size: float
    text: str
    bold: bool = False


@dataclass(frozen=True, eq=False)
class Figure:
    """A laid out figure, in points from the top left."""

    width: float
    height: float = 0.0
    pictures: list[tuple[float, float, float, np.ndarray]] = field(default_factory=list)  # x, y, side, (P, P, 3) uint8
    labels: list[Label] = field(default_factory=list)


def column(width: str) -> tuple[float, int]:
    """Millimetres of a width, "column" or "page", and how many moments stand in it. Raises DaliError for another."""
    if width not in COLUMNS:
        raise DaliError(f"A figure cannot be as wide as a {width!r}; expected {' or '.join(COLUMNS)}.")
    return COLUMNS[width]


def moments(frames: int, count: int) -> list[int]:
    """Indices of ``count`` frames, evenly from the first to the last."""
    if count < 2:
        raise DaliError(f"A strip of {count} moments shows no course; expected at least 2.")
    return sorted({round(i) for i in np.linspace(0, frames - 1, count)})


def lay_out(pictures: Sequence[Picture], times: Sequence[float], note: str, width: str = "column") -> Figure:
    """A row a picture, headed by its name and physics; a column a moment, headed by its time.

    Args:
        pictures: whose frames (T, P, P, 3) are the moments alone. times: (T,) s. note: stands below.
        width: "column" or "page" of a paper of two columns.
    """
    whole = column(width)[0] / POINT
    side = (whole - GAP * (len(times) - 1)) / len(times)
    placed: list[tuple[float, float, float, np.ndarray]] = []
    labels = [
        Label(i * (side + GAP), SMALL, SMALL, f"{'t = ' if i == 0 else ''}{time:.2f} s") for i, time in enumerate(times)
    ]
    y = SMALL * LEADING
    for picture in pictures:
        y += TEXT * LEADING
        labels.append(Label(0, y, TEXT, picture.title, bold=True))
        for line in wrap(picture.caption, whole, SMALL):
            y += SMALL * LEADING
            labels.append(Label(0, y, SMALL, line))
        y += GAP
        placed += [(i * (side + GAP), y, side, frame) for i, frame in enumerate(picture.frames)]
        y += side + GAP
    for line in wrap(note, whole, SMALL):
        y += SMALL * LEADING
        labels.append(Label(0, y, SMALL, line))
    return Figure(whole, y + GAP, placed, labels)


def wrap(text: str, width: float, size: float) -> list[str]:
    """Lines of words that fit a width in points; a longer word stands alone."""
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width / (EM * size):
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def to_svg(figure: Figure) -> bytes:
    """The figure as SVG, with frames as PNG inside."""
    width, height = figure.width, figure.height
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width * POINT:.3f}mm" height="{height * POINT:.3f}mm" '
        f'viewBox="0 0 {width:.3f} {height:.3f}" font-family="Helvetica, Arial, sans-serif">'
    ]
    for x, y, side, frame in figure.pictures:
        data = base64.b64encode(encode_png(frame)).decode()
        place = f'x="{x:.3f}" y="{y:.3f}" width="{side:.3f}" height="{side:.3f}"'
        parts.append(f'<image {place} href="data:image/png;base64,{data}"/>')
        parts.append(f'<rect {place} fill="none" stroke="#999" stroke-width="0.4"/>')
    for label in figure.labels:
        weight = ' font-weight="bold"' if label.bold else ""
        parts.append(
            f'<text x="{label.x:.3f}" y="{label.y:.3f}" font-size="{label.size:g}"{weight}>{escape(label.text)}</text>'
        )
    return "\n".join([*parts, "</svg>", ""]).encode()


def to_pdf(figure: Figure) -> bytes:
    """The figure as a PDF of one page of its size (ISO 32000-1), with frames as exact pixels inside.

    A letter that neither font has is shown as a question mark.
    """
    objects: list[bytes] = [b"", b""]  # the catalogue and the tree of pages, written last
    fonts: list[str] = []
    for name in ("Helvetica", "Helvetica-Bold", "Symbol"):
        encoding = "" if name == "Symbol" else " /Encoding /WinAnsiEncoding"
        objects.append(f"<< /Type /Font /Subtype /Type1 /BaseFont /{name}{encoding} >>".encode())
        fonts.append(f"/F{len(fonts)} {len(objects)} 0 R")
    drawn: list[str] = []
    named: list[str] = []
    for i, (x, y, side, frame) in enumerate(figure.pictures):
        objects.append(_image(frame))
        named.append(f"/I{i} {len(objects)} 0 R")
        low = figure.height - y - side
        drawn.append(f"q {side:.3f} 0 0 {side:.3f} {x:.3f} {low:.3f} cm /I{i} Do Q")
        drawn.append(f"0.6 G 0.4 w {x:.3f} {low:.3f} {side:.3f} {side:.3f} re S")
    page = "\n".join(drawn).encode() + b"\n"
    page += b"".join(_text(label, figure.height) for label in figure.labels)
    objects.append(b"<< /Length %d >>\nstream\n" % len(page) + page + b"\nendstream")
    content = len(objects)
    objects.append(
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {figure.width:.3f} {figure.height:.3f}] /Contents {content} 0 R "
        f"/Resources << /Font << {' '.join(fonts)} >> /XObject << {' '.join(named)} >> >> >>".encode()
    )
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R >>"
    objects[1] = b"<< /Type /Pages /Kids [%d 0 R] /Count 1 >>" % len(objects)
    return _file(objects)


def _image(frame: np.ndarray) -> bytes:
    data = zlib.compress(np.ascontiguousarray(frame).tobytes(), 9)
    height, width = frame.shape[:2]
    head = f"<< /Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /DeviceRGB "
    head += f"/BitsPerComponent 8 /Filter /FlateDecode /Length {len(data)} >>"
    return head.encode() + b"\nstream\n" + data + b"\nendstream"


def _text(label: Label, height: float) -> bytes:
    """Text in runs of one font each, since the ordinary encoding has no Greek letters."""
    runs: list[tuple[str, bytes]] = []
    for letter in label.text:
        font = "F2" if letter in WITH_SYMBOL else "F1" if label.bold else "F0"
        code = WITH_SYMBOL[letter].encode("latin-1") if letter in WITH_SYMBOL else letter.encode("cp1252", "replace")
        code = b"\\" + code if code in (b"(", b")", b"\\") else code
        if runs and runs[-1][0] == font:
            runs[-1] = (font, runs[-1][1] + code)
        else:
            runs.append((font, code))
    shown = b"".join(b"/%s %g Tf (%s) Tj " % (font.encode(), label.size, code) for font, code in runs)
    return b"BT %.3f %.3f Td %sET\n" % (label.x, height - label.y, shown)


def _file(objects: Sequence[bytes]) -> bytes:
    out, places = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)
