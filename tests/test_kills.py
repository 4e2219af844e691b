"""Trainings that are killed again and again at random moments, the first second included, end as those that are not.

``DALI_KILLS=20 python -m pytest -s -o faulthandler_timeout=0 tests/test_kills.py`` kills as often as one likes, and
tells when.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest
from safetensors.torch import load_file

from dali.runs.checkpoint import load_trainer_state
from dali.runs.folder import TRAINER_STATE, WEIGHTS
from dali.runs.metrics import read_log

KILLS = int(os.environ.get("DALI_KILLS", "3"))
EARLY = 4  # every fourth kill is in the first second, while Python imports and the folder is made
WORDS = ("train", "--env", "pendulum", "--preset", "tiny", "--seed", "3", "--steps", "600", "--set", "threads=1")


@pytest.mark.slow
def test_a_run_that_is_killed_at_random_moments_equals_one_that_was_not(tmp_path, repo):
    rng = random.Random(0)

    def start(folder, *more):
        words = [sys.executable, "-m", "dali", *WORDS, "--output", str(folder), *more]
        return subprocess.Popen(words, cwd=repo, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    began = time.monotonic()
    assert start(tmp_path / "whole").wait() == 0
    lasts = 1.5 * (time.monotonic() - began)  # a run that saves at every step takes longer
    whole, broken = load_file(tmp_path / "whole" / WEIGHTS), tmp_path / "broken"
    kills, finished, moments = 0, 0, []
    while kills < KILLS or not finished:
        resume = ["--resume"] if (broken / TRAINER_STATE).exists() else []
        process = start(broken, "--set", "checkpoint_every=0", *resume)
        try:
            _, said = process.communicate(
                timeout=None if kills >= KILLS else rng.uniform(0, lasts if kills % EARLY else 1)
            )
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            kills += 1
            reached = load_trainer_state(broken)[1]["env_steps"] if (broken / TRAINER_STATE).exists() else None
            moments.append(reached)
            continue
        assert process.returncode == 0, said
        rows, problems = read_log(broken)
        assert not problems
        assert [row["update"] for row in rows] == sorted(row["update"] for row in rows)
        found = load_file(broken / WEIGHTS)
        assert found.keys() == whole.keys()
        assert all(found[name].equal(whole[name]) for name in whole)
        finished += 1
        shutil.rmtree(broken)
    print(f"{kills} kills, {finished} runs equal bit for bit; steps saved at each kill: {moments}")
