"""The latent space in a real browser: a lasso selects, survives recolouring, and leads to the counterfactuals."""

import contextlib
import re

import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from playwright.sync_api import expect

DRAWN = """points => {
  const plot = document.querySelector(".js-plotly-plot");
  return plot && plot._fullData && plot._fullData.reduce((sum, t) => sum + t._length, 0) === points;
}"""


@pytest.fixture
def open_map(page, tiny_app, make_run):
    """Opens the map of the tiny run: 46 episodes of 201 records, drawn whole."""
    page.goto(f"{tiny_app.url}/?run={make_run().name}")
    page.get_by_role("link", name="Latent space").click()
    page.wait_for_function(DRAWN, arg=46 * 201, timeout=300_000)  # the first to import scikit-learn waits
    return page


def drag(page, *corners: tuple[float, float]) -> None:
    """Draws through corners, given as shares of the plot's width and height."""
    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    places = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()


def choose(page, label: str, option: str) -> None:
    page.get_by_test_id("stSelectbox").filter(has_text=label).first.locator("input").click()
    page.get_by_role("option", name=option, exact=True).click()


def selected(page) -> str:
    heading = page.get_by_text("episodes selected")
    expect(heading).to_be_visible()
    return heading.inner_text()


def test_a_lasso_survives_recolouring_and_can_be_cleared(open_map):
    page = open_map
    drag(page, (0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.04))
    records = int(re.match(r"([\d,]+) records", selected(page))[1].replace(",", ""))
    assert records > 0.9 * 46 * 201
    before = selected(page)
    choose(page, "Colour", "regime")
    expect(page.get_by_text("held out, inside the train range").first).to_be_visible()  # the legend of regimes
    assert selected(page) == before
    # The new figure marks the selection itself.
    marked = "() => document.querySelector('.js-plotly-plot').data.every(t => t.selectedpoints !== undefined)"
    page.wait_for_function(marked)
    page.get_by_role("button", name="Clear selection").click()
    expect(page.get_by_text("Draw a lasso or a box")).to_be_visible()


def test_a_lasso_holds_less_than_all_and_leads_to_the_counterfactuals(open_map):
    page = open_map
    drag(page, (0.5, 0.02), (0.98, 0.02), (0.98, 0.98), (0.5, 0.98), (0.5, 0.04))
    records = int(re.match(r"([\d,]+) records", selected(page))[1].replace(",", ""))
    assert 0 < records < 46 * 201
    link = page.get_by_role("link", name=re.compile("Dream on from episode"))
    episode, step = re.search(r"episode (\d+), step (\d+)", link.inner_text()).groups()
    link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Counterfactuals")
    expect(page).to_have_url(re.compile(rf"episode={episode}(&|$)"))
    expect(page).to_have_url(re.compile(rf"[?&]t={step}(&|$)"))


def test_a_clicked_point_is_told_and_opens_its_episode(open_map):
    page = open_map
    choose(page, "Points", "episode means")
    page.get_by_test_id("stButtonGroup").get_by_text("Click", exact=True).click()
    page.wait_for_function("() => document.querySelector('.js-plotly-plot')._fullLayout.clickmode.includes('select')")
    page.wait_for_function(DRAWN, arg=46)
    place = page.evaluate(
        """() => {
          const plot = document.querySelector(".js-plotly-plot");
          const {xaxis, yaxis} = plot._fullLayout, box = plot.querySelector(".nsewdrag").getBoundingClientRect();
          const {x, y, customdata} = plot._fullData[0];
          // The highest point lies on the screen and under no other's mark.
          const i = Array.from(y).indexOf(Math.max(...y));
          return {x: box.left + xaxis.c2p(x[i]), y: box.top + yaxis.c2p(y[i]), episode: customdata[i][0]};
        }"""
    )
    page.mouse.move(place["x"] - 20, place["y"])
    page.mouse.move(place["x"], place["y"], steps=3)
    expect(page.locator(".hoverlayer .hovertext").first).to_contain_text(f"episode {place['episode']}")
    told = page.get_by_text(re.compile(rf"Episode {place['episode']}, step \d+:"))
    for _ in range(4):  # a click that meets the plot while it is drawn anew is lost, to a person too
        page.mouse.click(place["x"], place["y"], delay=50)
        with contextlib.suppress(PlaywrightTimeout):
            told.wait_for(timeout=15_000)
            break
    expect(told).to_be_visible()
    page.get_by_role("button", name="Open the episode").click()
    expect(page.get_by_text(f"Episode {place['episode']}:")).to_be_visible()


def test_a_umap_is_made_by_a_job_and_kept(open_map, make_run):
    page = open_map
    choose(page, "Points", "episode means")
    page.wait_for_function(DRAWN, arg=46)
    choose(page, "Map", "UMAP")
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(page.get_by_text("UMAP keeps neighbourhoods, not distances")).to_be_visible(timeout=360_000)
    assert (make_run() / "cache" / "map-umap-2d-means-s0.npz").is_file()


def test_one_figure_holds_all_pairs_of_axes(open_map):
    page = open_map
    choose(page, "Map", "raw axes")
    page.wait_for_function("() => document.querySelector('.js-plotly-plot')?.data[0].type === 'splom'")
    expect(page.get_by_text("3,000 of 9,246 records")).to_be_visible()
    kinds = page.evaluate("Array.from(document.querySelectorAll('.js-plotly-plot'), p => p.data[0].type)")
    assert sorted(kinds) == ["bar", "splom"]


def test_a_drawn_line_is_a_path_that_the_agent_dreams_along(open_map):
    page = open_map
    page.get_by_role("radio", name="Draw", exact=True).click()
    expect(page.locator("[data-test-script-state=running]")).to_have_count(0)
    drag(page, (0.3, 0.3), (0.5, 0.6), (0.7, 0.4))
    expect(page.get_by_role("heading", name="Dreams along the path")).to_be_visible()
    expect(page).to_have_url(re.compile(r"[?&]path=\d+-\d+(\.\d+-\d+)+(&|$)"))
    expect(page.get_by_test_id("dali-player")).to_be_visible()
    page.get_by_role("button", name="Clear path").click()
    expect(page.get_by_role("heading", name="Dreams along the path")).to_have_count(0)
    expect(page).not_to_have_url(re.compile("path="))
