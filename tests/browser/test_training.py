"""The training page: a training is started in the background, followed live, and cancelled."""

import json
import os
import shutil

import pytest
from playwright.sync_api import expect

from dali.runs.checkpoint import METRICS

CHARTS = ".js-plotly-plot"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One run that was logged long ago, without weights."""
    runs = tmp_path_factory.mktemp("checkpoints")
    (runs / "logged").mkdir()
    rows = [{"env_steps": 8 * i, "update": i, "loss/total": 1.0 / i, "return": float(i)} for i in range(1, 20)]
    log = runs / "logged" / METRICS
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    os.utime(log, (0, 0))
    return runs


@pytest.fixture(scope="module")
def app(chromium, serve, folder):
    return serve(folder)


@pytest.fixture
def opened(app, page):
    page.goto(app.url)
    page.get_by_role("link", name="Training").click()
    expect(page.get_by_role("heading", name="Training")).to_be_visible()
    expect(page.locator(CHARTS).first).to_be_visible(timeout=90_000)
    return page


def open_start(page) -> None:
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=60_000)  # the script has run to its end
    if not page.get_by_role("button", name="Start").is_visible():
        page.get_by_text("Start a training").click()


def start(page, preset: str, seeds: str) -> None:
    open_start(page)
    page.get_by_role("radio", name=preset, exact=True).click()
    box = page.get_by_role("textbox", name="Seeds")
    box.fill(seeds)
    box.press("Enter")
    expect(page.get_by_text(f"pendulum-dali_d_chi-s{seeds}: new.")).to_be_visible()
    page.get_by_role("button", name="Start").click()


def boxes_meet(a: dict, b: dict) -> bool:
    return all(a[x] < b[x] + b[size] and b[x] < a[x] + a[size] for x, size in (("x", "width"), ("y", "height")))


def test_curves_of_a_finished_run(opened):
    expect(opened.locator(CHARTS)).to_have_count(2)
    expect(opened.get_by_text("No checkpoint yet, so not on the other pages: logged")).to_be_visible()
    # Warm-up spends updates before the first step: over updates a method with a code would look late.
    for axis in ("environment steps", "updates"):
        if axis == "updates":
            opened.get_by_role("radio", name=axis, exact=True).click()
        expect(opened.locator(CHARTS).get_by_text(axis, exact=True).first).to_be_visible()
    expect(opened.get_by_test_id("stException")).to_have_count(0)


def test_the_buttons_of_a_chart_do_not_cover_its_legend(opened, box_of):
    opened.set_viewport_size({"width": 700, "height": 900})
    chart = opened.locator(CHARTS).first
    chart.hover()
    expect(chart.locator(".modebar")).to_be_visible()
    bar, legend = box_of(chart.locator(".modebar")), box_of(chart.locator(".legend"))
    assert not boxes_meet(bar, legend)
    frame = box_of(chart)
    assert frame["x"] <= bar["x"] <= frame["x"] + frame["width"] + 1 - bar["width"]


def test_a_training_runs_in_the_background_and_shows_by_itself(opened, folder):
    start(opened, "tiny", "7")
    expect(opened.get_by_text("Trainings done.")).to_be_visible(timeout=240_000)
    record = json.loads((folder / "pendulum-dali_d_chi-s7" / "training.json").read_text())
    assert record["env_steps"] == 600
    expect(opened.get_by_text("pendulum-dali_d_chi-s7").first).to_be_visible()


def test_a_free_seed_is_proposed_and_what_is_there_is_said_to_be_there(opened, folder, make_run):
    """With the form's defaults a run of that name that was finished once stands in the way of no other."""
    shutil.copytree(make_run(), folder / "pendulum-dali_d_chi-s0")
    opened.get_by_role("link", name="Overview").click()
    expect(opened.get_by_role("heading", level=1)).not_to_have_text("Training")
    opened.get_by_role("link", name="Training").click()
    expect(opened.locator(CHARTS).first).to_be_visible()
    open_start(opened)
    expect(opened.get_by_text("pendulum-dali_d_chi-s1: new.")).to_be_visible()
    box = opened.get_by_role("textbox", name="Seeds")
    box.fill("0")
    box.press("Enter")
    expect(opened.get_by_text("not started, another run is there: preset is tiny, asked for small")).to_be_visible()
    expect(opened.get_by_role("button", name="Start")).to_be_disabled()


def test_a_training_is_cancelled(opened):
    start(opened, "small", "8")
    expect(opened.get_by_text("1 running, 0 of 1 ended")).to_be_visible(timeout=240_000)
    opened.get_by_role("button", name="Cancel").click()
    expect(opened.get_by_text("Trainings cancelled.")).to_be_visible(timeout=60_000)
    expect(opened.get_by_role("button", name="Start")).to_be_enabled()
