"""Background jobs: their status file, and starting, following and cancelling them."""

import json
import os
import time

import pytest

from dali.errors import DaliError
from dali.jobs import Status, read_status, reporting, write_status
from dali.studio import jobs


def wait_for(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_progress_is_written_and_ends_as_the_work_does(tmp_path):
    path = tmp_path / "status.json"
    assert read_status(path) is None
    with reporting(path) as report:
        report(2, 8, "counting")
        assert read_status(path) == Status("running", 2, 8, "counting")
        assert read_status(path).share == 0.25
    assert read_status(path) == Status("done", 8, 8, "counting")

    def fail():
        with reporting(path) as report:
            report(1, 4, "failing")
            raise DaliError("There is no such thing.")

    with pytest.raises(DaliError):
        fail()
    assert read_status(path) == Status("failed", 1, 4, "There is no such thing.")
    with pytest.raises(ZeroDivisionError), reporting(path):
        _ = 1 / 0
    assert read_status(path).text == "stopped by ZeroDivisionError"


def test_without_a_file_nothing_is_written(tmp_path):
    with reporting(None) as report:
        report(1, 2, "quiet")
    assert not list(tmp_path.iterdir())


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "status.json"
    for text in ("{", json.dumps({"mood": "fine"}), "[]"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DaliError, match="is not the status of a job"):
            read_status(path)


def test_a_job_runs_to_its_end(make_run, tmp_path):
    status = tmp_path / "status.json"
    asked = ["counterfactual", str(make_run()), "--t", "40", "--horizon", "2", "--sweep", "g", "--count", "2"]
    jobs.start([*asked, "--status", str(status)], status)
    assert jobs.read(status).state == "running"
    wait_for(lambda: jobs.read(status).state != "running", 60)
    assert jobs.read(status).state == "done"
    jobs.cancel(status)
    assert jobs.read(status).state == "done"  # too late, and no harm


def test_a_cancelled_job_ends_and_says_so(make_run, tmp_path):
    status = tmp_path / "status.json"
    asked = ["--actions", "zero", "--horizon", "200", "--sweep", "g", "--count", "21", "--status"]
    jobs.start(["counterfactual", str(make_run()), *asked, str(status)], status)
    process = jobs._processes[status]
    wait_for(lambda: jobs.read(status).total > 0 or process.poll() is not None, 120)
    jobs.cancel(status)
    assert jobs.read(status).state == "cancelled"
    assert process.poll() is not None
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_a_training_that_is_cancelled_in_its_midst_says_so(tmp_path):
    """A sweep handles the signal, ends its trainings and writes that it was stopped: by the person who cancelled."""
    status = tmp_path / "status.json"
    words = ["sweep", "--env", "pendulum", "--methods", "dreamer_dr", "--seeds", "0", "--workers", "1"]
    words += ["--output", str(tmp_path / "runs"), "--status", str(status), "--", "--preset", "small"]
    jobs.start(words, status)
    process = jobs._processes[status]
    wait_for(lambda: jobs.read(status).text.startswith("1 running") or process.poll() is not None, 120)
    assert process.poll() is None
    jobs.cancel(status)
    assert jobs.read(status).state == "cancelled"
    assert process.poll() is not None


def test_a_job_that_dies_without_a_word_has_failed(tmp_path):
    status = tmp_path / "status.json"
    jobs.start(["no-such-command"], status)
    wait_for(lambda: jobs.read(status).state != "running")
    assert jobs.read(status).state == "failed"
    assert jobs.read(status).text
    write_status(tmp_path / "orphan.json", Status("running", 1, 2, "counting"))  # of a server that is gone
    assert jobs.read(tmp_path / "orphan.json").text == "The job ended without saying why."


def test_two_jobs_run_at_once_one_a_run_and_the_rest_wait(tmp_path, monkeypatch):
    """Jobs that only sleep, so that the order alone decides."""
    import subprocess
    import sys

    def launch(arguments, status):
        write_status(status, Status("running", text="starting"))
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)

    monkeypatch.setattr(jobs, "_launch", launch)
    paths = {name: tmp_path / f"{name}.json" for name in ("a", "again", "b", "c")}
    words = {"a": ["embed", "a"], "again": ["evaluate", "a"], "b": ["embed", "b"], "c": ["embed", "c"]}
    try:
        for name, path in paths.items():
            jobs.start(words[name], path)
        assert {name: jobs.read(path).text.split(" ")[0] for name, path in paths.items()} == {
            "a": "starting", "again": "waiting", "b": "starting", "c": "waiting",
        }  # fmt: skip
        jobs.cancel(paths["c"])
        assert jobs.read(paths["c"]).state == "cancelled"
        jobs.cancel(paths["a"])
        assert jobs.read(paths["again"]).text == "starting"  # its turn
    finally:
        for path in paths.values():
            jobs.cancel(path)


def test_a_job_whose_folder_cannot_be_written_fails_with_a_sentence(tmp_path):
    (tmp_path / "cache").write_text("no folder", encoding="utf-8")
    status = tmp_path / "cache" / "status.json"
    jobs.start(["embed", "run"], status)
    assert jobs.read(status) == Status("failed", text=f"Could not write {status}: not a directory.")


def test_what_a_status_file_says_is_shown_as_text(tmp_path):
    """It may have come with a checkpoint."""
    status = tmp_path / "status.json"
    write_status(status, Status("failed", text="![x](http://host/a.png)"))
    assert jobs.read(status).text == "![x](http://host/a.png)"
    assert jobs.watch(status, "Work").text == "!\\[x\\](http://host/a.png)"
    assert jobs.watch(tmp_path / "absent.json", "Work") is None


def test_visitors_of_a_server_that_others_reach_start_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs.st, "get_option", lambda name: "0.0.0.0")
    status = tmp_path / "status.json"
    jobs.start(["embed", "run"], status)
    assert jobs.read(status).state == "failed"
    assert "python -m dali embed run" in jobs.read(status).text
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv(jobs.ALLOW, "1")
    assert jobs.allowed()
