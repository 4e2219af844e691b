"""Measures the latent map in headless Chromium: python tools/map_speed.py [--run NAME] [--repeats 5].

Opens the latent space on every record of a shipped checkpoint, draws a lasso around half of the map, and prints one
JSON object: points, seconds from opening to the drawn map, and from the end of the lasso to its table.
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
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with dashboard() as (url, browser, _):
        timed = []
        for _ in range(arguments.repeats + 1):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            timed.append(measure(page, f"{url}/latent_space?run={arguments.run}"))
            page.close()
    points, first, selected = zip(*timed[1:], strict=True)  # the first load imports and computes what the rest read
    result = {
        "run": arguments.run,
        "points": points[0],
        "first_load_s": timed[0][1],
        "drawn_median_s": statistics.median(first),
        "lasso_median_s": statistics.median(selected),
    }
    print(json.dumps(result))


def measure(page: Page, url: str) -> tuple[int, float, float]:
    """Points on the map, seconds until it is drawn, and seconds from a lasso to what it selected."""
    began = time.perf_counter()
    page.goto(url)
    page.wait_for_function(f"({POINTS})() > 1000", timeout=120_000)
    drawn = time.perf_counter() - began
    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    places = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in CORNERS]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    began = time.perf_counter()
    page.mouse.up()
    expect(page.get_by_text("episodes selected")).to_be_visible(timeout=120_000)
    return page.evaluate(POINTS), round(drawn, 2), round(time.perf_counter() - began, 2)


if __name__ == "__main__":
    main()
