"""Benchmarks run and their shares are shares; how fast anything is, is nothing that a test can say."""

import json

import pytest
from typer.testing import CliRunner

from dali.__main__ import app
from dali.bench import bench_train
from dali.config import make_config
from dali.train.learner import Learner


@pytest.mark.parametrize("changes", [["--method", "dreamer_dr"], ["--method", "dali_d_chi", "--env", "cartpole"]])
def test_training_is_taken_apart(changes):
    result = CliRunner().invoke(app, ["bench", "train", "--preset", "tiny", "--updates", "1", *changes])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    for name in ("matrix_product_share", "collection_share_as_scheduled"):
        assert 0 < figures[name] < 1
    for name in ("context_encoder_share_of_whole", "context_encoder_share_as_scheduled"):
        assert (figures[name] > 0) == figures["method"].startswith("dali")
    assert figures["gflop_per_whole_update"] > 0
    assert set(figures["stage_seconds"]) == {"replay", "world_model", "imagination", "rest"}


def test_a_whole_update_trains_actor_and_critic_too(monkeypatch):
    """Not one of the updates before them that train the code, or the dynamics ensemble, alone."""
    learnt, loss = [], Learner._behavior_loss
    monkeypatch.setattr(Learner, "_behavior_loss", lambda self, *given: learnt.append(1) or loss(self, *given))
    bench_train(make_config("pendulum", "dali_d_chi", "tiny", 0, 600), updates=1)
    assert len(learnt) >= 3
