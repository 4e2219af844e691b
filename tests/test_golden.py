"""The figures that a shipped run came with, computed anew by this version from its weights and recorded episodes."""

import numpy as np
import pytest

from dali.codes.settled import informative
from dali.dreams.observation import make_metric
from dali.dreams.steering import evaluate_fidelity, steerable
from dali.episodes import infer_codes
from dali.runs.report import _judge_probe, _laws
from dali.runs.run import open_run

RUN = "pendulum-dali_d_chi-s0"
PRINTED = 5e-3  # half of the last digit that tables print
# Codes are kept at half precision, and a processor's last bits differ from another's.
CODE = 2e-3


@pytest.fixture(scope="module")
def run(repo):
    return open_run(repo / "checkpoints" / RUN)


@pytest.fixture(scope="module")
def episodes(run):
    return run.episodes()


@pytest.fixture(scope="module")
def summary(run):
    found = run.analysis()
    assert found is not None
    return found["summary"]


def test_codes_of_recorded_episodes(run, episodes):
    some = episodes.subset(np.arange(0, len(episodes.obs), 100))
    codes = infer_codes(run.agent(), some.obs, some.action)
    np.testing.assert_allclose(codes, some.code, atol=CODE * np.abs(some.code).max())


def test_the_probe(run, episodes, summary):
    found = _judge_probe(informative(episodes), run.spec, summary["seed"])
    for name, told in summary["probe"].items():
        factor = found.factor(name)
        assert factor.r2_inside == pytest.approx(told["r2_inside"], abs=PRINTED)
        assert factor.r2_outside == pytest.approx(told["r2_outside"], abs=PRINTED)
        assert factor.r2_shuffled == pytest.approx(told["r2_control"], abs=PRINTED)
        assert factor.mae_inside == pytest.approx(told["mae_inside"], abs=PRINTED)


def test_dreams_against_closed_forms(run, summary):
    laws = {law.law: law.summary() for law in _laws(run.agent(), run.readout().code_map, "rssm")}
    for name, told in summary["closed_form"].items():
        assert laws[name]["error_mean"] == pytest.approx(told["error_mean"], abs=PRINTED)


@pytest.mark.slow
def test_steering_and_effective_physics(run, episodes, summary):
    agent = run.agent()
    metric = make_metric(agent, episodes)
    found = evaluate_fidelity(agent, steerable(episodes, True), run.readout().code_map, metric, summary["seed"])
    for factor in found:
        steering, effective = summary["steering"][factor.name], summary["effective"][factor.name]
        assert factor.skill[25] == pytest.approx(steering["skill_25"], abs=PRINTED)
        assert factor.skill[50] == pytest.approx(steering["skill_50"], abs=PRINTED)
        assert factor.skill_control[25] == pytest.approx(steering["control_25"], abs=PRINTED)
        assert factor.slope == pytest.approx(effective["slope"], abs=PRINTED)
        assert factor.r2 == pytest.approx(effective["r2"], abs=PRINTED)
        assert factor.selectivity == pytest.approx(effective["selectivity"], abs=PRINTED)
