"""Many people at one dashboard: python tools/visitors.py [--browsers 8] [--moves 200].

Each has a browser session of its own on the counterfactuals page and moves the gravity slider, all at the same time;
they meet in twos on a run and come through the same values from opposite ends. What is asked for decides what is shown:
whoever asks for the same physics of the same run must see the same film, to the byte, and other films for anything
else. At the end a new visitor opens what each saw last. Prints one JSON object, the growth of the server's memory in MB
and its threads among it; the exit status is 1 where films were mixed up, or the memory grew by more than 100 MB.
"""

import argparse
import json
import os
import re
import sys
import time
from collections import defaultdict
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Browser, Page, expect
from screenshots import dashboard
from studio_speed import UNTIL_NEW, memory

RUNS = {  # with recorded episodes, which others would have to record first; what each calls its gravity
    "pendulum-dali_d_chi-s0": "g",
    "ball_in_cup-dali_d_chi-s0": "gravity",
    "cartpole_friction-dali_d_chi-s0": "gravity",
    "walker_friction-dali_d_chi-s0": "gravity",
}
HIGH, LOW = 14.0, 8.0  # m/s², ends of the values that the slider is moved through
STEP = 0.1
OWN = ""  # the gravity of a page that asks for the episode's own
WARM_UP = 10  # moves of everyone before the server's memory is looked at
MOST_MB = 100.0
PATIENCE = 60_000  # ms for a film while many are asked for

Asked = tuple[str, str]  # run, gravity
Seen = dict[Asked, list[str]]  # the digests of the films that were shown for it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--browsers", type=int, default=8)
    parser.add_argument("--moves", type=int, default=200)
    arguments = parser.parse_args()
    began = time.perf_counter()
    with dashboard() as (url, browser, server):
        runs = [list(RUNS)[i // 2 % len(RUNS)] for i in range(arguments.browsers)]
        pages = [visit(browser, url, run, i % 2 == 0) for i, run in enumerate(runs)]
        seen: Seen = defaultdict(list)
        for i in range(WARM_UP):
            move(pages, i, seen)
        before, few = memory(server.pid), threads(server.pid)
        for i in range(WARM_UP, WARM_UP + arguments.moves):
            move(pages, i, seen)
        after, many = memory(server.pid), threads(server.pid)
        last = [asked(page) for page in pages]
        for page in pages:
            page.context.close()
        again = {one: alone(browser, url, *one) for one in dict.fromkeys(last)}
    mixed = mixed_up(seen, again)
    result = {
        "browsers": arguments.browsers,
        "moves_each": arguments.moves,
        "films_asked_for": len(seen),
        "shown_more_than_once": sum(len(digests) > 1 for digests in seen.values()),
        "mixed_up": mixed,
        "server_mb": {"before": before, "after": after, "grown": round(after - before, 1)},
        "server_threads": {"before": few, "after": many},
        "seconds": round(time.perf_counter() - began),
        "load_average": os.getloadavg()[0],
    }
    print(json.dumps(result))
    sys.exit(1 if mixed or after - before > MOST_MB else 0)


def visit(browser: Browser, url: str, run: str, falling: bool) -> Page:
    """A session of its own on a run, at one end of the values."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(f"{url}/counterfactuals?run={run}&h=50&{RUNS[run]}={HIGH if falling else LOW}")
    film(page)
    return page


def move(pages: list[Page], index: int, seen: Seen) -> None:
    """Everyone moves the slider one step, before anyone has a film; then all wait for theirs."""
    before = []
    turns = index // round((HIGH - LOW) / STEP) % 2
    for i, page in enumerate(pages):
        before.append(film(page))
        slider(page).press("ArrowLeft" if (i + turns) % 2 == 0 else "ArrowRight")
    for page, digest in zip(pages, before, strict=True):
        while film(page) == digest:  # a player that was replaced is looked for anew
            if page.get_by_test_id("dali-player").evaluate(UNTIL_NEW, [digest, PATIENCE / 1000]) == "late":
                page.screenshot(path="late.png")
                told = f"{index} moves at {slider(page).input_value()} by the slider, {page.url}"
                sys.exit(f"No new film within {PATIENCE / 1000:g} s after {told}; see late.png.")
        seen[asked(page)].append(film(page))


def alone(browser: Browser, url: str, run: str, value: str) -> str:
    """The film that a new visitor is shown, when nobody else is there."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(f"{url}/counterfactuals?run={run}&h=50&{RUNS[run]}={value}")
    digest = film(page)
    page.context.close()
    return digest


def mixed_up(seen: Seen, again: dict[Asked, str]) -> list[str]:
    """Requests that were shown several films, requests that were shown the same, and those that differ when alone."""
    films: dict[str, set[Asked]] = defaultdict(set)
    for what, digests in seen.items():
        for digest in digests:
            films[digest].add(what)
    found = [f"{what} was shown {len({*digests})} films" for what, digests in seen.items() if len({*digests}) > 1]
    found += [f"{sorted(requests)} were shown one film" for requests in films.values() if len(requests) > 1]
    return found + [f"{what} is another film alone" for what, digest in again.items() if {*seen[what]} != {digest}]


def film(page: Page) -> str:
    """The digest of the film that a page shows, as soon as it shows one."""
    player = page.get_by_test_id("dali-player")
    expect(player).to_have_attribute("data-digest", re.compile("."), timeout=PATIENCE)
    return player.get_attribute("data-digest") or ""


def threads(process: int) -> int:
    """How many a process has: they grow where scripts that nobody waits for any longer go on."""
    return len(os.listdir(f"/proc/{process}/task"))


def asked(page: Page) -> Asked:
    """The run and the gravity that a page stands at, as its URL tells it."""
    query = parse_qs(urlsplit(page.url).query)
    run = query["run"][0]
    return run, query.get(RUNS[run], [OWN])[0]


def slider(page: Page):
    return page.get_by_role("slider", name="Gravity (m/s²)")


if __name__ == "__main__":
    main()
