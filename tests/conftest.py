"""What all tests share: one thread a process, and the grouping of tests over processes."""

import os
from pathlib import Path

# Before anything imports NumPy or torch. Subprocesses that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

REPO = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps a file's tests in one process (they share fixtures), and all browser tests in one (they share a server)."""
    for item in items:
        if item.path.parent.name == "browser":
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group("browser"))
        else:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the repository."""
    return REPO
