"""Play in a real browser: keys act in all four runs, sliders turn while they go on, and the take can be made again."""

import json
import re
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from .conftest import REPO


@pytest.fixture
def stage(page, serve, make_run, chromium, console):
    page.goto(f"{serve(make_run().parent).url}/play?run={make_run().name}")
    root = page.get_by_test_id("dali-play")
    expect(root).to_have_attribute("data-records", "1", timeout=180_000)  # the first one imports torch
    console.errors[:] = [e for e in console.errors if "/play/_stcore/" not in e]
    return root


def records(root):
    return int(root.get_attribute("data-records"))


def test_a_take_is_played_branched_and_made_again(page, stage, tmp_path):
    expect(stage).to_have_attribute("role", "group")
    start, pad = stage.get_by_test_id("play-run"), stage.get_by_role("button", name="torque +")
    page.keyboard.press("Space")  # drives the stage without a click on it
    expect(start).to_have_text("Pause")
    page.keyboard.down("ArrowRight")
    expect(pad).to_have_attribute("aria-pressed", "true")
    page.wait_for_function("root => Number(root.dataset.records) > 10", arg=stage.element_handle())
    gravity = stage.get_by_role("slider", name=re.compile("Gravity"))
    gravity.focus()
    page.keyboard.press("End")  # while it runs
    turned = records(stage)
    page.wait_for_function(
        "([root, before]) => Number(root.dataset.records) > before + 10", arg=[stage.element_handle(), turned]
    )
    page.keyboard.up("ArrowRight")
    expect(pad).to_have_attribute("aria-pressed", "false")
    start.click()
    expect(start).to_have_text("Start")
    expect(stage.locator(".pane .caption").nth(1)).to_contain_text("gravity 20.00 m/s²")
    scrub = stage.get_by_role("slider", name="Frame")
    scrub.fill("8")
    page.wait_for_timeout(1000)  # a frame that was looked for stays
    expect(scrub).to_have_attribute("aria-valuetext", re.compile(r"^frame 8/\d+, t = 0.40 s$"))
    stage.get_by_test_id("play-branch").click()
    expect(stage).to_have_attribute("data-records", "9")  # what followed is forgotten
    with page.expect_download() as download:
        page.get_by_role("button", name="Manifest").click()
    manifest = tmp_path / "take.json"
    download.value.save_as(manifest)
    with page.expect_download() as download:
        page.get_by_role("button", name="mp4", exact=True).click()
    film = tmp_path / "film.mp4"
    download.value.save_as(film)
    take = json.loads(manifest.read_text(encoding="utf-8"))
    assert len(take["take"]["actions"]) == 8
    assert [1.0] in take["take"]["actions"]
    words = take["command"].split()
    words[words.index("take.json")] = str(manifest)
    words[words.index("take.mp4")] = str(tmp_path / "again.mp4")
    subprocess.run([sys.executable, *words[1:]], cwd=REPO, check=True, capture_output=True, timeout=300)
    assert (tmp_path / "again.mp4").read_bytes() == film.read_bytes()
