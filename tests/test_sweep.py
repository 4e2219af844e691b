"""Sweeps: resumed, not repeated; one failure ends itself alone; a Ray worker that is killed is made up for."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dali.__main__ import app
from dali.errors import DaliError
from dali.runs.folder import SWEEP_LOCK, TRAINER_STATE
from dali.runs.run import Run
from dali.train import sweep as sweep_run
from dali.train.asked import parse_seeds
from dali.train.pool import run_here
from dali.train.sweep import Job, Outcome, conflict, plan, run_job

TINY = ["--preset", "tiny"]
SHORT = [*TINY, "--steps", "240"]
DEADLINE = 300  # seconds, on a machine that is busy with other things


def test_a_plan_is_environments_by_methods_by_seeds(tmp_path):
    jobs = plan(["pendulum"], ["dali_d", "crssm_s"], [0, 1], tmp_path, TINY, None)
    assert [(j.method, j.seed) for j in jobs] == [("dali_d", 0), ("crssm_s", 0), ("dali_d", 1), ("crssm_s", 1)]
    assert jobs[0].arguments() == [
        *("train", "--env", "pendulum", "--method", "dali_d", "--seed", "0"),
        *("--output", str(tmp_path / "pendulum-dali_d-s0"), "--preset", "tiny"),
    ]
    assert len({j.folder for j in jobs}) == 4
    both = plan(["pendulum", "cartpole"], ["dali_d"], [0, 1], tmp_path, TINY, None)
    assert [(j.env, j.seed) for j in both] == [("pendulum", 0), ("cartpole", 0), ("pendulum", 1), ("cartpole", 1)]


@pytest.mark.parametrize(("text", "seeds"), [("0", [0]), ("0,2,5", [0, 2, 5]), ("1-3", [1, 2, 3])])
def test_seeds(text, seeds):
    assert parse_seeds(text) == seeds


def test_what_cannot_be_asked_for(tmp_path):
    for text in ("a,b", "2-0", ""):
        with pytest.raises(DaliError, match=f"Seeds are '{text}'"):
            parse_seeds(text)
    for arguments in (["--methods", "dali_d", "--env", "pendulum,moon"], ["--methods", "dali_x", "--env", "pendulum"]):
        result = CliRunner().invoke(app, ["sweep", "--output", str(tmp_path), *arguments])
        assert isinstance(result.exception, DaliError)
        assert not list(tmp_path.iterdir())


def test_a_failure_ends_itself_alone_and_says_why(tmp_path):
    good, bad = plan(["pendulum"], ["dreamer_dr", "dali_d"], [0], tmp_path, SHORT, None)
    bad = Job(bad.env, bad.method, bad.seed, bad.folder, ("--preset", "tiny", "--set", "nonsense=1"))
    ended = dict(item for item in run_here([bad, good], 2) if item is not None)
    assert ended[good].state == "done"
    assert ended[bad].state == "failed"
    assert "nonsense" in ended[bad].text
    assert good.run.progress().complete
    assert not bad.run.progress().complete

    # Run again, the finished one is left as it is, to the byte.
    before = {path: path.stat().st_mtime_ns for path in good.folder.iterdir() if path.is_file()}
    assert run_job(good).state == "done"
    assert {path: path.stat().st_mtime_ns for path in good.folder.iterdir() if path.is_file()} == before


def test_a_run_of_other_settings_is_never_taken_for_the_one_asked(make_run, tmp_path):
    """The folder's name is that of the run asked for; what is in it was trained for 600 steps."""
    (job,) = plan(["pendulum"], ["dali_d_chi"], [0], tmp_path, TINY, None)
    shutil.copytree(make_run(), job.folder)
    config = json.loads((job.folder / "config.json").read_text())
    same = [*TINY, "--set", f"context_window={config['model']['context_window']}", "--set", "threads=3"]
    assert conflict(plan(["pendulum"], ["dali_d_chi"], [0], tmp_path, same, None)[0]) is None
    longer = plan(["pendulum"], ["dali_d_chi"], [0], tmp_path, [*same, "--steps", "900"], None)[0]
    assert conflict(longer) == "another run is there: steps is 600, asked for 900"
    before = {path: path.stat().st_mtime_ns for path in job.folder.rglob("*")}
    outcome = run_job(longer)
    assert (outcome.state, outcome.text) == ("failed", "another run is there: steps is 600, asked for 900")
    assert {path: path.stat().st_mtime_ns for path in job.folder.rglob("*")} == before
    words = ["sweep", "--env", "pendulum", "--methods", "dali_d_chi", "--output", str(tmp_path), "--list"]
    listed = CliRunner().invoke(app, [*words, "--", *same, "--steps", "900"]).output
    assert "other" in listed
    assert "asked for 900" in listed


def test_a_killed_training_is_taken_up_again(tmp_path, monkeypatch):
    """The first two processes are killed as they start; the third finds what the second left and goes on from it."""
    job = plan(["pendulum"], ["dreamer_dr"], [0], tmp_path, SHORT, None)[0]
    calls = []

    def execute(arguments, folder, lock, append):
        calls.append((arguments, append))
        (folder / TRAINER_STATE).parent.mkdir(exist_ok=True)
        (folder / TRAINER_STATE).touch()
        return (-signal.SIGKILL, "") if len(calls) < 3 else (1, "error: enough")

    monkeypatch.setattr(sweep_run, "_execute", execute)
    outcome = run_job(job)
    assert (outcome.state, outcome.text) == ("failed", "error: enough")
    assert ["--resume" in arguments for arguments, _ in calls] == [False, True, True]
    assert [append for _, append in calls] == [False, True, True]


def test_the_table_tells_done_from_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr("dali.train.pool.run_job", lambda job: Outcome("failed", 60.0, "error: why"))
    status = tmp_path / "status.json"
    arguments = ["sweep", "--env", "pendulum", "--methods", "dali_d,crssm_d", "--output", str(tmp_path / "runs")]
    result = CliRunner().invoke(app, [*arguments, "--list"])
    assert result.output.count("waiting") == 2
    result = CliRunner().invoke(app, [*arguments, "--status", str(status)])
    assert isinstance(result.exception, DaliError)
    assert "2 of 2 runs failed: pendulum-dali_d-s0, pendulum-crssm_d-s0" in str(result.exception)
    assert result.output.count("error: why") == 4  # as each ended, and in the table
    assert json.loads(status.read_text())["state"] == "failed"


def _until(condition, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds a process's parent in /proc")
def test_a_ray_cluster_of_two_workers_survives_the_death_of_one(tmp_path, repo):
    runs, log = tmp_path / "runs", tmp_path / "log"
    words = ["sweep", "--env", "pendulum", "--methods", "dreamer_dr,dali_d", "--ray-address", "local", "--workers", "2"]
    words += ["--output", str(runs), "--", *TINY, "--steps", "900", "--set", "checkpoint_every=0.2"]
    with log.open("wb") as output:
        sweep = subprocess.Popen(
            [sys.executable, "-m", "dali", *words],
            cwd=repo,
            env={**os.environ, "RAY_worker_niceness": "0"},  # Ray's own is 15: a busy machine would starve its workers
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        victim, other = runs / "pendulum-dreamer_dr-s0", runs / "pendulum-dali_d-s0"
        _until(lambda: all(0 < Run(r).progress().done < 900 for r in (victim, other)), sweep, log)
        trainer = int((victim / SWEEP_LOCK).read_text())
        # The worker is the trainer's parent; of "pid (name) state ppid ..." the name may hold blanks.
        worker = int(Path(f"/proc/{trainer}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(worker, signal.SIGKILL)
        os.kill(trainer, signal.SIGKILL)
        reached = Run(victim).progress().done
        assert reached < 900
        sweep.wait(DEADLINE)
    finally:
        sweep.terminate()  # nothing where it has ended
        sweep.wait()
    assert sweep.returncode == 0, log.read_text()
    assert log.read_text().count("done") == 4  # two as they ended, two in the table
    assert Run(victim).progress().complete
    assert Run(other).progress().complete
    steps = [json.loads(line)["env_steps"] for line in (victim / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)
