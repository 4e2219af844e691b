"""``python -m dali counterfactual``: the same film again, byte for byte; refusals in one sentence."""

import json
import shlex
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from dali.__main__ import app
from dali.dreams.request import Request
from dali.errors import DaliError
from dali.video import probe

PINNED = Request(episode=1, t=40, horizon=8, physics=(("g", 12.0),), latents=3)


def invoke(*arguments):
    """The command in this process."""
    return CliRunner().invoke(app, ["counterfactual", *map(str, arguments)])


def test_the_manifest_s_line_makes_the_film_again(make_run, repo, tmp_path):
    asked = ["--episode", 1, "--t", 40, "--horizon", 8, "--physics", "g=4.9", "--code", "z3=+1.5", "--latents", 3]
    first, manifest = tmp_path / "first.mp4", tmp_path / "film.json"
    kinds = [f"--{kind}={tmp_path / kind}" for kind in ("gif", "strip", "csv", "npz")]
    asked += ["--actions", "policy", "--extra", "ghost", "--size", 96, "--pin", PINNED.to_json()]
    done = invoke(make_run(), *asked, "--output", first, "--manifest", manifest, *kinds)
    assert "steering skill: " in done.stdout
    assert "effective gravity: " in done.stdout
    record = json.loads(manifest.read_text(encoding="utf-8"))
    assert set(record["files"]) == {"first.mp4", "gif", "strip", "csv", "npz"}
    again = tmp_path / "again.mp4"
    line = shlex.split(record["command"])
    line[line.index("--output") + 1] = str(again)
    assert line[:4] == ["python", "-m", "dali", "counterfactual"]
    subprocess.run([sys.executable, *line[1:]], cwd=repo, check=True, capture_output=True, timeout=300)
    assert again.read_bytes() == first.read_bytes()
    assert probe(first.read_bytes()) == 9


def test_a_second_agent_and_a_look_are_made_again_too(make_run, repo, tmp_path):
    first, manifest = tmp_path / "first.mp4", tmp_path / "film.json"
    asked = ["--episode", 1, "--t", 40, "--horizon", 4, "--physics", "g=4.9", "--second", make_run(method="crssm_d")]
    asked += ["--height", 720, "--hold", 0.2, "--speed", 0.5, "--loops", 2, "--clock"]
    kinds = ["--paper", tmp_path / "film.pdf", "--tex", tmp_path / "film.tex", "--pgfplots", tmp_path / "film.csv"]
    done = invoke(make_run(), *asked, "--output", first, "--manifest", manifest, *kinds)
    assert "pendulum-crssm_d: error, counterfactual: " in done.stdout
    record = json.loads(manifest.read_text(encoding="utf-8"))
    assert record["second"]["checkpoint"]["name"] == "pendulum-crssm_d"
    assert record["second"]["measured"]["error_counterfactual_sigmas"] > 0
    assert set(record["files"]) == {"first.mp4", "film.pdf", "film.tex", "film.csv"}
    assert probe(first.read_bytes()) == 2 * (5 + 2)
    again = tmp_path / "again.mp4"
    line = shlex.split(record["command"])
    line[line.index("--output") + 1] = str(again)
    subprocess.run([sys.executable, *line[1:]], cwd=repo, check=True, capture_output=True, timeout=300)
    assert again.read_bytes() == first.read_bytes()
    line[line.index("--expect-second") + 1] = "beef"
    refused = CliRunner().invoke(app, line[3:])
    assert "pendulum-crssm_d is not the expected checkpoint" in str(refused.exception)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--episode", 999), "Episode 999 does not exist"),
        (("--physics", "g=99"), "gravity 99 m/s² is out of range"),
        (("--latents", "best"), "Latents are 'best'"),
        (("--expect", "beef"), "is not the expected checkpoint"),
        (("--pin", "g=4.9"), "is not valid JSON"),
        (("--pin", '{"episode":1}'), "not a counterfactual's request: it lacks 't'"),
        (("--pin", PINNED.to_json(), "--horizon", 9), "--pin covers 8 steps, the film 9"),
        (("--extra", "x-ray", "--output", "film.mp4"), "Unknown extra pane 'x-ray'"),
        (("--height", 480, "--output", "film.mp4"), "cannot be 480 pixels high; expected 720 or 1080"),
        (("--paper", "film.eps"), "expected a name that ends in .pdf or .svg"),
        (("--paper", "film.pdf", "--paper-width", "poster"), "cannot be as wide as a 'poster'"),
        (("--second", "nowhere"), "There is no checkpoint folder nowhere."),
    ],
)
def test_refusals_are_one_sentence(make_run, arguments, sentence):
    error = invoke(make_run(), *arguments).exception
    assert isinstance(error, DaliError)
    assert sentence in str(error)
    assert "\n" not in str(error)


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path):
    assert "is not a checkpoint" in str(invoke(tmp_path).exception)


def test_without_recorded_episodes_it_names_the_command_that_makes_them(make_run, tmp_path):
    bare = shutil.copytree(make_run(), tmp_path / "bare", ignore=shutil.ignore_patterns("latents.npz"))
    assert f"python -m dali record {bare}" in str(invoke(bare).exception)


def test_a_sweep_reports_and_writes(make_run, tmp_path):
    film, table, status = tmp_path / "sweep.mp4", tmp_path / "sweep.csv", tmp_path / "status.json"
    asked = ["--episode", 1, "--t", 40, "--horizon", 5, "--sweep", "g", "--count", 3]
    invoke(make_run(), *asked, "--output", film, "--csv", table, "--status", status)
    assert probe(film.read_bytes()) == 6
    assert len(table.read_text(encoding="utf-8").splitlines()) == 4
    assert json.loads(status.read_text(encoding="utf-8"))["state"] == "done"
    invoke(make_run(), "--sweep", "z99", "--status", status)
    failed = json.loads(status.read_text(encoding="utf-8"))
    assert failed["state"] == "failed"
    assert "z99" in failed["text"]
