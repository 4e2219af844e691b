"""The counterfactuals page in a real browser: a slider changes the film, the downloads hold it, a job is cancelled."""

import json
import re
import shlex
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from dali.video import probe

from .conftest import REPO

PATH = "counterfactuals?run={run}&episode=1&t=40&h={horizon}&g=8&actions=zero"


@pytest.fixture(scope="module")
def studio(chromium, serve, make_run):
    """A dashboard on an untrained checkpoint."""
    return serve(make_run().parent)


@pytest.fixture
def open_film(page, studio, make_run, console):
    def open_film(horizon=12, more=""):
        page.goto(f"{studio.url}/{PATH.format(run=make_run().name, horizon=horizon)}{more}")
        root = page.get_by_test_id("dali-player")
        expect(root).to_have_attribute("data-frames", str(horizon + 1), timeout=180_000)  # the first one imports torch
        # Opened below the root, Streamlit's page first asks for its own service there and is told that it is not.
        console.errors[:] = [e for e in console.errors if "/counterfactuals/_stcore/" not in e]
        return root

    return open_film


def pixels(root, pane):
    """The colours of a pane's canvas, added up with their places."""
    return root.evaluate(
        """(root, i) => {
          const canvas = root.querySelectorAll("canvas")[i];
          const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          return data.reduce((sum, value, k) => (sum * 31 + value * (k % 997)) % 1000000007, 7);
        }""",
        pane,
    )


def save(page, tmp_path, label):
    with page.expect_download() as download:
        page.get_by_role("button", name=label, exact=True).click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_a_physics_slider_changes_the_counterfactual_panes_alone(page, open_film):
    root = open_film()
    root.focus()
    page.keyboard.press("End")
    expect(root).to_have_attribute("data-frame", "12")
    digest, before = root.get_attribute("data-digest"), [pixels(root, i) for i in range(4)]
    slider = page.get_by_role("slider", name="Gravity (m/s²)")
    for _ in range(3):
        slider.press("PageUp")
    expect(root).not_to_have_attribute("data-digest", digest, timeout=60_000)
    expect(page).to_have_url(re.compile(r"g=13\.7"))  # each of the three moves counts, however busy the page was
    expect(root).to_have_attribute("data-frame", "12")
    after = [pixels(root, i) for i in range(4)]
    assert [a == b for a, b in zip(after, before, strict=True)] == [True, False, True, False]


def test_the_url_opens_the_same_film_elsewhere(page, open_film, browser):
    root = open_film(more="&z3=1.5&extra=ghost")
    expect(page.get_by_text("z3 +1.5 σ").first).to_be_visible()
    expect(root.locator("canvas")).to_have_count(6)
    other = browser.new_page()
    other.goto(page.url)
    copy = other.get_by_test_id("dali-player")
    expect(copy).to_have_attribute("data-digest", root.get_attribute("data-digest"), timeout=30_000)
    other.close()


def test_the_downloads_hold_the_film_and_the_command_makes_it_again(page, open_film, tmp_path):
    open_film()
    page.get_by_text("Export", exact=True).click()
    film = save(page, tmp_path, "mp4")
    assert probe(film.read_bytes()) == 13
    manifest = json.loads(save(page, tmp_path, "Manifest").read_text(encoding="utf-8"))
    line = shlex.split(manifest["command"])
    line[line.index("--output") + 1] = str(tmp_path / "again.mp4")
    subprocess.run([sys.executable, *line[1:]], cwd=REPO, check=True, capture_output=True, timeout=300)
    assert (tmp_path / "again.mp4").read_bytes() == film.read_bytes()


def test_a_sweep_is_cancelled_and_rendered(page, open_film):
    open_film(horizon=200)
    page.get_by_text("Sweep", exact=True).click()
    page.get_by_label("Values", exact=True).fill("21")
    page.get_by_label("Values", exact=True).press("Enter")
    page.get_by_role("button", name="Render sweep").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("The sweep was cancelled.")).to_be_visible()
    page.get_by_label("Values", exact=True).fill("2")
    page.get_by_label("Values", exact=True).press("Enter")
    page.get_by_role("button", name="Render sweep").click()
    expect(page.locator("video")).to_be_visible(timeout=180_000)


def test_code_sliders_stay_in_sight_when_one_is_moved(page, open_film):
    open_film()
    page.get_by_text("Code sliders (σ)", exact=True).click()
    for j in (0, 1):  # each is the first move of its dimension
        page.get_by_role("slider", name=f"z{j} (σ)").press("PageUp")
        expect(page).to_have_url(re.compile(f"z{j}="))
        expect(page.get_by_role("slider", name="z2 (σ)")).to_be_visible()


@pytest.mark.parametrize("width", [390, 900])
def test_where_the_window_is_narrow_the_physics_stand_above_the_film(page, open_film, width, box_of):
    page.set_viewport_size({"width": width, "height": 900})
    root = open_film()
    slider = box_of(page.get_by_role("slider", name="Gravity (m/s²)"))
    film, figures = box_of(root), box_of(page.get_by_text("Steering skill", exact=True))
    assert slider["y"] + slider["height"] < film["y"]
    assert film["y"] + film["height"] < figures["y"]
    assert page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollWidth") <= width


def test_two_agents_stand_side_by_side(page, studio, open_film, make_run):
    second = make_run(method="crssm_d").name
    root = open_film(more=f"&second={second}")
    expect(root.locator("canvas")).to_have_count(6)
    for i, kind in ((4, "factual"), (5, "counterfactual")):
        label = root.get_by_test_id(f"player-pane-{i}").get_attribute("aria-label")
        assert label.startswith(f"Second dream, {kind}: {second}; gravity ")
    assert pixels(root, 4) != pixels(root, 2)
    expect(root.get_by_role("button", name="Second dream, counterfactual")).to_be_visible()  # in the legend
    expect(page.get_by_role("table").get_by_role("columnheader", name=second)).to_be_visible()
    page.get_by_text("Export", exact=True).click()
    expect(page.get_by_text(f"--second {studio_path(make_run, second)}")).to_be_visible()


def studio_path(make_run, name):
    return make_run().parent / name
