"""Pages on a phone: nothing runs out of the window, titles break between words, all controls can be reached."""

import re

import pytest
from playwright.sync_api import expect

PHONE = {"width": 390, "height": 844}
# What is wider than its place and neither scrolls nor wraps: texts and controls that a person cannot read to the end.
CUT = """() => {
  const main = document.querySelector('[data-testid=stMain]');
  const cut = [];
  if (main.scrollWidth > main.clientWidth + 1) cut.push('the page: ' + main.scrollWidth);
  const kinds = 'h1, h2, h3, p, li, label, button, [role=radio], [data-testid=stSlider], [data-testid=stNumberInput]';
  for (const element of main.querySelectorAll(kinds)) {
    const box = element.getBoundingClientRect();
    if (!box.width || !box.height || element.closest('[data-testid=stDataFrame], .js-plotly-plot')) continue;
    if (getComputedStyle(element).visibility === 'hidden') continue;
    if (box.right > innerWidth + 1 || box.left < -1) cut.push(element.tagName + ': ' + element.innerText.slice(0, 60));
  }
  return cut;
}"""
# Lines of the title, and the most that its words need: as many as there are words.
TITLE = """() => {
  const title = document.querySelector('h1');
  const words = title.innerText.trim().split(/\\s+/);
  const range = document.createRange();
  range.selectNodeContents(title);
  const lines = new Set([...range.getClientRects()].map(r => Math.round(r.top)));
  return [lines.size, words.length];
}"""


@pytest.fixture
def phone(browser, tiny_app):
    context = browser.new_context(viewport=PHONE)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize(
    "address",
    ["", "latent_space", "latent_space?view=One+episode", "counterfactuals", "play", "generalization", "training"],
)
def test_nothing_runs_out_of_a_phone_s_window(phone, tiny_app, make_run, address):
    joint = "&" if "?" in address else "?"
    phone.goto(f"{tiny_app.url}/{address}{joint}run={make_run().name}")
    expect(phone.get_by_role("heading", level=1)).to_be_visible(timeout=60_000)
    # The script has run to its end, and figures have taken their places.
    expect(phone.locator("[data-test-script-state=running], [data-testid=stSkeleton]")).to_have_count(
        0, timeout=120_000
    )
    phone.wait_for_timeout(1500)
    assert phone.evaluate(CUT) == []
    lines, words = phone.evaluate(TITLE)
    assert lines <= words


def test_physics_sliders_are_on_the_page_and_not_in_the_sidebar(phone, tiny_app, make_run, box_of):
    phone.goto(f"{tiny_app.url}/counterfactuals?run={make_run().name}")
    slider = phone.get_by_test_id("stMain").get_by_role("slider", name="Gravity (m/s²)")
    expect(slider).to_be_visible(timeout=120_000)
    box = box_of(slider)
    assert 0 <= box["x"] <= PHONE["width"]
    slider.focus()
    phone.keyboard.press("ArrowRight")
    expect(phone).to_have_url(re.compile(r"[?&]g=\d"), timeout=60_000)


@pytest.mark.parametrize("width", [390, 900, 1440])
def test_the_bars_beside_the_map_keep_their_width(browser, tiny_app, make_run, box_of, width):
    """With the sidebar open a window of 900 px leaves 520 for the page: the bars move below the map."""
    context = browser.new_context(viewport={"width": width, "height": 1000})
    page = context.new_page()
    page.goto(f"{tiny_app.url}/latent_space?run={make_run().name}")
    figures = page.locator(".js-plotly-plot")
    expect(figures).to_have_count(2, timeout=120_000)
    assert box_of(figures.nth(0))["width"] >= 340
    assert box_of(figures.nth(1))["width"] >= 190
    context.close()
