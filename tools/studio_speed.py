"""Measures the counterfactuals page in headless Chromium: python tools/studio_speed.py [--run NAME] [--changes 100].

Moves the gravity slider of a shipped checkpoint, waits each time until the player shows the new film (50 steps, four
panes of 256 pixels), and prints one JSON object: seconds from the server's start to the first screen, seconds from key
to film, what a change costs the server's processor (which a busy machine does not change), its memory in MB, and how
busy the machine was.
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

from playwright.sync_api import Page, expect
from screenshots import dashboard

START = 16.0  # m/s², where the slider stands at first
WARM_UP = 10  # changes that are not timed
TURN = 120  # changes before the slider turns round: more than the server keeps films of, so that each one is new
PATIENCE = 120  # seconds for a page, and for a film
# Looks at every frame: Playwright looks ten times a second at first and ever less often. A player that was
# replaced shows nothing any more, so it is not waited for.
UNTIL_NEW = """(player, [before, patience]) => new Promise(done => {
  const end = performance.now() + 1000 * patience;
  const look = () => {
    if (player.dataset.digest && player.dataset.digest !== before) return done("new");
    if (!player.isConnected) return done("replaced");
    if (performance.now() > end) return done("late");
    requestAnimationFrame(look);
  };
  look();
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", default="pendulum-dali_d_chi-s0", help="folder in checkpoints/")
    parser.add_argument("--changes", type=int, default=100)
    arguments = parser.parse_args()
    began = time.perf_counter()
    with dashboard() as (url, browser, server):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(url)
        expect(page.get_by_test_id("stDataFrame").first).to_be_visible(timeout=1000 * PATIENCE)
        first_screen = time.perf_counter() - began
        page.goto(f"{url}/counterfactuals?run={arguments.run}&h=50&g={START}")
        wait_for_film(page, "")
        for i in range(WARM_UP):
            change(page, i)
        before, busy = memory(server.pid), processor_seconds(server.pid)
        seconds = sorted(change(page, i) for i in range(WARM_UP, WARM_UP + arguments.changes))
        busy = processor_seconds(server.pid) - busy
        result = {
            "run": arguments.run,
            "changes": len(seconds),
            "first_screen_s": round(first_screen, 2),
            "median_s": statistics.median(seconds),
            "p95_s": seconds[int(0.95 * (len(seconds) - 1))],
            "slowest_s": seconds[-1],
            "server_cpu_s_a_change": round(busy / len(seconds), 3),
            "server_mb": {"before": before, "after": memory(server.pid)},
            "load_average": os.getloadavg()[0],
        }
    print(json.dumps(result))


def change(page: Page, index: int) -> float:
    """Seconds from a key on the slider to the new film."""
    before = page.get_by_test_id("dali-player").get_attribute("data-digest") or ""
    began = time.perf_counter()
    page.get_by_role("slider", name="Gravity (m/s²)").press("ArrowRight" if index // TURN % 2 else "ArrowLeft")
    wait_for_film(page, before)
    return round(time.perf_counter() - began, 3)


def wait_for_film(page: Page, before: str) -> None:
    """Returns when the player shows another film than the one with the digest ``before``. Ends the tool otherwise."""
    player = page.get_by_test_id("dali-player")
    expect(player).to_be_visible(timeout=1000 * PATIENCE)
    while (found := player.evaluate(UNTIL_NEW, [before, PATIENCE])) != "new":
        if found == "late":
            sys.exit(f"No new film within {PATIENCE} s; the machine's load is {os.getloadavg()[0]:.1f}.")


def processor_seconds(process: int) -> float:
    """What a process has used of the processor so far."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(process: int) -> float:
    """Resident memory of a process, in MB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return round(int(status.split("VmRSS:")[1].split()[0]) / 1024, 1)


if __name__ == "__main__":
    main()
