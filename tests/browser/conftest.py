"""Runs the real dashboard and looks at it through headless Chromium.

    def test_title(app, page):
        page.goto(app.url)
        expect(page.get_by_role("heading", name="DALI Studio")).to_be_visible()

``app`` serves the shipped checkpoints; ``serve(folder)`` serves others. ``page`` is a fresh tab that fails its test
when the page logs a console error, throws, or asks another host for something. A failing test leaves a screenshot in
.pytest_cache/d/screenshots and shows the end of the server's log.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
START_SECONDS = 60  # a cold start on a loaded machine; the app's own target is far below
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC_CHROME = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
CHROMIUM_FLAGS = (
    "--no-sandbox",  # Chromium refuses to run as root, as in CI, with one
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers give /dev/shm 64 MB
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
FAILED = pytest.StashKey[bool]()


@dataclass(frozen=True)
class App:
    """A running dashboard."""

    url: str
    process: subprocess.Popen
    log: Path

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """Ends the server and everything it started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=5)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_app(checkpoints: Path, log: Path, script: Path = REPO / "app.py") -> App:
    """Starts the dashboard on a free port and returns when it answers.

    Args:
        checkpoints: the folder of runs that it shall offer.
        log: file for what the server prints.
        script: the Streamlit script, run in its own folder so that its .streamlit/config.toml holds.

    Raises:
        RuntimeError: the server ended, or did not answer in time; with the end of its log.
    """
    port = free_port()
    # Where Linux offers it, the server also ends if this process is killed and can't stop it.
    command = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    command += [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--server.address", "127.0.0.1", "--server.headless", "true"],
            cwd=script.parent,
            env={**os.environ, "DALI_CHECKPOINTS": str(checkpoints)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # its own process group, so that stop() ends its children too
        )
    app = App(f"http://127.0.0.1:{port}", process, log)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            if urllib.request.urlopen(f"{app.url}/_stcore/health", timeout=2).read() == b"ok":
                return app
        time.sleep(0.1)
    app.stop()
    raise RuntimeError(f"The dashboard did not start within {START_SECONDS} s:\n{app.log_tail()}")


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser's executable. Without one, browser tests are skipped, but in CI (CI=true) they fail."""
    named = os.environ.get("DALI_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if found is None and MAC_CHROME.exists():
        found = str(MAC_CHROME)
    if found is None or not Path(found).exists():
        complain = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        complain(f"No Chromium at {named or 'any usual place'}: run `make browser`, or set DALI_CHROMIUM to its path.")
    return Path(found)


@pytest.fixture(scope="session")
def serve(tmp_path_factory) -> Iterator[Callable[..., App]]:
    """``serve(checkpoints)`` starts a dashboard on that folder; all are stopped when the session ends."""
    running: list[App] = []

    def start(checkpoints: Path, script: Path = REPO / "app.py") -> App:
        log = tmp_path_factory.mktemp("server") / "streamlit.log"
        running.append(start_app(checkpoints, log, script))
        return running[-1]

    yield start
    for app in running:
        app.stop()


@pytest.fixture(scope="session")
def app(chromium, serve) -> App:
    """The dashboard on the shipped checkpoints, one for all tests: each tab is a session of its own."""
    return serve(REPO / "checkpoints")


@pytest.fixture(scope="module")
def tiny_app(chromium, serve, make_run) -> App:
    """A dashboard on untrained checkpoints."""
    return serve(make_run().parent)


@pytest.fixture(scope="module")
def browser(chromium):
    """Chromium. One a file, so that Playwright's event loop does not outlive its browser tests."""
    playwright = pytest.importorskip("playwright.sync_api")
    # A loaded machine of two cores draws its first chart in tens of seconds.
    playwright.expect.set_options(timeout=60_000)
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=list(CHROMIUM_FLAGS), headless=True)
        yield running
        running.close()


@dataclass
class Console:
    """What a tab complained of. Tests that provoke a complaint take it off: ``console.errors.clear()``."""

    errors: list[str] = field(default_factory=list)

    def watch(self, page) -> None:
        page.on("console", lambda m: self.errors.append(f"{m.text} ({m.location})") if m.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))


@pytest.fixture
def console() -> Console:
    """The console errors of this test's tab."""
    return Console()


@pytest.fixture
def page(browser, console, request):
    """A fresh tab, 1440 x 900, that accepts downloads."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    # The dashboard works offline: what it asks of other hosts fails, and shows as a console error.
    context.route(lambda url: urllib.parse.urlsplit(url).hostname != "127.0.0.1", lambda route: route.abort())
    tab = context.new_page()
    tab.set_default_timeout(60_000)
    console.watch(tab)
    yield tab
    failed = request.node.stash.get(FAILED, False) or bool(console.errors)
    if failed:
        name = re.sub(r"[^\w.-]+", "_", request.node.name)
        tab.screenshot(path=request.config.cache.mkdir("screenshots") / f"{name}.png", full_page=True)
    context.close()
    assert not console.errors, "The page's console has errors:\n" + "\n".join(console.errors)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Lets fixtures know, when they clean up, that their test failed, and shows what the server said until then."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
        if app := item.funcargs.get("app") or item.funcargs.get("tiny_app"):
            report.sections.append(("End of the server's log", app.log_tail()))
    return report


@pytest.fixture
def box_of():
    """Where a locator's element is drawn: its box, waited for, since elements are replaced while a page settles."""

    def find(locator) -> dict[str, float]:
        until = time.monotonic() + START_SECONDS
        while (box := locator.bounding_box()) is None:
            assert time.monotonic() < until, f"{locator} is not drawn"
            time.sleep(0.1)
        return box

    return find
