"""A disk that fills at every point of a run: one sentence, the last checkpoint whole, and the run goes on from it."""

import errno
import os
import subprocess
from contextlib import contextmanager

import pytest
from safetensors.torch import load_file

from dali.config import make_config
from dali.errors import DaliError
from dali.files import writing
from dali.runs.checkpoint import load_agent, load_trainer_state
from dali.runs.folder import TRAINER_STATE, WEIGHTS
from dali.runs.metrics import read_log
from dali.train.checks import holding
from dali.train.film import make_films
from dali.train.trainer import Trainer

SAVES = 3
FILMS = 2
FILES = 1 + 4 * SAVES + FILMS  # the log; at each save state, configuration, weights and record; films


@pytest.fixture(scope="module")
def config():
    return make_config("pendulum", "dreamer_dr", "tiny", 0, 232, threads=1, log_every=0)


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert train(config, folder)
    return load_file(folder / WEIGHTS)


@pytest.fixture(scope="module")
def kilobytes(config, tmp_path_factory):
    """What the folder of a whole run takes, but for its films, without which it goes on."""
    folder = tmp_path_factory.mktemp("size")
    train(config, folder, films=0)
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) // 1024


def train(config, folder, resume=False, films=FILMS) -> bool:
    """As the command does, with a save at a third and at two thirds of what there is to learn."""
    with holding(folder):
        trainer = Trainer(config, folder, films=make_films(films))
        collect, saves = trainer._collect, [216, 224]

        def save_on_the_way():
            collect()
            if saves and trainer.env_steps >= saves[0]:
                saves.pop(0)
                trainer.save()

        trainer._collect = save_on_the_way
        return trainer.run(resume)


def check_and_finish(config, folder, whole) -> None:
    """What is there is whole, and a run that goes on from it ends as one that met no full disk."""
    assert not list(folder.rglob("*.tmp"))
    if (folder / WEIGHTS).exists():
        assert load_agent(folder)
        assert (folder / TRAINER_STATE).exists()
    resume = (folder / TRAINER_STATE).exists()
    if resume:
        assert load_trainer_state(folder)
    assert train(config, folder, resume)
    found = load_file(folder / WEIGHTS)
    assert all(found[name].equal(whole[name]) for name in whole)
    assert not read_log(folder).problems


@pytest.mark.parametrize("point", range(FILES))
def test_a_disk_that_is_full_at_any_file_of_a_run(point, config, whole, tmp_path, monkeypatch):
    replace, written = os.replace, []

    def full_at_the_point(source, target):
        written.append(target)
        if len(written) == point + 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(writing.os, "replace", full_at_the_point)
        said = None
        try:
            train(config, tmp_path)
        except DaliError as error:
            said = str(error)
    if written[point].suffix == ".gif":  # nothing depends on a film
        assert said is None
    else:
        assert "no space left on the disk" in said
    check_and_finish(config, tmp_path, whole)


@contextmanager
def disk_of(size: int, place):
    """A file system of some kilobytes; the test is skipped where none may be mounted."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root may mount a disk of a size")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True, capture_output=True)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
def test_a_small_disk(share, config, whole, kilobytes, tmp_path):
    """Of a share of what a run takes, so that the system itself says when it is full."""
    with disk_of(max(4, int(share * kilobytes)), tmp_path / "disk") as disk:
        with pytest.raises(DaliError, match="no space left"):
            train(config, disk / "run")
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True, capture_output=True)
        check_and_finish(config, disk / "run", whole)
