"""The dashboard starts on the shipped checkpoints and shows itself: films, titles, headings, rows that open runs."""

import itertools
import re
import time

import pytest
from playwright.sync_api import expect

from .conftest import REPO


def test_first_screen(app, page):
    page.goto(app.url)
    expect(page).to_have_title("DALI Studio")
    film = page.locator("video")
    expect(film).to_be_visible()
    expect(page.get_by_test_id("stAppViewContainer")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_a_link_that_is_the_first_to_be_opened_shows_the_whole_app(chromium, serve, page, console):
    """Nobody has opened the dashboard's root since the server's start."""
    page.goto(f"{serve(REPO / 'checkpoints').url}/training")
    expect(page.get_by_role("heading", level=1)).to_have_text("Training")
    expect(page.get_by_role("link", name="Latent space")).to_be_visible()
    # Opened below the root, Streamlit's page first asks for its own service there and is told that it is not.
    console.errors[:] = [e for e in console.errors if "/training/_stcore/" not in e]


PAGES = {
    "Latent space": "Latent space · DALI Studio",
    "Generalisation": "Generalisation · DALI Studio",
    "Training": "Training · DALI Studio",
    "Overview": "DALI Studio",
}
LEVELS = "() => [...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(h => Number(h.tagName[1]))"


def settled(page) -> None:
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)


def test_pages_have_titles_of_their_own_and_headings_step_by_step(app, page):
    page.goto(app.url)
    for name, title in PAGES.items():
        page.get_by_role("link", name=name, exact=True).click()
        expect(page).to_have_title(title)
        settled(page)
        levels = page.evaluate(LEVELS)
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), (name, levels)


def test_a_click_on_a_row_opens_its_run(app, page, box_of):
    page.goto(app.url)
    table = page.get_by_test_id("stDataFrame").first
    expect(table).to_be_visible()
    settled(page)
    box = box_of(table)
    page.mouse.click(box["x"] + 60, box["y"] + 32 * 1.5 + 32)  # the second row
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Dreamer-DR")
    expect(page).to_have_url(re.compile("run=pendulum-dreamer_dr-s1"))
    dialog.get_by_role("link", name="Turn its physics").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Counterfactuals")
    expect(page).to_have_url(re.compile("run=pendulum-dreamer_dr-s1"))


@pytest.mark.parametrize("width", [390, 900])
def test_the_first_minute_fits_narrow_windows(app, page, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(app.url)
    settled(page)
    expect(page.locator("video")).to_be_visible()
    assert page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollWidth") <= width


def test_the_film_leads_into_the_counterfactual_that_it_shows(app, page):
    page.goto(app.url)
    page.get_by_role("button", name="Turn its physics").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Counterfactuals")
    expect(page.get_by_test_id("dali-player")).to_be_visible()


def wait_until(locator, condition: str) -> None:
    """Waits until a JavaScript function of the element says true; an element that was replaced is looked for anew."""
    until = time.monotonic() + 60
    while not locator.evaluate(condition):
        assert time.monotonic() < until, f"never: {condition}"
        time.sleep(0.1)


def test_the_film_of_the_first_minute_plays_by_itself_and_again(app, page):
    page.goto(app.url)
    settled(page)
    film = page.locator("video")
    wait_until(film, "film => film.currentTime > 0.2")
    assert film.evaluate("film => film.muted && !film.error")
    film.evaluate("film => { film.currentTime = film.duration - 0.1 }")
    wait_until(film, "film => film.currentTime < film.duration / 2 && !film.paused")
