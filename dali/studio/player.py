"""A frame-accurate player for several films and the traces of what they show, as one Streamlit component.

The browser gets every frame, in sheets, and every value; so nothing it shows depends on a media clock, and playing or
seeking never reruns the script. Position, speed and hidden traces belong to the browser and outlive new film data.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from dali.errors import DaliError, unknown_name
from dali.video import SHEET_FRAMES, check_film, sprite

# Line styles of traces. The first four name the four panes; "pinned" is a run kept for comparison, the others are the
# dreams of a second agent.
STYLES = (
    "real_factual",
    "real_counterfactual",
    "dream_factual",
    "dream_counterfactual",
    "pinned",
    "second_factual",
    "second_counterfactual",
)

_FRONTEND = Path(__file__).parent / "frontend"


@dataclass(frozen=True, eq=False)
class Pane:
    """One film with its labels.

    `digest`, if given, names the frames: panes with one digest are drawn and encoded once. `style`, if given, tints
    the pane and shows the line style of the traces that belong to the film beside its title. `gravity`, from 0 to 1, is
    drawn as an arrow of that share of the longest one. `drawn` frames are ink on paper, which a dark page turns round;
    others, whose brightness means something, it leaves as they are.
    """

    title: str
    caption: str  # the physics, with units
    frames: np.ndarray | Callable[[], np.ndarray]  # (T, H, W, 3) uint8, or what draws them
    digest: str = ""
    style: str = ""
    gravity: float = 0.0
    drawn: bool = True


@dataclass(frozen=True, eq=False)
class Series:
    """One line of a plot; values that are not finite leave a gap. A band of ``spread`` lies on either side of it."""

    label: str
    values: np.ndarray  # (T,)
    style: str
    spread: np.ndarray | None = None  # (T,)


@dataclass(frozen=True, eq=False)
class Trace:
    """One plot over time, of one observation dimension or one error."""

    name: str
    unit: str
    series: Sequence[Series]


@dataclass(frozen=True, eq=False)
class PlayerFilm:
    """Films of one length with the traces of the same T steps."""

    panes: Sequence[Pane]
    traces: Sequence[Trace] = field(default=())
    timestep: float = 0.02  # s


def sheets(frames: np.ndarray) -> list[tuple[bytes, int]]:
    """A film's frames (T, H, W, 3) as PNG sheets of SHEET_FRAMES, the last one shorter, each with its columns."""
    return [sprite(frames[i : i + SHEET_FRAMES]) for i in range(0, len(frames), SHEET_FRAMES)]


@dataclass(frozen=True)
class EncodedPane:
    """What is sent of a pane's frames (T, H, W, 3)."""

    frames: int  # T
    height: int
    width: int
    sheets: list[tuple[bytes, int]]  # of `sheets`


def _encode(pane: Pane) -> EncodedPane:
    frames = check_film(pane.frames() if callable(pane.frames) else pane.frames, f"pane {pane.title!r}")
    time, height, width = frames.shape[:3]
    return EncodedPane(time, height, width, sheets(frames))


_encoders = ThreadPoolExecutor(os.cpu_count(), "encode")  # compression holds no lock of the interpreter


@st.cache_resource(max_entries=64, show_spinner=False)
def _encoding(digest: str, _pane: Pane) -> "Future[EncodedPane]":
    return _encoders.submit(_encode, _pane)


def start_encoding(pane: Pane) -> "Future[EncodedPane]":
    """Has a pane drawn and encoded on another thread, unless its digest is known from before."""
    if not pane.digest:
        return _encoders.submit(_encode, pane)
    encoding = _encoding(pane.digest, pane)
    if encoding.done() and encoding.exception():  # of an earlier try
        _encoding.clear(pane.digest, pane)
        return _encoding(pane.digest, pane)
    return encoding


def encode_panes(film: PlayerFilm) -> list[EncodedPane]:
    """The panes of a film, drawn where they were not before; DaliError where panes and series do not fit together."""
    if not film.panes:
        raise DaliError("The film has no pane; expected at least one.")
    if not (math.isfinite(film.timestep) and film.timestep > 0):
        raise DaliError(f"The film has a timestep of {film.timestep} s; expected a number above 0.")
    encoded = [encoding.result() for encoding in [start_encoding(pane) for pane in film.panes]]
    time = encoded[0].frames
    for pane, drawn in zip(film.panes, encoded, strict=True):
        if drawn.frames != time:
            raise DaliError(f"Pane {pane.title!r} has {drawn.frames} frames; expected {time} as in the first.")
        if pane.style and pane.style not in STYLES:
            raise unknown_name("line style", pane.style, STYLES)
        if not 0.0 <= pane.gravity <= 1.0:
            raise DaliError(f"Pane {pane.title!r} has a gravity arrow of {pane.gravity}; expected 0 to 1.")
    for trace in film.traces:
        if not trace.series:
            raise DaliError(f"Trace {trace.name!r} has no series; expected at least one.")
        for series in trace.series:
            shapes = {np.shape(v) for v in (series.values, series.spread) if v is not None}
            if shapes != {(time,)}:
                shape = next(s for s in shapes if s != (time,))
                raise DaliError(f"Series {series.label!r} of {trace.name!r} has shape {shape}; expected ({time},).")
            if series.style not in STYLES:
                raise unknown_name("line style", series.style, STYLES)
    return encoded


class Body(bytearray):
    """The binary parts of a message, one behind the other."""

    def add(self, part: bytes) -> list[int]:
        """Puts a part behind the others; returns its offset and its length."""
        self.extend(part)
        return [len(self) - len(part), len(part)]


def message(header: dict[str, Any], body: Body) -> bytes:
    """A header and the parts whose places it names, as `pack` lays them out."""
    head = json.dumps(header, allow_nan=False).encode()
    return len(head).to_bytes(4, "little") + head + bytes(body)


def pack(film: PlayerFilm, key: str, frame_in_url: str = "") -> bytes:
    """Everything the browser needs, in one binary message.

    With ``frame_in_url`` the present frame is kept in the URL under that name, and read off it at first.

    Layout: uint32 little-endian length of the header, the header (JSON, UTF-8), then the PNG sheets and the series as
    little-endian float32, at the offsets from the header's end and the lengths that the header lists.
    """
    encoded = encode_panes(film)
    body = Body()
    panes = []
    for pane, drawn in zip(film.panes, encoded, strict=True):
        panes.append(
            {
                "title": pane.title,
                "caption": pane.caption,
                "style": pane.style,
                "gravity": float(pane.gravity),
                "drawn": bool(pane.drawn),
                "digest": pane.digest,
                "width": drawn.width,
                "height": drawn.height,
                "sheets": [{"png": body.add(sheet), "columns": columns} for sheet, columns in drawn.sheets],
            }
        )
    traces = [
        {
            "name": trace.name,
            "unit": trace.unit,
            "series": [
                {
                    "label": s.label,
                    "style": s.style,
                    "values": body.add(np.asarray(s.values, "<f4").tobytes()),
                    "spread": None if s.spread is None else body.add(np.asarray(s.spread, "<f4").tobytes()),
                }
                for s in trace.series
            ],
        }
        for trace in film.traces
    ]
    header = {"key": key, "frames": encoded[0].frames, "timestep": float(film.timestep), "sheet_frames": SHEET_FRAMES}
    header |= {"panes": panes, "traces": traces, "frame_in_url": frame_in_url}
    # Streamlit hands the message over at every rerun; by the digest the browser knows an unchanged film.
    described = json.dumps(header, allow_nan=False).encode()
    header["digest"] = hashlib.blake2b(described + body, digest_size=16).hexdigest()
    return message(header, body)


def asset(name: str) -> str:
    """A file of the front end, as text."""
    return (_FRONTEND / name).read_text(encoding="utf-8")


_component = st.components.v2.component(
    "dali_player",
    html=asset("player.html"),
    css=asset("player.css"),
    js="\n".join(asset(name) for name in ("film.js", "traces.js", "player.js")),
)


def mount(packed: bytes, key: str) -> None:
    """Shows a packed film; for pages that cache the bytes of `pack`."""
    _component(data=packed, key=key)


def player(film: PlayerFilm, key: str, frame_in_url: str = "") -> None:
    """Shows the film. Under one key a new film takes the old one's place at the same frame and speed."""
    mount(pack(film, key, frame_in_url), key)
