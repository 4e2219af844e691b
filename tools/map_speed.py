"""Measures the latent map in headless Chromium: python tools/map_speed.py [--run NAME] [--repeats 5].

Opens the latent space of a shipped checkpoint, asks for every record on the map, draws a lasso around half of it, and
prints one JSON object: points, seconds to the page, to all of its points, and from the end of the lasso to its table.
"""

import argparse
import json
import statistics
import time

from playwright.sync_api import Page, expect
from screenshots import dashboard

POINTS = """() => [...document.querySelectorAll(".js-plotly-plot")].flatMap(plot => plot._fullData ?? [])
    .filter(trace => trace.type.startsWith("scatter")).reduce((most, trace) => Math.max(most, trace._length), 0)"""
CORNERS = ((0.5, 0.02), (0.98, 0.02), (0.98, 0.98), (0.5, 0.98), (0.5, 0.04))  # shares of the plot's width and height


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", default="pendulum-dali_d_chi-s0", help="folder in checkpoints/")
    parser.add_argument("--drawn", default="100,000", help="choice of how many points are drawn at most")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with dashboard() as (url, browser, _):
        timed = []
        for _ in range(arguments.repeats + 1):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            timed.append(measure(page, f"{url}/latent_space?run={arguments.run}", arguments.drawn))
            page.close()
    # The first load imports, and computes what the rest read.
    points, first, drawn, selected = zip(*timed[1:], strict=True)
    result = {
        "run": arguments.run,
        "points": points[0],
        "first_load_s": timed[0][1],
        "page_median_s": statistics.median(first),
        "drawn_median_s": statistics.median(drawn),
        "lasso_median_s": statistics.median(selected),
    }
    print(json.dumps(result))


def measure(page: Page, url: str, drawn: str) -> tuple[int, float, float, float]:
    """Points on the map; seconds to the page with its usual map, then to all points, then from a lasso to its table."""
    began = time.perf_counter()
    page.goto(url)
    page.wait_for_function(f"({POINTS})() > 1000", timeout=120_000)
    opened = time.perf_counter() - began
    usual = page.evaluate(POINTS)
    page.get_by_test_id("stSelectbox").filter(has_text="Drawn, at most").locator("input").click()
    began = time.perf_counter()
    page.get_by_role("option", name=drawn, exact=True).click()
    page.wait_for_function(f"usual => ({POINTS})() > usual", arg=usual, timeout=120_000)
    shown = time.perf_counter() - began
    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    assert box is not None, "the map is not shown"
    places = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in CORNERS]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    began = time.perf_counter()
    page.mouse.up()
    expect(page.get_by_text("episodes selected")).to_be_visible(timeout=120_000)
    return page.evaluate(POINTS), round(opened, 2), round(shown, 2), round(time.perf_counter() - began, 2)


if __name__ == "__main__":
    main()
