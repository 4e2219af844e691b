"""A replay in files: the run is that of one in memory, also where it is killed, and every fault is one sentence."""

import errno
import os

import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

from dali.__main__ import app
from dali.config import make_config
from dali.errors import CheckpointError, DaliError
from dali.runs.folder import TRAINER_STATE, WEIGHTS
from dali.train import storage
from dali.train.storage import REPLAY
from dali.train.trainer import Trainer


class Killed(Exception):
    """What happens where a process is killed: nothing more is saved."""


def trainer(folder, on_disk=True, **changes) -> Trainer:
    """A run whose rings come round several times: an episode of explored physics lasts ten steps."""
    changes = {"capacity": 240, "prefill": 100, "explore": 1.0, "explore_steps": 20, "ensemble_updates": 1} | changes
    config = make_config(
        "pendulum", "dali_d", "tiny", 0, 500, threads=1, envs=2, replay_ratio=6.0, context_warmup=1, **changes
    )
    return Trainer(config, folder, replay_on_disk=on_disk)


def same(a, b) -> bool:
    first, second = load_file(a / WEIGHTS), load_file(b / WEIGHTS)
    return first.keys() == second.keys() and all(first[k].equal(second[k]) for k in first)


def train_until_killed(made: Trainer, at: int, saved_at: int, resume: bool) -> None:
    """Trains to one step, the last save of one's own being at another."""
    collect = made._collect

    def step():
        collect()
        if made.env_steps == saved_at:
            made.save()
        if made.env_steps >= at:
            raise Killed

    made._collect = step
    with pytest.raises(Killed):
        made.run(resume)


@pytest.fixture(scope="module")
def in_memory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("memory")
    made = trainer(folder, on_disk=False)
    assert made.run()
    assert (made.replay.written > 2 * made.replay.size).all()  # else nothing is ever overwritten
    return folder


def test_the_run_is_the_same_and_its_replay_is_removed_at_the_end(in_memory, tmp_path):
    made = trainer(tmp_path)
    assert all(part.is_file() for part in (tmp_path / REPLAY / "obs", tmp_path / REPLAY / "first"))
    assert made.run()
    assert same(in_memory, tmp_path)
    assert not (tmp_path / REPLAY).exists()


def test_a_state_that_is_not_taken_up_stays_as_it_is(tmp_path):
    train_until_killed(trainer(tmp_path), 150, 120, resume=False)
    before = {path.name: path.read_bytes() for path in (tmp_path / REPLAY).iterdir()}
    trainer(tmp_path)  # its copies of the environment start episodes, which are records too
    assert before == {path.name: path.read_bytes() for path in (tmp_path / REPLAY).iterdir()}


@pytest.mark.parametrize(("saved_at", "kills"), [(120, [150]), (200, [480]), (300, [310, 330, 470])])
def test_a_run_that_is_killed_goes_on_as_if_it_was_not(saved_at, kills, in_memory, tmp_path):
    for number, at in enumerate(kills):
        train_until_killed(trainer(tmp_path), at, saved_at if not number else 0, resume=number > 0)
    made = trainer(tmp_path, on_disk=False)  # it goes on as it was begun
    assert made.replay.storage.on_disk
    assert made.run(resume=True)
    assert same(in_memory, tmp_path)


def test_what_the_last_state_needs_is_never_overwritten(tmp_path):
    made = trainer(tmp_path)
    save, steps = made.save, []

    def noted():
        steps.append(made.env_steps)
        save()

    made.save = noted
    while made.env_steps < 500:
        made._collect()
        reach = made.replay.written - made.replay.room  # all records before were overwritten
        assert (reach <= (made.replay.saved - made.replay.size).clip(0)).all()
    assert 2 <= len(steps) < 60  # it saves where it must, not always


def test_states_hold_no_records(tmp_path):
    on_disk, in_memory = trainer(tmp_path / "a"), trainer(tmp_path / "b", on_disk=False)
    for made in (on_disk, in_memory):
        for _ in range(100):
            made._collect()
        made.save()
    sizes = [(tmp_path / name / TRAINER_STATE).stat().st_size for name in ("a", "b")]
    assert sizes[1] - sizes[0] > 200 * 4 * 3


def test_pixels(tmp_path):
    changes = {
        "observation": "pixels", "ensemble": 0, "expectation": False, "latents": "draws", "autoencoder_updates": 2,
        "capacity": 500, "prefill": 100,
    }  # fmt: skip
    assert trainer(tmp_path / "memory", on_disk=False, **changes).run()
    train_until_killed(trainer(tmp_path / "disk", **changes), 300, 200, resume=False)
    assert (tmp_path / "disk" / REPLAY / "frames").stat().st_size > 500 * 64 * 64 * 3
    assert trainer(tmp_path / "disk", **changes).run(resume=True)
    assert same(tmp_path / "memory", tmp_path / "disk")
    with pytest.raises(DaliError, match="'capacity' is 240; expected at least 400, twice the prefill"):
        trainer(tmp_path / "small", **{**changes, "capacity": 240, "prefill": 200})


def test_a_full_disk_is_one_sentence_and_takes_no_room(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(storage.os, "posix_fallocate", full)
    with pytest.raises(DaliError, match=r"The replay takes .* GB or more on the disk.*no space left on the disk"):
        trainer(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_too_little_memory_names_the_way_out(tmp_path, monkeypatch):
    def none_left(*arguments):
        raise MemoryError

    monkeypatch.setattr(storage.np, "zeros", none_left)
    with pytest.raises(DaliError, match=r"not enough memory for a replay of 240 records.*--replay-on-disk"):
        storage.Storage().zeros("obs", (240, 3), float)


@pytest.mark.parametrize("damage", ["gone", "short"])
def test_a_replay_that_is_not_there_is_one_sentence(damage, tmp_path):
    train_until_killed(trainer(tmp_path), 150, 120, resume=False)
    path = tmp_path / REPLAY / "action"
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    state = "is gone" if damage == "gone" else "has .* bytes, expected"
    with pytest.raises(CheckpointError, match=f"cannot be resumed: its replay lies on the disk, and .*action {state}"):
        trainer(tmp_path)


def test_the_command(tmp_path):
    words = ["train", "--env", "pendulum", "--method", "dreamer_dr", "--preset", "tiny", "--set", "threads=1"]
    words += ["--steps", "210", "--films", "0", "--output", str(tmp_path / "run")]
    assert CliRunner().invoke(app, [*words, "--replay-on-disk"]).exit_code == 0
    assert not (tmp_path / "run" / REPLAY).exists()
    again = (
        CliRunner().invoke(app, ["train", "--resume", "--output", str(tmp_path / "run"), "--steps", "220"]).exception
    )
    assert isinstance(again, CheckpointError)
    assert "It is removed when a run has finished" in str(again)
    words[-1] = str(tmp_path / "other")
    assert CliRunner().invoke(app, words).exit_code == 0
    other = CliRunner().invoke(app, [*words, "--resume", "--replay-on-disk"]).exception
    assert "cannot go on with its replay on the disk: it was begun in memory" in str(other)
