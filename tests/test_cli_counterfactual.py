"""``python -m dali counterfactual``: the same film again, byte for byte; refusals in one sentence."""

import json
import shlex
import shutil
import subprocess
import sys

import pytest

from dali.video import probe


@pytest.fixture(scope="module")
def run(make_run, repo):
    def run(*arguments, code=0):
        command = [sys.executable, "-m", "dali", "counterfactual", *map(str, arguments)]
        done = subprocess.run(command, cwd=repo, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, done.stderr
        return done

    return run


def test_the_manifest_s_line_makes_the_film_again(run, make_run, tmp_path):
    asked = ["--episode", 1, "--t", 40, "--horizon", 8, "--physics", "g=4.9", "--code", "z3=+1.5", "--seed", 3]
    first, manifest = tmp_path / "first.mp4", tmp_path / "film.json"
    kinds = [f"--{kind}={tmp_path / kind}" for kind in ("gif", "strip", "csv", "npz")]
    asked += ["--actions", "policy", "--extra", "ghost", "--size", 96]
    done = run(make_run(), *asked, "--output", first, "--manifest", manifest, *kinds)
    assert "steering skill: " in done.stdout
    assert "effective gravity: " in done.stdout
    record = json.loads(manifest.read_text(encoding="utf-8"))
    assert set(record["files"]) == {"first.mp4", "gif", "strip", "csv", "npz"}
    again = tmp_path / "again.mp4"
    line = shlex.split(record["command"])
    line[line.index("--output") + 1] = str(again)
    assert line[:4] == ["python", "-m", "dali", "counterfactual"]
    run(*line[4:])
    assert again.read_bytes() == first.read_bytes()
    assert probe(first.read_bytes()) == 9


def test_refusals_are_one_sentence(run, make_run, tmp_path):
    film = make_run()
    for arguments, sentence in (
        ((film, "--episode", 999), "Episode 999 does not exist"),
        ((film, "--physics", "g=99"), "gravity 99 m/s² is out of range"),
        ((film, "--mode", "--seed", 1), "--mode and --seed exclude each other"),
        ((film, "--expect", "beef"), "is not the expected checkpoint"),
        ((tmp_path,), "is not a checkpoint"),
    ):
        error = run(*arguments, code=1).stderr.strip()
        assert error.startswith("error: ")
        assert sentence in error
        assert "\n" not in error


def test_without_recorded_episodes_it_names_the_command_that_makes_them(run, make_run, tmp_path):
    bare = shutil.copytree(make_run(), tmp_path / "bare", ignore=shutil.ignore_patterns("latents.npz"))
    assert "python -m dali analyse" in run(bare, code=1).stderr


def test_a_sweep_reports_and_writes(run, make_run, tmp_path):
    film, table, status = tmp_path / "sweep.mp4", tmp_path / "sweep.csv", tmp_path / "status.json"
    asked = ["--episode", 1, "--t", 40, "--horizon", 5, "--sweep", "g", "--count", 3]
    run(make_run(), *asked, "--output", film, "--csv", table, "--status", status)
    assert probe(film.read_bytes()) == 6
    assert len(table.read_text(encoding="utf-8").splitlines()) == 4
    assert json.loads(status.read_text(encoding="utf-8"))["state"] == "done"
    run(make_run(), "--sweep", "z99", "--status", status, code=1)
    failed = json.loads(status.read_text(encoding="utf-8"))
    assert failed["state"] == "failed"
    assert "z99" in failed["text"]
