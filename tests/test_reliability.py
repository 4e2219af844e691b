"""Faults of their kind: trainings that are killed, asked for twice or in the wrong folder; weights that do not fit."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from dali.__main__ import app
from dali.config import ModelConfig, make_config
from dali.dreams.request import Request
from dali.envs import catalogue
from dali.errors import CheckpointError, DaliError
from dali.files import lock
from dali.model.agent import Agent
from dali.runs import checkpoint
from dali.runs.checkpoint import load_agent
from dali.runs.folder import CONFIG, METRICS, TRAINER_STATE, TRAINING_LOCK, WEIGHTS
from dali.runs.run import Run
from dali.train import trainer
from dali.train.asked import parse_seeds
from dali.train.checks import holding

TRAIN = ["train", "--env", "pendulum", "--preset", "tiny"]


def copied(make_run, tmp_path):
    import shutil

    return shutil.copytree(make_run(), tmp_path / "run")


def edit(folder, part, **changes):
    config = json.loads((folder / CONFIG).read_text())
    config[part] |= changes
    (folder / CONFIG).write_text(json.dumps(config))


@pytest.mark.parametrize("changes", [{"head_layers": 1_000_000}, {"deter": 10**9}, {"deter": 2**14}, {"layers": 60}])
def test_a_configuration_that_the_weights_do_not_fit_is_not_built(changes, make_run, tmp_path, monkeypatch):
    folder = copied(make_run, tmp_path)
    edit(folder, "model", **changes)
    agent, built = checkpoint.Agent, []

    def build(*arguments):
        built.append(torch.get_default_device().type)
        return agent(*arguments)

    monkeypatch.setattr(checkpoint, "Agent", build)
    with pytest.raises(CheckpointError, match=r"does not fit|expected a whole number"):
        load_agent(folder)
    assert set(built) <= {"meta"}  # shapes alone, which take no memory


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(ModelConfig) if f.type is int])
def test_a_size_of_none_is_refused_or_can_be_built(name):
    """A configuration is checked wherever it is read; what passes must not fail as it is built."""
    try:
        config = make_config("pendulum", "dali_d_chi", "tiny", 0, 600, **{name: 0})
    except DaliError:
        return
    assert Agent(config, catalogue.spec("pendulum"))


def test_weights_that_are_no_numbers_are_refused(make_run, tmp_path):
    folder = copied(make_run, tmp_path)
    tensors = load_file(folder / WEIGHTS)
    name = next(n for n, t in tensors.items() if t.is_floating_point() and t.numel() > 1)
    tensors[name].view(-1)[0] = float("nan")
    save_file(tensors, folder / WEIGHTS)
    with pytest.raises(CheckpointError, match="not finite"):
        load_agent(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("batch=1e12", "'batch' is 1000000000000; expected a whole number"),
        ("deter=1e24", "'deter' is"),
        ("batch=x", "'batch' is 'x'; expected a whole number"),
        ("steps=5", "option of its own: --steps"),
        ("seed=1", "option of its own: --seed"),
        ("capacity=10", "'capacity' is 10; expected at least"),
        ("device=gpu", "Unknown device 'gpu'"),
        ("threads=100000", "'threads' is 100000"),
        ("device=cuda:7", "no device 'cuda:7'"),
    ],
)
def test_settings_that_cannot_work_name_the_field(change, said, tmp_path):
    result = CliRunner().invoke(app, [*TRAIN, "--output", str(tmp_path / "run"), "--set", change])
    assert isinstance(result.exception, DaliError), result.exception
    assert said in str(result.exception)


def test_whole_numbers_may_be_written_as_powers_of_ten():
    assert make_config("pendulum", "dali_d", "tiny", 0, 600, batch=1e1).train.batch == 10


@pytest.mark.parametrize("place", ["/dev/null", "file", "x" * 300, "/proc/x"])
def test_places_that_cannot_hold_a_run(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(app, [*TRAIN, "--output", place])
    assert isinstance(result.exception, DaliError), result.exception
    assert "Could not write" in str(result.exception)


def test_one_training_to_a_folder(tmp_path):
    with holding(tmp_path):
        assert Run(tmp_path).progress().training
        with pytest.raises(DaliError, match=f"is being trained in. Process {os.getpid()}"), holding(tmp_path):
            pass
    (tmp_path / ".dali-999999999-abc.tmp").write_text("half")
    with lock.hold(tmp_path / TRAINING_LOCK) as file:
        lock.write_holder(file, 999_999_999)
    with holding(tmp_path):
        assert not list(tmp_path.glob("*.tmp"))


class Killed(BaseException):
    """In place of a SIGKILL."""


def test_a_run_killed_between_its_first_two_files_goes_on(tmp_path, monkeypatch):
    config = make_config("pendulum", "dreamer_dr", "tiny", 0, 240, threads=1)

    def kill(*arguments):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "write_record", kill)
        patch.setattr(trainer, "save_agent", kill)
        with pytest.raises(Killed):
            trainer.Trainer(config, tmp_path).run()
    assert Run(tmp_path).can_resume
    assert not (tmp_path / WEIGHTS).exists()
    assert trainer.Trainer(config, tmp_path).run(resume=True)
    assert Run(tmp_path).agent() is not None


def test_a_damaged_state_is_a_sentence(tmp_path):
    config = make_config("pendulum", "dreamer_dr", "tiny", 0, 240)
    made = trainer.Trainer(config, tmp_path)
    made.save()
    tensors = load_file(tmp_path / TRAINER_STATE)
    save_file({**tensors, "noise": torch.zeros(3)}, tmp_path / TRAINER_STATE, metadata={"state": "{}"})
    with pytest.raises(CheckpointError, match="does not hold the state of this training"):
        made.load()


@pytest.mark.parametrize("text", ["0-20000000", "0-99999999999", "-1", "4294967296", "0,-3", "1-", "x" * 1000])
def test_seeds_are_bounded_before_they_are_made(text):
    with pytest.raises(DaliError, match="Seeds are"):
        parse_seeds(text)


def test_a_sweep_does_not_take_another_run_for_its_own(make_run, tmp_path):
    import shutil

    words = ["sweep", "--env", "pendulum", "--methods", "dali_d_chi", "--output", str(tmp_path), "--"]
    shutil.copytree(make_run(), tmp_path / "pendulum-dali_d_chi-s0")
    result = CliRunner().invoke(app, [*words, "--preset", "tiny", "--set", "context_window=16", "--steps", "1200"])
    assert "1 of 1 runs failed: pendulum-dali_d_chi-s0" in str(result.exception)
    assert "another run is there: steps is 600, asked for 1200" in result.output
    result = CliRunner().invoke(app, [*words, "--preset", "tiny"])
    assert "another run is there: context_window is 16, asked for 8" in result.output
    result = CliRunner().invoke(app, [*words, "--preset", "nonsense"])
    assert "Unknown preset 'nonsense'" in str(result.exception)
    result = CliRunner().invoke(app, [*words, "--no-such-option"])
    assert "The train command has no option '--no-such-option'" in str(result.exception)
    result = CliRunner().invoke(app, [*words, "--steps", "many"])
    assert "argument --steps: invalid int value: 'many'" in str(result.exception)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_training_saves_and_ends_with_its_sweep(number, tmp_path, repo):
    words = ["sweep", "--env", "pendulum", "--methods", "dreamer_dr", "--workers", "1", "--output", str(tmp_path)]
    sweep = subprocess.Popen(
        [sys.executable, "-m", "dali", *words, "--", "--preset", "tiny", "--steps", "100000"], cwd=repo,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    run = tmp_path / "pendulum-dreamer_dr-s0"
    try:
        deadline = time.monotonic() + 300
        while not (run / METRICS).exists():  # from here on it saves before it ends
            assert sweep.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        training = lock.holder(run / TRAINING_LOCK)
        sweep.send_signal(number)
        assert sweep.wait(300) == 128 + number
        with pytest.raises(ProcessLookupError):
            os.kill(training, 0)
        assert Run(run).can_resume
    finally:
        if sweep.poll() is None:
            sweep.kill()
            sweep.wait()


def test_a_request_in_a_command_holds_plain_numbers():
    request = Request(0, 0, 1, physics=(("g", np.float64(4.9)),))
    assert "g=4.9" in request.arguments()


@pytest.mark.parametrize("text", ["[" * 3000 + "]" * 3000, '{"episode": 1e999, "t": 0, "horizon": 1}', "9" * 5000])
def test_a_request_that_is_none(text):
    with pytest.raises(DaliError, match="not a counterfactual's request"):
        Request.from_json(text)
