"""Every page, and the command of a film, on an agent of pixels."""

import json
import shlex
import shutil
import subprocess
import sys

import pytest
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from dali.__main__ import app as command
from dali.runs.artifacts import EPISODES_FILE, save_analysis
from dali.runs.checkpoint import load_agent
from dali.runs.report import analyse


@pytest.fixture(scope="module")
def folder(make_run, tmp_path_factory):
    """A folder of checkpoints with one analysed run of pixels."""
    root = tmp_path_factory.mktemp("checkpoints")
    run = shutil.copytree(make_run("pendulum", "dali_d_chi", "pixels"), root / "pixels")
    save_analysis(run, analyse(load_agent(run), contexts=10))
    return root


def test_recorded_episodes_stay_small(folder):
    assert (folder / "pixels" / EPISODES_FILE).stat().st_size < 2e6


@pytest.mark.parametrize("page", ["", "latent_space", "counterfactuals", "generalization", "training"])
def test_no_page_breaks(folder, monkeypatch, repo, page):
    monkeypatch.setenv("DALI_CHECKPOINTS", str(folder))
    app = AppTest.from_file(repo / "app.py", default_timeout=300)
    app.query_params["run"] = "pixels"
    app.run()
    if page:
        app.switch_page(f"pages/{page}.py").run()
    assert not app.exception
    assert not app.error


def test_a_film_is_measured_and_its_physics_turned(folder, monkeypatch, repo):
    monkeypatch.setenv("DALI_CHECKPOINTS", str(folder))
    page = AppTest.from_file(str(repo / "pages" / "counterfactuals.py"), default_timeout=300)
    page.session_state["app"] = True
    for name, value in {"run": "pixels", "h": "6", "l": "1.25", "extra": "ghost,difference"}.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    labels = [m.label for m in page.metric]
    assert "Steering skill" in labels
    assert "Effective rod length" in labels
    assert all("nan" not in m.value for m in page.metric)


def test_the_manifest_s_line_makes_the_film_again(folder, repo, tmp_path):
    run, first, manifest = folder / "pixels", tmp_path / "first.mp4", tmp_path / "film.json"
    asked = [
        "--episode",
        "1",
        "--t",
        "40",
        "--horizon",
        "6",
        "--physics",
        "l=1.3",
        "--latents",
        "3",
        "--extra",
        "ghost",
    ]
    asked += ["--size", "96", "--output", str(first), "--manifest", str(manifest), "--csv", str(tmp_path / "csv")]
    done = CliRunner().invoke(command, ["counterfactual", str(run), *asked])
    assert done.exit_code == 0, done.output
    assert "effective rod length: " in done.stdout
    again = tmp_path / "again.mp4"
    line = shlex.split(json.loads(manifest.read_text(encoding="utf-8"))["command"])
    line[line.index("--output") + 1] = str(again)
    subprocess.run([sys.executable, *line[1:]], cwd=repo, check=True, capture_output=True, timeout=300)
    assert again.read_bytes() == first.read_bytes()


def test_a_sweep_of_decoded_dreams(folder, tmp_path):
    film = tmp_path / "sweep.mp4"
    asked = ["--sweep", "l", "--count", "3", "--horizon", "4", "--output", str(film), "--latents", "0"]
    done = CliRunner().invoke(command, ["counterfactual", str(folder / "pixels"), *asked])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0].startswith("l [m],error [σ]")
    assert film.stat().st_size > 1000
