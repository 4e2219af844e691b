"""What people come for, on the shipped checkpoints: from a lasso on the map to a film that the command line repeats."""

import json
import re
import shlex
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from dali.video import probe

from .conftest import REPO
from .test_latent import drag
from .test_studio import save

RUNS = {"pendulum-dali_d_chi-s0": "g", "ball_in_cup-dali_d_chi-s0": "gravity"}  # and the feature that is turned
SLIDER = "Gravity (m/s²)"
DRAWN = "() => document.querySelector('.js-plotly-plot')?._fullData?.some(t => t._length > 1000)"


def player_of(page, other_than: str | None = None):
    """The player, once it shows a film (another than that of a digest)."""
    root = page.get_by_test_id("dali-player")
    expect(root).to_have_attribute("data-frames", re.compile(r"\d+"))
    if other_than:
        expect(root).not_to_have_attribute("data-digest", other_than)
    return root


@pytest.mark.parametrize("run", RUNS)
def test_from_a_lasso_to_a_film_that_the_command_line_repeats(page, app, run, tmp_path):
    page.goto(f"{app.url}/?run={run}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)  # the page has read the checkpoint off its URL
    page.get_by_role("link", name="Latent space").click()
    page.wait_for_function(DRAWN)
    drag(page, (0.5, 0.02), (0.98, 0.02), (0.98, 0.98), (0.5, 0.98), (0.5, 0.04))
    link = page.get_by_role("link", name=re.compile("Dream on from episode"))
    link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Counterfactuals")
    root = player_of(page)
    before = root.get_attribute("data-digest")
    page.get_by_role("slider", name=SLIDER).press("PageUp")
    root = player_of(page, other_than=before)
    frames = int(root.get_attribute("data-frames"))
    page.get_by_text("Export", exact=True).click()
    film = save(page, tmp_path, "mp4").read_bytes()
    assert probe(film) == frames
    manifest = json.loads(save(page, tmp_path, "Manifest").read_text(encoding="utf-8"))
    assert set(manifest["request"]["physics"]) == {RUNS[run]}
    line = shlex.split(manifest["command"])
    line[line.index("--output") + 1] = str(tmp_path / "again.mp4")
    subprocess.run([sys.executable, *line[1:]], cwd=REPO, check=True, capture_output=True, timeout=300)
    assert (tmp_path / "again.mp4").read_bytes() == film


def test_two_people_on_two_checkpoints_do_not_see_each_other_s_films(browser, app):
    """Sliders moved in turn in two sessions show what each shows alone, which a third session asks by its URL."""
    sessions = {run: browser.new_context().new_page() for run in RUNS}
    for run, page in sessions.items():
        page.goto(f"{app.url}/counterfactuals?run={run}&h=20")
    shown = {run: player_of(page).get_attribute("data-digest") for run, page in sessions.items()}
    for _ in range(3):
        for page in sessions.values():  # both are asked before either is waited for
            page.get_by_role("slider", name=SLIDER).press("PageUp")
        for run, page in sessions.items():
            shown[run] = player_of(page, other_than=shown[run]).get_attribute("data-digest")
    for page in sessions.values():
        expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    for page in sessions.values():
        alone = browser.new_context().new_page()
        alone.goto(page.url)
        expect(player_of(alone)).to_have_attribute(
            "data-digest", page.get_by_test_id("dali-player").get_attribute("data-digest")
        )
        alone.context.close()
        page.context.close()
