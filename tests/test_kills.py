"""Trainings that are killed again and again at random moments, the first second included, end as those that are not.

``DALI_KILLS=200 python -m pytest -s -o faulthandler_timeout=0 tests/test_kills.py`` kills as often as one likes, and
tells when.
"""

import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import time

from safetensors.torch import load_file

from dali.__main__ import app
from dali.runs.checkpoint import load_trainer_state
from dali.runs.films import list_films, read_film
from dali.runs.folder import TRAINER_STATE, WEIGHTS
from dali.runs.metrics import read_log
from dali.train import trainer

assert trainer  # imported before processes are forked, so that each begins at once to train

KILLS = int(os.environ.get("DALI_KILLS", "8"))
EARLY = 4  # every fourth kill is in the first second at the latest
WORDS = ("train", "--env", "pendulum", "--preset", "tiny", "--seed", "3", "--steps", "280", "--set", "threads=1")
WORDS += ("--films", "3")


def train(folder, *more: str) -> None:
    """The command, in a process of its own."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere), contextlib.redirect_stdout(nowhere):
        app([*WORDS, "--output", str(folder), *more], standalone_mode=False)


def start(folder, *more: str) -> multiprocessing.Process:
    process = multiprocessing.get_context("fork").Process(target=train, args=(folder, *more))
    process.start()
    return process


def test_a_run_that_is_killed_at_random_moments_equals_one_that_was_not(tmp_path):
    rng = random.Random(0)
    began = time.monotonic()
    process = start(tmp_path / "whole")
    process.join()
    assert process.exitcode == 0
    lasts = 1.5 * (time.monotonic() - began)  # a run that saves at every step takes longer
    whole, broken = load_file(tmp_path / "whole" / WEIGHTS), tmp_path / "broken"
    kills, finished, moments = 0, 0, []
    while kills < KILLS or not finished:
        resume = ["--resume"] if (broken / TRAINER_STATE).exists() else []
        process = start(broken, "--set", "checkpoint_every=0", *resume)
        process.join(None if kills >= KILLS else rng.uniform(0, lasts if kills % EARLY else min(1.0, lasts)))
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            kills += 1
            saved = (broken / TRAINER_STATE).exists()
            assert all(len(read_film(film.path)) for film in list_films(broken))
            moments.append(load_trainer_state(broken)[1]["env_steps"] if saved else 0)
            continue
        assert process.exitcode == 0
        films = {film.step: film.path.read_bytes() for film in list_films(broken)}
        assert films == {film.step: film.path.read_bytes() for film in list_films(tmp_path / "whole")}
        rows, problems = read_log(broken)
        assert not problems
        assert [row["update"] for row in rows] == sorted(row["update"] for row in rows)
        found = load_file(broken / WEIGHTS)
        assert found.keys() == whole.keys()
        assert all(found[name].equal(whole[name]) for name in whole)
        finished += 1
        shutil.rmtree(broken)
    print(f"{kills} kills, {finished} runs equal bit for bit; steps saved at each kill: {moments}")
