"""The player in a real browser: every pane, plot and read-out shows the same frame, exactly, whatever happens."""

import shutil

import pytest
from playwright.sync_api import expect

from .conftest import REPO

# Pane p of film v shows the colour (3 t, 40 p, 20 v) at frame t, so that a pixel tells all three.
SCRIPT = f"""
import sys
sys.path.insert(0, {str(REPO)!r})
import numpy as np
import streamlit as st
from dali.studio.player import Pane, PlayerFilm, Series, Trace, player

st.set_page_config(layout="wide")
film = st.slider("film", 0, 10, 0)
time = 70  # more than one sheet
if st.toggle("player", True):
    t, p = np.arange(time), np.arange(4)
    frames = np.zeros((4, time, 16, 24, 3), np.uint8)
    frames[..., 0] = 3 * t[None, :, None, None]
    frames[..., 1] = 40 * p[:, None, None, None]
    frames[..., 2] = 20 * film
    nasty = "<img src=x onerror=alert(1)>"
    panes = [Pane(f"pane {{i}}", f"g = {{film}} m/s² {{nasty}}", frames[i], drawn=i < 3) for i in p]
    lines = [Series("real", t / 10.0, "real_factual"), Series(nasty, -t / 10.0, "dream_factual")]
    player(PlayerFilm(panes, [Trace("x", "m", lines), Trace("y", "m", lines[:1])], 0.05), "film")
"""

READ = """root => ({
  frame: Number(root.dataset.frame),
  pixels: Array.from(root.querySelectorAll("canvas"), c => {
    const image = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
    const seen = new Set();
    for (let i = 0; i < image.length; i += 4) seen.add([image[i], image[i + 1], image[i + 2]].join());
    return Array.from(seen).join(";");
  }),
  plots: Array.from(root.querySelectorAll("svg.plot"), plot => {
    const cursor = plot.querySelector(".cursor").getBoundingClientRect();
    const axis = plot.querySelectorAll(".axis");
    const box = axis[axis.length - 1].getBoundingClientRect();
    return (cursor.left + cursor.width / 2 - box.left) / box.width;
  }),
})"""


# At each of `count` screen refreshes, the frame that each pane shows and that each cursor stands at.
WATCH = """(root, count) => new Promise(done => {
  const seen = [];
  const look = () => {
    const red = canvas => canvas.getContext("2d").getImageData(0, 0, 1, 1).data[0];
    const panes = Array.from(root.querySelectorAll("canvas"), canvas => red(canvas) / 3);
    const cursors = Array.from(root.querySelectorAll("svg.plot"), plot => {
      const cursor = plot.querySelector(".cursor").getBoundingClientRect();
      const axis = plot.querySelectorAll(".axis");
      const box = axis[axis.length - 1].getBoundingClientRect();
      return 69 * (cursor.left + cursor.width / 2 - box.left) / box.width;
    });
    seen.push([...panes, ...cursors]);
    if (seen.length < count) requestAnimationFrame(look);
    else done(seen);
  };
  requestAnimationFrame(look);
})"""


FOCUSED = "() => document.activeElement.shadowRoot?.activeElement?.getAttribute('aria-label')"


@pytest.fixture(scope="module")
def studio(chromium, serve, tmp_path_factory):
    folder = tmp_path_factory.mktemp("player")
    shutil.copytree(REPO / ".streamlit", folder / ".streamlit")
    script = folder / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    return serve(REPO / "checkpoints", script)


@pytest.fixture
def player(page, studio):
    page.goto(studio.url)
    root = page.get_by_test_id("dali-player")
    expect(root).to_have_attribute("data-frames", "70")
    return root


def assert_shows(root, frame: int, film: int = 0) -> None:
    """Every pixel of every pane, every cursor (to half a frame) and the read-out are at `frame` of `film`."""
    expect(root).to_have_attribute("data-frame", str(frame))
    shown = root.evaluate(READ)
    assert shown["pixels"] == [f"{3 * frame},{40 * pane},{20 * film}" for pane in range(4)]
    assert shown["plots"] == pytest.approx([frame / 69] * 2, abs=0.5 / 69)
    expect(root.get_by_test_id("player-readout")).to_have_text(f"frame {frame}/69, t = {frame * 0.05:.2f} s")


def set_film(page, film: int) -> None:
    page.get_by_role("slider", name="film").press("ArrowRight")
    expect(page.get_by_text(f"g = {film} m/s²").first).to_be_visible()


def test_keys_buttons_bar_and_plots_move_everything_together(page, player):
    assert_shows(player, 0)
    player.focus()
    for key, frame in (("ArrowRight", 1), ("Shift+ArrowRight", 11), ("ArrowLeft", 10), ("End", 69), ("Home", 0)):
        page.keyboard.press(key)
        assert_shows(player, frame)
    page.keyboard.press("ArrowLeft")  # already at the start
    assert_shows(player, 0)
    player.get_by_test_id("player-forward").click()
    assert_shows(player, 1)
    player.get_by_test_id("player-back").click()
    assert_shows(player, 0)
    player.get_by_test_id("player-scrub").fill("65")  # in the second sheet
    assert_shows(player, 65)
    plot = player.get_by_test_id("player-trace-0")
    plot.click(position={"x": 46 + (plot.bounding_box()["width"] - 56) * 30 / 69, "y": 60})
    assert_shows(player, 30)


def test_keys_of_a_slider_stay_with_it(page, player):
    page.get_by_role("slider", name="film").focus()
    page.keyboard.press("End")
    expect(page.get_by_text("g = 10 m/s²").first).to_be_visible()
    assert_shows(player, 0, film=10)


def test_a_new_film_takes_the_place_of_the_old_at_the_same_frame(page, player):
    player.evaluate("root => { root.mark = true }")
    player.focus()
    page.keyboard.press("Shift+ArrowRight")
    player.get_by_test_id("player-speed-0.25").click()
    for film in (1, 2):
        set_film(page, film)
        assert_shows(player, 10, film)
    assert player.evaluate("root => root.mark"), "the component was mounted anew"
    expect(player).to_have_attribute("data-speed", "0.25")


def test_position_and_speed_outlive_a_remount(page, player):
    player.focus()
    page.keyboard.press("Shift+ArrowRight")
    player.get_by_test_id("player-speed-2").click()
    toggle = page.get_by_text("player", exact=True)
    toggle.click()
    expect(player).to_have_count(0)
    toggle.click()
    expect(player).to_have_attribute("data-speed", "2")
    assert_shows(player, 10)


def test_a_film_without_loop_plays_to_its_end(page, player):
    player.get_by_test_id("player-loop").click()
    player.get_by_test_id("player-speed-2").click()
    player.focus()
    page.keyboard.press("Space")
    expect(player).to_have_attribute("data-playing", "true")
    expect(player).to_have_attribute("data-playing", "false", timeout=20_000)
    assert_shows(player, 69)


def test_while_it_plays_panes_and_cursors_show_one_frame(player):
    player.get_by_test_id("player-play").click()
    seen = player.evaluate(WATCH, 40)
    assert len({row[0] for row in seen}) > 3, "the film does not play"
    assert max(max(row) - min(row) for row in seen) < 1  # frames


def test_text_is_shown_as_text_and_series_can_be_hidden(page, player):
    nasty = "<img src=x onerror=alert(1)>"
    expect(player.locator("img")).to_have_count(0)
    expect(player.get_by_text(nasty).first).to_be_visible()
    lines = player.get_by_test_id("player-trace-0").locator("path.line")
    expect(lines).to_have_count(2)
    player.get_by_role("button", name=nasty).click()
    expect(lines).to_have_count(1)


def test_panes_stand_two_by_two_whatever_the_width(page, player):
    def places():
        boxes = [player.get_by_test_id(f"player-pane-{i}").bounding_box() for i in range(4)]
        return [(round(box["x"]), round(box["y"])) for box in boxes]

    for width, height in ((1440, 900), (900, 1200)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function("width => innerWidth === width", arg=width)
        (left, top), (right, top_too), (left_too, bottom), (right_too, bottom_too) = places()
        assert (left, right, top, bottom) == (left_too, right_too, top_too, bottom_too)
        assert left < right
        assert top < bottom


def test_keys_drive_the_film_without_a_click_on_it(page, player):
    """They act wherever nothing else wants them: not in a slider, and Space not on a button."""
    page.keyboard.press("ArrowRight")
    assert_shows(player, 1)
    player.get_by_test_id("player-speed-2").focus()
    page.keyboard.press("ArrowRight")
    assert_shows(player, 2)
    page.keyboard.press("Space")  # presses the button
    expect(player).to_have_attribute("data-speed", "2")
    expect(player).to_have_attribute("data-playing", "false")
    page.get_by_role("slider", name="film").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("g = 1 m/s²").first).to_be_visible()
    assert_shows(player, 2, film=1)


def test_a_screen_reader_is_told_the_frame(page, player):
    player.focus()
    page.keyboard.press("Shift+ArrowRight")
    assert_shows(player, 10)
    said = "frame 10/69, t = 0.50 s"
    expect(player.get_by_role("slider", name="Frame")).to_have_attribute("aria-valuetext", said)
    for i in range(4):
        label = player.get_by_test_id(f"player-pane-{i}").get_attribute("aria-label")
        assert label.startswith(f"pane {i}: g = 0 m/s²")
        assert label.endswith(said)
    expect(player).to_have_attribute("role", "group")
    order = []
    for _ in range(5):  # from the player itself to what it offers, in the order that it is seen
        page.keyboard.press("Tab")
        order.append(
            page.evaluate("() => document.activeElement.shadowRoot?.activeElement?.getAttribute('aria-label')")
        )
    assert order == ["Step back one frame", "Play", "Step forward one frame", "Frame", None]


def test_a_dark_page_turns_drawings_round_and_leaves_numbers_alone(browser, studio):
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(studio.url)
    root = page.get_by_test_id("dali-player")
    expect(root).to_have_attribute("data-theme", "dark")
    filters = root.evaluate("root => Array.from(root.querySelectorAll('canvas'), c => getComputedStyle(c).filter)")
    assert [f != "none" for f in filters] == [True, True, True, False]
    context.close()
