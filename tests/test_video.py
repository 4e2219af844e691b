"""Films: what is drawn where, exact sizes and counts, the same bytes twice, and one clear error for bad input."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from dali import video
from dali.errors import DaliError


def moving_square(time: int = 6, height: int = 32, width: int = 40, step: int = 3) -> np.ndarray:
    """A black 8 px square on white that moves `step` pixels a frame to the right."""
    frames = np.full((time, height, width, 3), 255, np.uint8)
    for t in range(time):
        frames[t, 12:20, step * t : step * t + 8] = 0
    return frames


@pytest.mark.parametrize(
    ("frames", "found"),
    [
        (np.zeros((0, 8, 8, 3), np.uint8), "no frames"),
        (np.zeros((2, 8, 8, 3), np.float32), "float32"),
        (np.zeros((2, 8, 8), np.uint8), r"\(2, 8, 8\)"),
        (np.zeros((2, 8, 8, 4), np.uint8), r"\(2, 8, 8, 4\)"),
        (np.zeros((2, 0, 8, 3), np.uint8), r"\(2, 0, 8, 3\)"),
        ([[1]], "list"),
    ],
)
@pytest.mark.parametrize(
    "function",
    [
        lambda f: video.encode_mp4(f, 10),
        lambda f: video.encode_gif(f, 10),
        lambda f: video.png_strip(f, 1),
        video.sprite,
        lambda f: video.caption(f, "title"),
        lambda f: video.tile([f]),
        lambda f: video.ghost(f, f),
        lambda f: video.difference(f, f),
    ],
)
def test_bad_films_are_refused(function, frames, found):
    with pytest.raises(DaliError, match=found):
        function(frames)


@pytest.mark.parametrize("function", [video.ghost, video.difference, lambda a, b: video.tile([a, b])])
def test_films_of_different_length_are_not_combined(function):
    with pytest.raises(DaliError, match="cannot be combined"):
        function(moving_square(5), moving_square(6))


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_impossible_speeds_are_refused(fps):
    with pytest.raises(DaliError, match="frames a second"):
        video.encode_mp4(moving_square(), fps)
    with pytest.raises(DaliError, match="frames a second"):
        video.encode_gif(moving_square(), fps)


def test_caption_adds_a_band_and_leaves_the_frames():
    film = moving_square(3, 64, 128)
    out = video.caption(film, "Dream", "g = 4.90 m/s²")
    band = out.shape[1] - 64
    np.testing.assert_array_equal(out[:, band:], film)
    assert (out[:, :band] < 128).any()
    assert (out[0, :band] == out[2, :band]).all()


def test_captions_of_any_length_stay_in_line_and_inside():
    film = moving_square(1, 64, 128)
    short, long = video.caption(film, "a", ""), video.caption(film, "a very long title " * 9, "m/s² " * 40)
    assert short.shape == long.shape
    assert (long[0, :, -2:] == 255).all()  # the last columns of margin are free of text


def test_superscripts_and_greek_are_drawn_not_replaced():
    film = moving_square(1, 64, 128)
    drawings = {video.caption(film, text).tobytes() for text in ("m/s²", "m/s", "m/s?", "σ", "θ", "−", "±", "")}
    assert len(drawings) == 8


def test_tile_places_each_pane():
    panes = [np.full((2, 4, 6, 3), value, np.uint8) for value in (10, 20, 30, 40)]
    square = video.tile(panes, gap=2)
    assert square.shape == (2, 10, 14, 3)
    assert [square[1, y, x, 0] for y, x in ((0, 0), (0, 8), (6, 0), (6, 8))] == [10, 20, 30, 40]
    assert (square[:, 4:6] == 255).all()
    row = video.tile(panes, columns=4, gap=2)
    assert row.shape == (2, 4, 30, 3)
    assert [row[0, 0, x, 0] for x in (0, 8, 16, 24)] == [10, 20, 30, 40]
    assert video.tile(panes[:3], columns=2, gap=0).shape == (2, 8, 12, 3)
    with pytest.raises(DaliError, match="no pane"):
        video.tile([])


def test_difference_is_zero_only_where_films_agree():
    real, dream = moving_square(), moving_square(step=4)
    same, other = video.difference(real, real), video.difference(real, dream)
    zero = same[0, 0, 0]
    assert (same == zero).all()
    np.testing.assert_array_equal((other != zero).any(-1), (real != dream).any(-1))


def test_difference_grows_brighter():
    real = np.zeros((1, 1, 256, 3), np.uint8)
    dream = real.copy()
    dream[0, 0, :, 1] = np.arange(256)  # one channel is enough
    brightness = cv2.cvtColor(video.difference(real, dream)[0], cv2.COLOR_RGB2LAB)[0, :, 0].astype(int)
    assert np.all(np.diff(brightness) >= -1)
    assert brightness[-1] - brightness[0] > 150


def test_ghost_shows_both_films_without_colour():
    real, dream = moving_square(1), np.roll(moving_square(1), 16, axis=2)
    grey = video.ghost(real, dream)[0, ..., 0]
    assert grey[16, 4] == 153  # the real square's middle: black faded to two fifths of its contrast
    outline = grey[12:20, 16:24]
    assert (outline[0] == 0).all()
    assert (outline[:, -1] == 0).all()
    inside = outline[2:-2, 2:-2]
    assert 0 < (inside == 0).mean() < 1  # hatched, not filled
    assert grey[0, 30] == 255


def test_ghost_hatches_nothing_where_the_films_agree():
    film = moving_square(1)
    assert (video.ghost(film, film)[0, 14:18, 2:6, 0] == 153).all()


@pytest.mark.parametrize(("height", "width"), [(32, 40), (31, 41), (5, 7)])
def test_mp4_has_every_frame_and_the_same_bytes_twice(height, width):
    film = np.random.default_rng(0).integers(0, 256, (7, height, width, 3), np.uint8)
    data = video.encode_mp4(film, 12.5)
    assert video.probe(data) == 7
    assert data == video.encode_mp4(film.copy(), 12.5)
    assert data != video.encode_mp4(film[::-1], 12.5)


def test_mp4_starts_with_its_index_and_keeps_colours(tmp_path):
    film = np.empty((4, 32, 48, 3), np.uint8)
    film[:] = (213, 94, 0)
    data = video.encode_mp4(film, 20)
    assert data.index(b"moov") < data.index(b"mdat")
    path = tmp_path / "film.mp4"
    path.write_bytes(data)
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(20)
    assert (capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (48, 32)
    _, picture = capture.read()
    capture.release()
    np.testing.assert_allclose(picture[16, 24, ::-1].astype(int), (213, 94, 0), atol=12)


def test_frames_need_not_be_contiguous():
    film = moving_square()
    assert video.encode_mp4(film[:, :, ::-1], 10) == video.encode_mp4(np.ascontiguousarray(film[:, :, ::-1]), 10)


def test_probe_refuses_what_is_no_film():
    with pytest.raises(DaliError, match="not a film"):
        video.probe(b"not an mp4")


def test_gif_lasts_as_long_as_the_film_and_is_deterministic():
    film = moving_square(9)
    data = video.encode_gif(film, 30)
    assert data == video.encode_gif(film, 30)
    with Image.open(io.BytesIO(data)) as gif:
        assert gif.n_frames == 9
        delays = []
        for i in range(gif.n_frames):
            gif.seek(i)
            delays.append(gif.info["duration"])
            np.testing.assert_allclose(np.asarray(gif.convert("RGB")), film[i], atol=2)
    assert sum(delays) == 300


def test_png_strip_shows_every_nth_frame():
    film = moving_square(7)
    strip = np.asarray(Image.open(io.BytesIO(video.png_strip(film, 3))))
    assert strip.shape == (32, 3 * 40 + 2 * 8, 3)
    for i, t in enumerate((0, 3, 6)):
        np.testing.assert_array_equal(strip[:, i * 48 : i * 48 + 40], film[t])
    headed = np.asarray(Image.open(io.BytesIO(video.png_strip(film, 3, timestep=0.1))))
    assert headed.shape[0] > 32
    with pytest.raises(DaliError, match="at least 1"):
        video.png_strip(film, 0)


@pytest.mark.parametrize("time", [1, 5, 64])
def test_sprite_holds_frame_t_at_row_and_column(time):
    film = np.zeros((time, 16, 16, 3), np.uint8)
    film[:] = np.linspace(0, 255, time).astype(np.uint8)[:, None, None, None]
    data, columns = video.sprite(film)
    sheet = np.asarray(Image.open(io.BytesIO(data)))
    assert sheet.shape == (16 * -(-time // columns), 16 * columns, 3)
    for t in range(time):
        row, column = divmod(t, columns)
        np.testing.assert_array_equal(sheet[16 * row : 16 * row + 16, 16 * column : 16 * column + 16], film[t])
    assert data == video.sprite(film)[0]


def test_sprite_refuses_more_frames_than_a_sheet_holds():
    with pytest.raises(DaliError, match="at most 64 frames; found 65"):
        video.sprite(np.zeros((65, 4, 4, 3), np.uint8))
