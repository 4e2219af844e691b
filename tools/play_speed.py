"""Measures the page Play in headless Chromium: python tools/play_speed.py [--run NAME] [--seconds 10].

Plays a shipped checkpoint with a key held and a slider turned on the way, and prints one JSON object: frames a second
that were painted (four panes each; median and least over the seconds), records made, what a record costs the server's
processor (which a busy machine does not change), and how busy the machine was.
"""

import argparse
import json
import os
import statistics
from itertools import pairwise

from playwright.sync_api import Locator, expect
from screenshots import dashboard, settle
from studio_speed import processor_seconds

TURN = "slider => { slider.value = slider.min; slider.dispatchEvent(new Event('input')) }"
WARM_UP = 3.0  # seconds that are not counted
PATIENCE = 300  # seconds for the stage to open


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", default="ball_in_cup-dali_d_chi-s0", help="folder in checkpoints/")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--screenshot", help="file for a picture of the page while it plays")
    arguments = parser.parse_args()
    with dashboard() as (url, browser, server):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{url}/play?run={arguments.run}")
        root = page.get_by_test_id("dali-play")
        expect(root).to_have_attribute("data-records", "1", timeout=1000 * PATIENCE)
        settle(page)
        page.keyboard.press("Space")
        page.keyboard.down("ArrowRight")
        page.wait_for_timeout(WARM_UP * 1000)
        busy, records = processor_seconds(server.pid), number(root, "records")
        painted = [number(root, "shown")]
        for second in range(arguments.seconds):
            if second == arguments.seconds // 2:
                root.locator(".knob input").first.evaluate(TURN)
            page.wait_for_timeout(1000)
            painted.append(number(root, "shown"))
        busy, records = processor_seconds(server.pid) - busy, number(root, "records") - records
        if arguments.screenshot:
            page.screenshot(path=arguments.screenshot)
        rates = [b - a for a, b in pairwise(painted)]
        result = {
            "run": arguments.run,
            "panes": root.locator("canvas").count(),
            "frames_a_second": {"median": statistics.median(rates), "least": min(rates)},
            "records": records,
            "timestep_s": float(root.get_attribute("data-timestep") or "nan"),
            "server_cpu_ms_a_record": round(1e3 * busy / max(1, records), 2),
            "seconds": arguments.seconds,
            "load_average": os.getloadavg()[0],
        }
    print(json.dumps(result))


def number(root: Locator, name: str) -> int:
    """A count that the stage tells in its element."""
    return int(root.get_attribute(f"data-{name}") or 0)


if __name__ == "__main__":
    main()
