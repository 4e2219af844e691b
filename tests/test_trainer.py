"""A run ends as it would have ended without interruption, and says plainly what it cannot do."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from dali.__main__ import app
from dali.config import make_config
from dali.errors import CheckpointError, DaliError
from dali.runs.checkpoint import load_agent, load_config, load_trainer_state, save_trainer_state
from dali.runs.metrics import read_log
from dali.runs.schema import RENAMED, SINCE
from dali.train.monitor import probe_scores
from dali.train.record import training_command
from dali.train.trainer import Trainer, planned_updates

TINY = ["--preset", "tiny", "--seed", "3", "--set", "threads=1"]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dali", "train", *arguments]


@pytest.mark.parametrize(("method", "logged"), [("dali_d", {"probe/g", "probe/l"}), ("dreamer_dr", set())])
def test_what_the_log_tells_of_the_code_moves_no_generator(method, logged, tmp_path):
    trainer = Trainer(make_config("pendulum", method, "tiny", 0, 6000, envs=12, contexts=12, prefill=5000), tmp_path)
    for _ in range(200):
        trainer.collector.step(True, trainer.noise)
    before = trainer.rng.bit_generator.state, trainer.noise.get_state()
    scores = probe_scores(trainer.agent, trainer.replay, trainer.agent.spec)
    assert scores.keys() == logged
    assert all(score < 1 for score in scores.values())
    assert trainer.rng.bit_generator.state == before[0]
    assert torch.equal(trainer.noise.get_state(), before[1])


def same_weights(a: Path, b: Path) -> bool:
    first, second = load_file(a / "model.safetensors"), load_file(b / "model.safetensors")
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_a_run_of_mujoco_killed_in_the_middle_and_resumed_equals_one_that_was_not(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    arguments = ["--env", "cartpole", *TINY, "--steps", "1200"]
    subprocess.run(command(*arguments, "--output", str(whole)), check=True, capture_output=True)
    # A checkpoint after every step of the environment: the kill lands in the middle of work, often of a write.
    process = subprocess.Popen(
        command(*arguments, "--output", str(broken), "--set", "checkpoint_every=0"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    state = broken / "trainer" / "state.safetensors"
    deadline = time.monotonic() + 60
    while not (state.exists() and load_trainer_state(broken)[1]["updates"] >= 40):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    reached = load_trainer_state(broken)[1]["env_steps"]
    assert reached < 1200, "the run ended before it could be killed"
    subprocess.run(command(*arguments, "--output", str(broken), "--resume"), check=True, capture_output=True)
    assert same_weights(whole, broken)
    assert read_log(broken).rows[-1]["update"] == read_log(whole).rows[-1]["update"]


def test_sigterm_saves_and_ends_well(tmp_path):
    process = subprocess.Popen(
        command("--env", "pendulum", *TINY, "--steps", "200000", "--output", str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "metrics.jsonl").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1.0)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "--resume" in output
    assert load_agent(tmp_path).config.env == "pendulum"
    record = json.loads((tmp_path / "training.json").read_text())
    assert record["env_steps"] == load_trainer_state(tmp_path)[1]["env_steps"] < 200_000


def test_the_same_seed_gives_the_same_run_and_another_does_not(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        Trainer(make_config("pendulum", "dali_s_chi", "tiny", seed, 400), tmp_path / name).run()
    assert same_weights(tmp_path / "a", tmp_path / "b")
    assert not same_weights(tmp_path / "a", tmp_path / "c")


def test_updates_made_are_those_planned(tmp_path):
    config = make_config("pendulum", "dreamer_dr", "tiny", 0, 500)
    made = Trainer(config, tmp_path)
    assert made.run()
    # (500 - 200) steps x 32 replayed steps a step, in batches of 8 x 8, after 20 updates of the ensemble alone.
    assert made.learner.update_count == planned_updates(config) == 170
    assert (tmp_path / "tensorboard").is_dir()
    assert read_log(tmp_path).rows


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--env", "pendulm"], "Unknown environment 'pendulm'"),
        (["--env", "pendulum", "--method", "dali"], "Unknown method 'dali'"),
        (["--env", "pendulum", "--preset", "huge"], "Unknown preset 'huge'"),
        (["--env", "pendulum", "--set", "lerning_rate=1"], "Unknown config field 'lerning_rate'"),
        (["--env", "pendulum", "--set", "envs"], "not of the form NAME=VALUE"),
        (["--env", "pendulum", "--set", "envs=0"], "Config field 'envs' is 0"),
        (["--env", "pendulum", "--set", "horizon=soon"], "Config field 'horizon' is 'soon'"),
        (["--env", "pendulum", "--set", "model_lr=nan"], "Config field 'model_lr' is nan"),
        (["--env", "pendulum", "--steps", "100"], "Config field 'prefill'"),
        (
            ["--env", "pendulum", "--preset", "pixels", "--set", "length=2"],
            "Config field 'length' is 2; expected at least 3",
        ),
        (["--env", "pendulum", "--resume"], "cannot be resumed"),
        (["--env", "pendulum", "--set", "envs=4", "batch=8"], "'batch=8' stands behind no option. --set is repeated"),
        ([], "Name an environment with --env"),
    ],
)
def test_a_wrong_argument_gives_one_sentence(arguments, expected, tmp_path):
    result = CliRunner().invoke(app, ["train", *arguments, "--output", str(tmp_path / "run")])
    assert isinstance(result.exception, DaliError)
    assert expected in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_overwritten_nor_resumed_under_another_configuration(tmp_path):
    arguments = ["train", "--env", "pendulum", *TINY, "--steps", "300", "--output", str(tmp_path)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    again = CliRunner().invoke(app, arguments).exception
    assert isinstance(again, DaliError)
    assert "--resume" in str(again)
    other = CliRunner().invoke(app, [*arguments, "--resume", "--set", "horizon=7"]).exception
    assert isinstance(other, CheckpointError)
    assert "horizon is 5, asked for 7" in str(other)


def test_a_run_of_an_older_schema_is_resumed_as_what_it_was(tmp_path):
    as_it_was = ["ensemble=0", "expectation=false", "latents=draws", "dream_steps=0", "ensemble_updates=12000"]
    as_it_was += ["ensemble_units=384", "ensemble_layers=3"]
    changes = [word for pair in as_it_was for word in ("--set", pair)]
    arguments = ["train", "--env", "pendulum", *TINY, *changes, "--steps", "300", "--output", str(tmp_path), "--resume"]
    assert CliRunner().invoke(app, arguments[:-1]).exit_code == 0
    tensors, numbers = load_trainer_state(tmp_path)
    numbers["config"]["schema"] = 2
    names = {new: old for old, new in RENAMED[5]["train"].items()}
    train = numbers["config"]["train"]
    numbers["config"]["train"] = {names.get(name, name): value for name, value in train.items()}
    for schema in (2, 3, 4, 6):
        for part, added in SINCE[schema].items():
            for name in added:
                del numbers["config"][part][name]
    save_trainer_state(tmp_path, tensors, numbers)
    other = CliRunner().invoke(app, [*arguments, "--set", "explore_steps=50"]).exception
    assert "explore_steps is 0, asked for 50" in str(other)
    assert CliRunner().invoke(app, arguments).exit_code == 0


def test_a_finished_agent_is_never_written_over(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = tmp_path / "checkpoints" / "pendulum-dali_d_chi-s3"
    arguments = ["train", "--env", "pendulum", *TINY, "--steps", "300"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert CliRunner().invoke(app, ["compact", str(shipped)]).exit_code == 0
    weights = (shipped / "model.safetensors").read_bytes()
    refused = CliRunner().invoke(app, [*arguments, "--output", str(shipped)]).exception
    assert isinstance(refused, DaliError)
    assert "already holds a trained agent" in str(refused)
    beside = CliRunner().invoke(app, arguments)
    assert "checkpoints/pendulum-dali_d_chi-s3-2" in beside.output
    assert (shipped / "model.safetensors").read_bytes() == weights


def test_steps_that_earn_no_update_train_the_code_alone(tmp_path):
    config = make_config("pendulum", "dali_d_chi", "tiny", 0, 204, replay_ratio=1.0)
    assert planned_updates(config) == config.train.context_warmup + config.train.ensemble_updates
    assert Trainer(config, tmp_path).run()


def test_a_full_disk_is_one_sentence_and_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    made = Trainer(make_config("pendulum", "dreamer_dr", "tiny", 0, 400), tmp_path)
    made.run()
    before = (tmp_path / "model.safetensors").read_bytes()

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dali.runs.checkpoint.save_file", full)
    with pytest.raises(CheckpointError, match=r"no space left on the disk.*still stands"):
        made.save()
    assert (tmp_path / "model.safetensors").read_bytes() == before
    assert not list(tmp_path.rglob("*.tmp"))


def test_the_card_repeats_the_command_that_trained(tmp_path):
    config = make_config("cartpole", "dali_s", "tiny", 5, 700, horizon=6, checkpoint_every=9.0)
    text = training_command(config)
    assert (
        text == "python -m dali train --env cartpole --method dali_s --preset tiny --seed 5 --set horizon=6 --steps 700"
    )
    result = CliRunner().invoke(app, [*text.split()[3:], "--output", str(tmp_path)])
    assert result.exit_code == 0
    assert load_config(tmp_path) == make_config("cartpole", "dali_s", "tiny", 5, 700, horizon=6)
