"""Takes the README's pictures from the real app: python tools/screenshots.py [--output docs/screenshots].

Starts the dashboard on the shipped checkpoints, opens every page in headless Chromium, and waits until each has
finished drawing.
"""

import argparse
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

from playwright.sync_api import Browser, Page, sync_playwright

REPO = Path(__file__).resolve().parent.parent
PAGES = {
    "overview": "",
    "latent_space": "latent_space",
    "counterfactuals": "counterfactuals?run=pendulum-dali_d_chi-s0&g=12&h=50",  # a change that one sees
    "generalization": "generalization",
    "training": "training",
}
FRAME = "18"  # of a film, so that its panes have had time to part
SIZES = {"": (1440, 900), "-narrow": (900, 1200)}
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=REPO / "docs" / "screenshots")
    parser.add_argument("--narrow", action="store_true", help="also at 900 x 1200")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    with dashboard() as (url, browser, _):
        for suffix, (width, height) in SIZES.items():
            if suffix and not arguments.narrow:
                continue
            for name, path in PAGES.items():
                page = browser.new_page(viewport={"width": width, "height": height})
                page.goto(f"{url}/{path}")
                settle(page)
                for scrub in page.get_by_test_id("player-scrub").all():
                    scrub.fill(FRAME)
                page.screenshot(path=arguments.output / f"{name}{suffix}.png")
                page.close()
                print(arguments.output / f"{name}{suffix}.png")


@contextmanager
def dashboard() -> Iterator[tuple[str, Browser, subprocess.Popen]]:
    """The app on the shipped checkpoints: its address, a browser to open it with, and its process."""
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        sys.exit("No Chromium was found on the PATH; install it (Debian: apt-get install chromium).")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
        cwd=REPO,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_healthy(port)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=CHROMIUM_FLAGS)
            yield f"http://127.0.0.1:{port}", browser, server
            browser.close()
    finally:
        server.terminate()
        server.wait(timeout=20)


def wait_until_healthy(port: int, seconds: float = 60.0) -> None:
    """Returns when the server answers; raises TimeoutError otherwise."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (URLError, ConnectionError):
            time.sleep(0.3)
    raise TimeoutError(f"The dashboard did not answer within {seconds:.0f} s.")


def settle(page: Page, quiet: float = 3.0, limit: float = 120.0) -> None:
    """Waits until the script has not been running, and no skeleton been shown, for ``quiet`` seconds."""
    page.wait_for_selector("[data-testid=stAppViewContainer]", timeout=60_000)
    busy = "[data-test-script-state=running], [data-testid=stSkeleton], [data-testid=stSpinner], [data-stale=true]"
    since, deadline = time.monotonic(), time.monotonic() + limit
    while time.monotonic() - since < quiet and time.monotonic() < deadline:
        if page.locator(busy).count():
            since = time.monotonic()
        page.wait_for_timeout(200)


if __name__ == "__main__":
    main()
