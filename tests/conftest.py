"""What all tests share: one thread a process, checked shapes, and the grouping of tests over processes."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

# Before anything imports NumPy or torch. Subprocesses that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from jaxtyping import install_import_hook

# Before anything imports dali: each call into the model is checked against the shapes that its signature states, in
# this process and in every worker of xdist. A command that a test starts runs as it does for users, unchecked. Where a
# float is asked for an int will do, as for mypy.
install_import_hook("dali.model", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

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


@pytest.fixture(scope="session")
def make_run(tmp_path_factory):
    """``make_run(env, method, observation)``: a checkpoint of an untrained tiny agent with its episodes, made once."""
    import torch

    from dali.config import Observation, make_config
    from dali.envs import catalogue
    from dali.episodes import collect_standard
    from dali.model.agent import Agent
    from dali.runs.artifacts import EPISODES_FILE, save_episodes
    from dali.runs.checkpoint import save_agent

    root, made = tmp_path_factory.mktemp("runs"), {}

    def make(env: str = "pendulum", method: str = "dali_d_chi", observation: Observation = "vector") -> Path:
        name = f"{env}-{method}" if observation == "vector" else f"{env}-{method}-{observation}"
        folder = made.setdefault(name, root / name)
        if not folder.exists():
            torch.manual_seed(0)
            config = make_config(env, method, "tiny", seed=0, steps=600, context_window=16, observation=observation)
            agent = Agent(config, catalogue.spec(env)).requires_grad_(False).eval()
            save_agent(folder, agent)
            save_episodes(folder / EPISODES_FILE, collect_standard(agent, seed=0, contexts=10))
        return folder

    return make


@pytest.fixture
def open_page(monkeypatch, repo):
    """``open_page(checkpoints, page, **url)``: app.py over a folder of runs, or several, at one of its pages."""
    from streamlit.testing.v1 import AppTest

    def open_page(checkpoints: Path | Sequence[Path], page: str = "", **url: str) -> AppTest:
        folders = [checkpoints] if isinstance(checkpoints, Path) else checkpoints
        monkeypatch.setenv("DALI_CHECKPOINTS", os.pathsep.join(map(str, folders)))
        app = AppTest.from_file(repo / "app.py", default_timeout=120)
        for name, value in url.items():
            app.query_params[name] = value
        app.run()
        if page:
            app.switch_page(f"pages/{page}.py").run()
        assert not app.exception
        return app

    return open_page


@pytest.fixture
def offer_run(make_run, tmp_path, monkeypatch):
    """``offer_run(env, method)``: the dashboard offers a tiny run called "run", a copy of the test's own."""

    def offer(env: str = "pendulum", method: str = "dali_d_chi") -> None:
        if not (tmp_path / "runs").exists():
            shutil.copytree(make_run(env, method), tmp_path / "runs" / "run")
        monkeypatch.setenv("DALI_CHECKPOINTS", str(tmp_path / "runs"))

    return offer
