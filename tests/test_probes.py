"""Probes on synthetic codes whose decodability is known."""

import numpy as np
import pytest

from dali.codes import probes
from dali.errors import DaliError

NAMES = ("gravity", "length")
LOW, HIGH = np.array([5.0, 0.5]), np.array([15.0, 1.5])


def contexts_and_groups(groups: int = 60, rows: int = 6, seed: int = 0):
    contexts = np.random.default_rng(seed).uniform(LOW, HIGH, (groups, 2))
    return np.repeat(contexts, rows, axis=0), np.repeat(np.arange(groups), rows)


def scaled(contexts):
    return 2.0 * (contexts - LOW) / (HIGH - LOW) - 1.0


def linear_codes(contexts, noise: float = 0.02, seed: int = 1):
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).normal(size=(2, 4))
    return scaled(contexts) @ mixing + noise * rng.normal(size=(len(contexts), 4))


def test_linear_codes_are_decoded_inside_and_outside_and_the_control_is_not():
    contexts, groups = contexts_and_groups()
    outer = np.array([[2.0, 0.2], [17.0, 1.8], [19.0, 0.3], [3.0, 1.7]])
    codes = linear_codes(np.vstack([contexts, outer]))
    regimes = ["train"] * len(contexts) + ["extrapolation"] * 4
    result = probes.evaluate_probe(
        codes, np.vstack([contexts, outer]), np.r_[groups, 100 + np.arange(4)], regimes, names=NAMES
    )
    for factor in result.factors:
        assert factor.r2_inside > 0.97
        assert factor.r2_interval[0] < factor.r2_inside < factor.r2_interval[1]
        assert factor.r2_outside > 0.97
        assert abs(factor.r2_shuffled) < 0.15
    assert result.factor("gravity").mae_inside < 0.5  # metres per second squared, of a range of 10
    assert (result.contexts_fitted, result.contexts_outside) == (60, 4)


def test_only_the_mlp_reads_a_folded_factor():
    contexts, groups = contexts_and_groups(120, 3)
    u = scaled(contexts)
    codes = np.column_stack([np.cos(2.5 * u[:, 0]), np.sin(2.5 * u[:, 0]), u[:, 1]])
    linear = probes.evaluate_probe(codes, contexts, groups, names=NAMES).factor("gravity")
    mlp = probes.evaluate_probe(codes, contexts, groups, names=NAMES, kind="mlp").factor("gravity")
    assert linear.r2_inside < 0.9
    assert mlp.r2_inside > 0.97
    assert mlp.r2_shuffled < 0.15


@pytest.mark.parametrize("kind", probes.KINDS)
def test_noise_is_not_decodable(kind):
    contexts, groups = contexts_and_groups(60, 4)
    codes = np.random.default_rng(3).normal(size=(len(contexts), 8))
    for factor in probes.evaluate_probe(codes, contexts, groups, kind=kind).factors:
        assert factor.r2_inside <= 0.1


def test_a_fingerprint_of_the_context_is_not_taken_for_its_physics():
    # Each context has its own constant random code. A split over rows would find it again; one over contexts cannot.
    contexts, groups = contexts_and_groups(40, 10)
    codes = np.random.default_rng(4).normal(size=(40, 20))[groups]
    for factor in probes.evaluate_probe(codes, contexts, groups).factors:
        assert factor.r2_inside <= 0.1


def test_outside_is_judged_by_a_probe_fitted_inside_alone():
    contexts, groups = contexts_and_groups()
    codes = linear_codes(contexts)
    outside = np.array([[18.0, 1.9], [19.0, 1.7], [17.0, 1.6]])
    regimes = ["interpolation"] * len(codes) + ["extrapolation"] * 3
    everything = (np.vstack([contexts, outside]), np.r_[groups, 91, 92, 93], regimes)
    one = probes.evaluate_probe(np.vstack([codes, np.zeros((3, 4))]), *everything)
    other = probes.evaluate_probe(np.vstack([codes, np.ones((3, 4))]), *everything)
    assert np.array_equal(one.probe.weights[0], other.probe.weights[0])
    assert one.factors[0].r2_inside == other.factors[0].r2_inside
    assert one.factors[0].r2_outside != other.factors[0].r2_outside


def test_given_held_out_contexts_are_not_fitted_on():
    contexts, groups = contexts_and_groups()
    codes = linear_codes(contexts)
    held_out = groups >= 40
    spoiled = np.where(held_out[:, None], 0.0, codes)
    fair = probes.evaluate_probe(codes, contexts, groups, held_out=held_out)
    blind = probes.evaluate_probe(spoiled, contexts, groups, held_out=held_out)
    assert fair.contexts_fitted == 40
    assert np.array_equal(fair.probe.weights[0], blind.probe.weights[0])
    assert fair.factors[0].r2_inside > 0.97
    assert blind.factors[0].r2_inside < 0.1
    with pytest.raises(DaliError, match="hold out whole contexts"):
        probes.evaluate_probe(codes, contexts, groups, held_out=np.arange(len(codes)) % 2 == 0)


def test_what_cannot_be_said_is_none_and_never_nan():
    contexts, groups = contexts_and_groups(10, 2)
    contexts[:, 1] = 1.0
    constant = probes.evaluate_probe(np.column_stack([contexts[:, 0], 0 * groups]), contexts, groups).factors[1]
    assert (constant.r2_inside, constant.r2_interval, constant.r2_outside, constant.r2_shuffled) == (None,) * 4
    assert constant.mae_inside == pytest.approx(0.0)
    assert constant.mae_outside is None


def test_rows_of_a_group_do_not_add_weight():
    contexts, groups = contexts_and_groups(30, 1)
    codes = linear_codes(contexts, noise=0.3)
    repeats = np.random.default_rng(5).integers(1, 9, 30)
    once = probes.fit_probe(codes, contexts, groups)
    often = probes.fit_probe(*(np.repeat(a, repeats, axis=0) for a in (codes, contexts, groups)))
    assert np.allclose(once.predict(codes), often.predict(codes))


def test_ridge_without_noise_recovers_the_line():
    contexts, groups = contexts_and_groups(50, 1)
    codes = linear_codes(contexts, noise=0.0)
    assert np.allclose(probes.fit_probe(codes, contexts, groups).predict(codes), contexts, atol=1e-2)


@pytest.mark.parametrize("kind", probes.KINDS)
def test_probes_are_seeded_and_keep_leading_shapes(kind):
    contexts, groups = contexts_and_groups(20, 3)
    codes = linear_codes(contexts)
    probe = probes.fit_probe(codes, contexts, groups, kind, seed=3)
    again = probes.fit_probe(codes, contexts, groups, kind, seed=3)
    assert np.array_equal(probe.predict(codes), again.predict(codes))
    assert np.allclose(probe.predict(codes.reshape(4, 15, 4)).reshape(60, 2), probe.predict(codes))


def test_too_few_contexts_and_unknown_kinds_are_refused():
    contexts, groups = contexts_and_groups(4, 5)
    with pytest.raises(DaliError, match="Found 4 groups"):
        probes.fit_probe(linear_codes(contexts), contexts, groups)
    contexts, groups = contexts_and_groups(8, 5)
    with pytest.raises(DaliError, match="Found 3 contexts to fit"):
        probes.evaluate_probe(linear_codes(contexts), contexts, groups, np.where(groups < 3, "train", "mixed"))
    with pytest.raises(DaliError, match="Unknown probe 'lasso'"):
        probes.fit_probe(linear_codes(contexts), contexts, groups, "lasso")


def test_r2_by_hand():
    truth, predicted = np.array([[0.0], [2.0], [4.0]]), np.array([[0.0], [2.0], [3.0]])
    assert probes.weighted_r2(truth, predicted, np.ones(3)) == [pytest.approx(1 - 1 / 8)]
    # weights 1, 1, 2: mean 2.5, total 6.25 + 0.25 + 2 * 2.25 = 11, residual 2
    assert probes.weighted_r2(truth, predicted, np.array([1.0, 1.0, 2.0])) == [pytest.approx(1 - 2 / 11)]


def test_identification_is_the_last_entry_into_the_band():
    estimates = np.array([5.0, 9.7, 12.0, 9.9, 9.8, 10.1])
    assert probes.identified_after(estimates, truth=9.8, tolerance=0.4) == 3
    assert probes.identified_after(estimates, truth=9.8, tolerance=5.0) == 0
    assert probes.identified_after(estimates, truth=2.0, tolerance=0.4) is None


def test_error_over_time_by_hand():
    identity = probes.Probe("ridge", np.zeros(1), np.ones(1), np.zeros(1), np.ones(1), (np.eye(1),), (np.zeros(1),))
    codes = np.array([[[1.0], [3.0]], [[0.0], [2.0]]])  # two episodes of two steps
    assert probes.error_over_time(identity, codes, np.array([[3.0], [2.0]])).ravel().tolist() == [2.0, 0.0]
