"""Measures the page Play in headless Chromium: python tools/play_speed.py [--run NAME] [--seconds 10].

Plays a shipped checkpoint with a key held and a slider turned on the way, and prints one JSON object: frames a second
that were painted (four panes each; median and least over the seconds), records made, and how busy the machine was.
"""

import argparse
import json
import os
import statistics
from itertools import pairwise

from playwright.sync_api import expect
from screenshots import dashboard

TURN = "slider => { slider.value = slider.min; slider.dispatchEvent(new Event('input')) }"
WARM_UP = 3.0  # seconds that are not counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", default="ball_in_cup-dali_d_chi-s0", help="folder in checkpoints/")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--screenshot", help="file for a picture of the page while it plays")
    arguments = parser.parse_args()
    with dashboard() as (url, browser, _):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{url}/play?run={arguments.run}")
        root = page.get_by_test_id("dali-play")
        expect(root).to_have_attribute("data-records", "1", timeout=120_000)
        page.keyboard.press("Space")
        page.keyboard.down("ArrowRight")
        page.wait_for_timeout(WARM_UP * 1000)
        painted = [int(root.get_attribute("data-shown") or 0)]
        for second in range(arguments.seconds):
            if second == arguments.seconds // 2:
                root.locator(".knob input").first.evaluate(
                    "e => { e.value = e.min; e.dispatchEvent(new Event('input')) }"
                )
            page.wait_for_timeout(1000)
            painted.append(int(root.get_attribute("data-shown") or 0))
        if arguments.screenshot:
            page.screenshot(path=arguments.screenshot)
        rates = [b - a for a, b in pairwise(painted)]
        result = {
            "run": arguments.run,
            "panes": root.locator("canvas").count(),
            "frames_a_second": {"median": statistics.median(rates), "least": min(rates)},
            "records": int(root.get_attribute("data-records") or 0),
            "seconds": arguments.seconds,
            "load_average": os.getloadavg()[0],
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
