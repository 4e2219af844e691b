"""Takes pictures of the real app: python tools/screenshots.py FOLDER, or --readme for those of the README.

Starts the dashboard on the shipped checkpoints, opens every page and view in headless Chromium, and waits until each
has finished drawing. Into a folder it takes each at three widths in both themes, whole, to be looked at.
"""

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

REPO = Path(__file__).resolve().parent.parent
README = {
    "overview": "",
    "latent_space": "latent_space",
    "counterfactuals": "counterfactuals?run=pendulum-dali_d_chi-s0&g=12&h=50",  # a change that one sees
    "generalization": "generalization",
    "training": "training",
}
PATH = "path=0-100.60-150.120-120&dream=221-60-50"
PAGES = {
    **README,
    "play": "play",
    "latent_space-path": f"latent_space?{PATH}",
    "latent_space-episode": "latent_space?view=One+episode",
    "latent_space-dreams": "latent_space?view=Dreams",
    "latent_space-probes": "latent_space?view=Probes",
    "latent_space-dimensions": "latent_space?view=Dimensions",
    **{f"generalization-{view.lower()}": f"generalization?view={view.replace(' ', '+')}"
       for view in ("Curves", "Regimes", "Profiles", "Two methods", "Reaction", "Paper")},
}  # fmt: skip
COLOURS = 128  # of a picture that is kept in the repository
FRAME = "18"  # of a film, so that its panes have had time to part
SIZES = {"": (1440, 900), "-narrow": (900, 1200), "-phone": (390, 844)}
THEMES = {"": "light", "-dark": "dark"}
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", type=Path, nargs="?", help="every page at all sizes, in both themes, as long as it is"
    )
    parser.add_argument("--readme", action="store_true", help="the first screens that the README shows, in few colours")
    parser.add_argument("--pages", nargs="+", choices=PAGES, help="these pages alone")
    arguments = parser.parse_args()
    if (arguments.folder is None) is not arguments.readme:
        parser.error("give a folder, or --readme")
    folder = arguments.folder or REPO / "docs" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    shots = [(size, theme) for size in SIZES for theme in THEMES if not (arguments.readme and size + theme)]
    with dashboard() as (url, browser, _):
        for size, theme in shots:
            for name in arguments.pages or (README if arguments.readme else PAGES):
                path = folder / f"{name}{size}{theme}.png"
                take(browser, f"{url}/{PAGES[name]}", path, SIZES[size], THEMES[theme], whole=not arguments.readme)
                if arguments.readme:
                    Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)
                print(path, flush=True)


def take(browser: Browser, url: str, path: Path, size: tuple[int, int], theme: str, whole: bool) -> None:
    """One picture of a page, of its first screen or whole."""
    width, height = size
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)  # type: ignore[arg-type]
    page.goto(url)
    settle(page)
    for scrub in page.get_by_test_id("player-scrub").all():
        scrub.fill(FRAME)
    page.evaluate("document.querySelector('[data-testid=stMain]').scrollTo(0, 0)")  # filling may have scrolled
    if whole:  # the page scrolls inside its main part, so the window is made as high as that
        needed = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        page.set_viewport_size({"width": width, "height": max(height, needed)})
        settle(page)
    page.screenshot(path=path)
    page.close()


@contextmanager
def dashboard() -> Iterator[tuple[str, Browser, subprocess.Popen]]:
    """The app on the shipped checkpoints: its address, a browser to open it with, and its process.

    Where what is done with them fails, the end of what the server has said is printed.
    """
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        sys.exit("No Chromium was found on the PATH; install it (Debian: apt-get install chromium).")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryFile() as said:
        server = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)],
            cwd=REPO,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        done = False
        try:
            wait_until_healthy(port)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=browser_path, args=CHROMIUM_FLAGS)
                yield f"http://127.0.0.1:{port}", browser, server
                browser.close()
            done = True
        finally:
            server.terminate()
            server.wait(timeout=20)
            if not done:
                said.seek(0)
                lines = said.read().decode(errors="replace").splitlines()[-60:]
                print("The server's last lines:", *lines, sep="\n", file=sys.stderr)


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
