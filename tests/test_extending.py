"""A run that was finished or stopped goes on to more steps, with its own settings, and says how it came about."""

import json
import shlex
import shutil

import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

import dali
from dali.__main__ import app
from dali.config import make_config
from dali.errors import CheckpointError, DaliError
from dali.runs.checkpoint import load_trainer_state
from dali.runs.folder import RECORD, WEIGHTS, load_config
from dali.runs.metrics import read_log
from dali.runs.run import Run, open_runs
from dali.train.trainer import Trainer, planned_updates

BEGUN = "python -m dali train --env pendulum --method dreamer_dr --preset tiny --seed 4 --set horizon=4"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of 300 steps whose settings are not its preset's."""
    folder = tmp_path_factory.mktemp("extending") / "finished"
    assert Trainer(make_config("pendulum", "dreamer_dr", "tiny", 4, 300, horizon=4, threads=1), folder).run()
    return folder


def train(*words):
    return CliRunner().invoke(app, ["train", *map(str, words)])


def test_a_finished_run_goes_on_to_more_steps(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "run")
    result = train("--resume", "--steps", 400, "--output", folder)
    assert result.exit_code == 0, result.exception
    config = load_config(folder)
    assert config == make_config("pendulum", "dreamer_dr", "tiny", 4, 400, horizon=4, threads=1)
    numbers = load_trainer_state(folder)[1]
    assert (numbers["env_steps"], numbers["updates"]) == (400, planned_updates(config))
    assert read_log(folder).rows[-1]["update"] == planned_updates(config) > planned_updates(load_config(finished))
    assert Run(folder).progress().complete
    record = json.loads((folder / RECORD).read_text())
    assert record["command"] == f"{BEGUN} --steps 300 && {BEGUN} --steps 400 --resume"


def test_the_commands_of_an_extended_run_repeat_it(finished, tmp_path):
    folder, again = shutil.copytree(finished, tmp_path / "run"), tmp_path / "again"
    assert train("--resume", "--steps", 400, "--output", folder).exit_code == 0
    for command in Run(folder).record()["command"].split(" && "):
        words = shlex.split(command)[4:]
        assert train(*words, "--set", "threads=1", "--output", again).exit_code == 0
    first, second = load_file(folder / WEIGHTS), load_file(again / WEIGHTS)
    assert all(first[name].equal(second[name]) for name in first.keys() | second.keys())


def test_the_schedules_span_the_new_total(finished, tmp_path):
    """At the end of 300 steps the rates have fallen; in the middle of 900 they have not."""
    folder = shutil.copytree(finished, tmp_path / "run")
    ended = Trainer(load_config(folder), folder)
    ended.load()
    ended.learner._set_rates()
    longer = Trainer(make_config("pendulum", "dreamer_dr", "tiny", 4, 2000, horizon=4, threads=1), folder)
    longer.load()
    longer.learner._set_rates()
    rates = [{g["name"]: g["lr"] for g in made.learner.optimizer.param_groups} for made in (ended, longer)]
    train = longer.config.train
    assert rates[0]["model"] == pytest.approx(train.model_lr * train.anneal_to, rel=0.01)
    assert rates[1]["model"] == train.model_lr


def test_a_stopped_run_says_where_it_was_stopped(tmp_path, monkeypatch):
    made = Trainer(make_config("pendulum", "dreamer_dr", "tiny", 4, 400, horizon=4, threads=1), tmp_path)
    collect = made._collect

    def stop_at_300():
        collect()
        made.interrupted = made.env_steps >= 300

    monkeypatch.setattr(made, "_collect", stop_at_300)
    assert not made.run()
    assert train("--resume", "--steps", 360, "--output", tmp_path).exit_code == 0
    assert load_config(tmp_path).train.steps == 360
    stopped = f"{BEGUN} --steps 400 (stopped at step 300)"
    assert Run(tmp_path).record()["command"] == f"{stopped} && {BEGUN} --steps 360 --resume"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--steps", 280], "cannot be resumed for 280 environment steps in all: it has taken 300"),
        (["--steps", 400, "--env", "cartpole"], "env is pendulum, asked for cartpole"),
        (["--steps", 400, "--method", "dali_d"], "method_name is dreamer_dr, asked for dali_d"),
        (["--steps", 400, "--preset", "small"], "preset is tiny, asked for small"),
        (["--seed", 0], "seed is 4, asked for 0"),
        (["--set", "horizon=5"], "horizon is 4, asked for 5"),
    ],
)
def test_what_an_extended_run_cannot_be(words, said, finished):
    before = {path: path.stat().st_mtime_ns for path in finished.iterdir() if path.is_file()}
    result = train("--resume", "--output", finished, *words)
    assert isinstance(result.exception, CheckpointError), result.exception
    assert said in str(result.exception)
    assert {path: path.stat().st_mtime_ns for path in finished.iterdir() if path.is_file()} == before


def test_equal_settings_may_be_given_and_those_that_change_nothing_may_change(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "run")
    words = ["--env", "pendulum", "--method", "dreamer_dr", "--preset", "tiny", "--seed", 4, "--set", "horizon=4"]
    words += ["--set", "log_every=1", "--set", "checkpoint_every=7"]
    assert train("--resume", "--steps", 320, "--output", folder, *words).exit_code == 0
    assert load_config(folder).train.checkpoint_every == 7


def test_without_steps_a_resumed_run_keeps_its_own(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "run")
    weights = (folder / WEIGHTS).read_bytes()
    assert train("--resume", "--output", folder).exit_code == 0
    assert load_config(folder).train.steps == 300
    assert (folder / WEIGHTS).read_bytes() == weights
    run = dali.train_agent("pendulum", folder, "dreamer_dr", "tiny", seed=4, resume=True, horizon=4)
    assert load_config(run.folder).train.steps == 300


def test_resuming_needs_to_know_what(tmp_path):
    result = train("--resume", "--steps", 400)
    assert isinstance(result.exception, DaliError)
    assert "--resume --output FOLDER" in str(result.exception)


def test_agents_on_the_way_are_kept_and_opened_like_runs(finished, tmp_path):
    folder = tmp_path / "run"
    words = ["--env", "pendulum", "--method", "dreamer_dr", "--preset", "tiny", "--seed", 4, "--set", "horizon=4"]
    assert train(*words, "--set", "threads=1", "--steps", 300, "--keep-every", 40, "--output", folder).exit_code == 0
    kept = sorted(path.name for path in (folder / "kept").iterdir())
    assert kept == ["step-200", "step-240", "step-280"]  # nothing is learnt before 200
    early, late = (load_file(folder / "kept" / name / WEIGHTS) for name in ("step-240", "step-280"))
    assert any(not early[name].equal(late[name]) for name in early)
    opened = Run(folder / "kept" / "step-280")
    assert opened.record()["env_steps"] == 280
    assert opened.agent().config == load_config(folder)
    first, second = load_file(folder / WEIGHTS), load_file(finished / WEIGHTS)
    assert all(first[name].equal(second[name]) for name in first)  # keeping changes nothing
    assert [run.name for run in open_runs(tmp_path)[0]] == ["run"]
