"""What the README shows runs as printed, and gives what it says."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

REPO = Path(__file__).resolve().parent.parent
README = (REPO / "README.md").read_text(encoding="utf-8")
# What makes a command cheap without changing what it does.
CHEAP = {
    "train": "--preset tiny",
    "analyse": "--contexts 10",
    "evaluate": "--grid quick --episodes 1",
    "card": "",
}


def commands(text: str = README) -> list[str]:
    """The lines of all shell blocks, without their comments."""
    blocks = [body for language, body in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M) if not language]
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def test_it_is_short():
    assert len(README.splitlines()) < 120


def test_the_library_example_gives_a_film_of_held_out_physics(tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", README, re.S)
    assert blocks
    (tmp_path / "checkpoints").symlink_to(REPO / "checkpoints")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in blocks:
        exec(block, names)
    film, run = names["film"], names["run"]
    assert run.episodes().regime[380] == "interpolation"
    assert film.dream_counterfactual.obs.shape == film.real_counterfactual.obs.shape == (51, 3)
    assert film.physics.asked["g"] == 4.9
    assert np.isfinite(film.physics.effective).all()
    assert 0 < film.skill <= 1
    assert (tmp_path / "film.mp4").read_bytes()[4:8] == b"ftyp"


def test_the_commands_of_dali_work_in_a_new_shell(tmp_path):
    lines = [line for line in commands() if line.startswith(".venv/bin/dali ")]
    assert {line.split()[1] for line in lines} >= set(CHEAP)
    for line in lines:
        words = shlex.split(line)[1:]
        words += shlex.split(CHEAP.get(words[0], ""))
        # As in a new shell: nothing is set, and the folder holds no repository.
        done = subprocess.run(
            [sys.executable, "-m", "dali", *words],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    assert (tmp_path / "checkpoints" / "pendulum-dali_d_chi-s4" / "README.md").is_file()


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("make ")])
def test_make_knows_its_targets(line):
    subprocess.run([*shlex.split(line), "--dry-run"], cwd=REPO, check=True, capture_output=True)


def test_no_other_command_is_printed():
    known = (".venv/bin/dali ", "make ", "python3.11 -m venv .venv", ".venv/bin/pip install -r requirements.txt")
    assert [c for c in commands() if not c.startswith(known)] == [".venv/bin/streamlit run app.py"]


@pytest.mark.parametrize("page", ["README.md", "docs/library.md", "docs/architecture.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page):
    path = REPO / page
    for target in re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), f"{page} links to {target}"


def test_the_api_page_agrees_with_the_docstrings():
    done = subprocess.run(
        [sys.executable, "tools/api_page.py", "--check"], cwd=REPO, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
