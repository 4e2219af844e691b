"""The player's message to the browser: complete, safe to show, stable, and refused with one sentence when wrong."""

import dataclasses
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from dali.errors import DaliError
from dali.studio import player as module
from dali.studio.player import Pane, PlayerFilm, Series, Trace, pack

FRONTEND = Path(module.__file__).parent / "frontend"


def film(time: int = 5, size: int = 16) -> PlayerFilm:
    """Two panes whose grey level is their frame index (second pane: counted down), one plot of two series."""
    levels = np.arange(time, dtype=np.uint8) * 3
    up = np.broadcast_to(levels[:, None, None, None], (time, size, size, 3)).copy()
    values = np.linspace(-1, 1, time)
    gap = np.where(np.arange(time) == 2, np.nan, values)
    return PlayerFilm(
        panes=[Pane("Real", "g = 9.80 m/s²", up, style="real_factual"), Pane("Dream", "", up[::-1])],
        traces=[Trace("cos θ", "", [Series("Real", values, "real_factual"), Series("Dream", gap, "dream_factual")])],
        timestep=0.05,
    )


def unpack(packed: bytes) -> tuple[dict, bytes]:
    length = int.from_bytes(packed[:4], "little")
    return json.loads(packed[4 : 4 + length]), packed[4 + length :]


def part(body: bytes, span: list[int]) -> bytes:
    return body[span[0] : span[0] + span[1]]


def with_pane(**changes) -> PlayerFilm:
    base = film()
    return dataclasses.replace(base, panes=[base.panes[0], dataclasses.replace(base.panes[1], **changes)])


def with_series(**changes) -> PlayerFilm:
    base = film()
    series = dataclasses.replace(base.traces[0].series[0], **changes)
    return dataclasses.replace(base, traces=[Trace("cos θ", "", [series])])


@pytest.mark.parametrize("time", [1, 5, 64, 70])
def test_every_frame_is_where_the_header_says(time):
    header, body = unpack(pack(film(time), "k"))
    assert header["frames"] == time
    for pane, expected in zip(header["panes"], (range(time), range(time - 1, -1, -1)), strict=True):
        pictures = [np.asarray(Image.open(io.BytesIO(part(body, s["png"])))) for s in pane["sheets"]]
        for t, level in enumerate(expected):
            sheet, cell = divmod(t, header["sheet_frames"])
            row, column = divmod(cell, pane["sheets"][sheet]["columns"])
            shown = pictures[sheet][row * pane["height"] + 8, column * pane["width"] + 8]
            np.testing.assert_array_equal(shown, 3 * level)


def test_series_arrive_exactly_with_their_gaps():
    source = film()
    header, body = unpack(pack(source, "k"))
    for sent, given in zip(header["traces"][0]["series"], source.traces[0].series, strict=True):
        np.testing.assert_array_equal(np.frombuffer(part(body, sent["values"]), "<f4"), given.values.astype("f4"))
        assert (sent["label"], sent["style"]) == (given.label, given.style)


def test_the_message_is_the_same_for_the_same_film_alone():
    assert pack(film(), "k") == pack(film(), "k")
    changed = [
        with_pane(title="Other"),
        with_pane(frames=film().panes[0].frames),
        with_series(values=np.zeros(5)),
        dataclasses.replace(film(), timestep=0.1),
    ]
    digests = {unpack(pack(f, "k"))[0]["digest"] for f in [film(), *changed]}
    assert len(digests) == 5


def test_panes_with_one_digest_are_drawn_and_encoded_once(monkeypatch):
    encoded, drawn = [], []
    monkeypatch.setattr(module, "sprite", lambda frames: (encoded.append(len(frames)), (b"png", 1))[1])
    module._encoding.clear()
    pack(with_pane(digest="a"), "k")
    pack(with_pane(digest="a"), "k")
    pack(with_pane(digest="b"), "k")
    frames = film().panes[0].frames
    for _ in range(2):
        pack(with_pane(digest="c", frames=lambda: (drawn.append(1), frames)[1]), "k")
    module._encoding.clear()
    assert len(encoded) == 5 + 3  # the pane without a digest each time, the other once per digest
    assert len(drawn) == 1


def test_any_text_reaches_the_browser_as_text():
    nasty = '</script><img src=x onerror="alert(1)"> & \u2028 " \\ Ω'
    header, _ = unpack(pack(with_pane(title=nasty, caption=nasty), nasty))
    assert (header["panes"][1]["title"], header["panes"][1]["caption"], header["key"]) == (nasty, nasty, nasty)


@pytest.mark.parametrize("name", sorted(path.name for path in FRONTEND.iterdir()))
def test_the_front_end_needs_no_network_and_makes_no_markup_from_text(name):
    source = (FRONTEND / name).read_text(encoding="utf-8")
    urls = set(re.findall(r"\w+://[^\"'\s)]+", source))
    assert urls <= {"http://www.w3.org/2000/svg"}  # a name, never fetched
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|@import|url\(", source)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (lambda: PlayerFilm([]), "no pane"),
        (lambda: dataclasses.replace(film(), timestep=0.0), "timestep of 0.0 s"),
        (lambda: dataclasses.replace(film(), timestep=float("nan")), "timestep of nan s"),
        (lambda: with_pane(frames=film(4).panes[0].frames), "'Dream' has 4 frames; expected 5"),
        (lambda: with_pane(frames=film().panes[0].frames.astype(float)), "pane 'Dream' has values of type float64"),
        (lambda: with_pane(frames=film().panes[0].frames[:0]), "pane 'Dream' has no frames"),
        (lambda: with_pane(style="wavy"), "Unknown line style 'wavy'"),
        (lambda: with_series(style="wavy"), "Unknown line style 'wavy'"),
        (lambda: with_series(values=np.zeros(6)), r"shape \(6,\); expected \(5,\)"),
        (lambda: dataclasses.replace(film(), traces=[Trace("x", "m", [])]), "'x' has no series"),
    ],
)
def test_a_wrong_film_is_refused_in_one_sentence(bad, sentence):
    with pytest.raises(DaliError, match=sentence):
        pack(bad(), "k")


def test_six_drawn_panes_of_fifty_frames_stay_under_two_megabytes():
    y, x = np.mgrid[:256, :256]
    frames = np.full((50, 256, 256, 3), 248, np.uint8)
    for t in range(50):
        frames[t, abs(np.hypot(x - 128 - 90 * np.cos(t / 8), y - 128 - 90 * np.sin(t / 8))) < 14] = (0, 114, 178)
        frames[t, 120:136, 20:236] = 60
    packed = pack(PlayerFilm([Pane(f"pane {i}", "", frames) for i in range(6)]), "k")
    assert len(packed) < 2_000_000


def test_every_style_has_a_line_in_the_style_sheet():
    sheet = (FRONTEND / "player.css").read_text(encoding="utf-8")
    for style in module.STYLES:
        assert f".{style}" in sheet


def test_a_script_shows_it_without_an_exception():
    def script():
        import numpy as np

        from dali.studio.player import Pane, PlayerFilm, player

        player(PlayerFilm([Pane("Real", "", np.zeros((3, 8, 8, 3), np.uint8))]), "film")

    app = AppTest.from_function(script).run()
    assert not app.exception
    assert [element.type for element in app.main].count("bidi_component") == 1
