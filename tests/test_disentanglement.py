"""Disentanglement scores on codes whose layout is known, and on matrices worked out by hand."""

import numpy as np
import pytest

from dali.codes import disentanglement as dis
from dali.codes.probes import FactorScore, evaluate_probe
from dali.errors import DaliError

NAMES = ("gravity", "string_length")
LOW, HIGH = np.array([5.0, 0.5]), np.array([15.0, 1.5])
DRAWS = 10


@pytest.fixture(scope="module")
def contexts():
    return np.random.default_rng(0).uniform(LOW, HIGH, (200, 2))


def codes_of(contexts, layout: str) -> np.ndarray:
    u = 2.0 * (contexts - LOW) / (HIGH - LOW) - 1.0
    noise = np.random.default_rng(1).normal(size=(len(u), 4))
    if layout == "noise":
        return noise
    if layout == "rotated":  # by 45 degrees: each dimension serves both factors, each factor uses both
        u = u @ np.array([[1.0, 1.0], [1.0, -1.0]]) / np.sqrt(2.0)
    return np.column_stack([u, 0.1 * noise[:, :2]])


def measure(contexts, layout, draws=DRAWS):
    codes = codes_of(contexts, layout)
    groups = np.arange(len(codes))
    return (
        dis.measure_disentanglement(codes, contexts, groups, NAMES, draws),
        evaluate_probe(codes, contexts, groups, names=NAMES),
    )


def test_one_dimension_a_factor_scores_one(contexts):
    measured, probed = measure(contexts, "identity")
    scores = ("disentanglement", "completeness", "informativeness", "mig", "sap")
    for name in scores:
        score = getattr(measured, name)
        assert score.value > 0.95, name
        assert 0.0 <= score.low <= score.value <= score.high <= 1.0
    assert np.allclose(np.diag(measured.spearman), 1.0)
    assert np.abs(measured.spearman[2:]).max() < 0.3
    assert np.allclose(np.diag(measured.mutual_information), measured.entropy)
    gravity, length = dis.verdicts(measured, probed)
    assert gravity == "Gravity is linearly decodable (R² 1.00 on held-out contexts), mostly in z0."
    assert "String length is linearly decodable" in length
    assert length.endswith("mostly in z1.")


def test_a_rotation_keeps_r2_and_lowers_the_scores(contexts):
    measured, probed = measure(contexts, "rotated")
    assert all(f.r2_inside > 0.98 for f in probed.factors)
    assert measured.informativeness.value > 0.9
    assert measured.disentanglement.value < 0.1
    assert measured.completeness.value < 0.7
    assert measured.mig.value < 0.1
    assert measured.sap.value < 0.2
    assert all(text.endswith("spread over z0 and z1.") for text in dis.verdicts(measured, probed))


def test_noise_scores_nothing(contexts):
    measured, probed = measure(contexts, "noise")
    assert all(f.r2_inside <= 0.1 for f in probed.factors)
    for name in ("disentanglement", "completeness", "informativeness", "mig", "sap"):
        assert getattr(measured, name).value < 0.1, name
    assert measured.mutual_information.max() < 0.1
    assert all("is not decodable (R² " in text for text in dis.verdicts(measured, probed))


def test_measuring_twice_gives_the_same(contexts):
    one, two = measure(contexts, "rotated", 3)[0], measure(contexts, "rotated", 3)[0]
    assert (one.disentanglement, one.mig, one.sap) == (two.disentanglement, two.mig, two.sap)


def test_a_constant_feature_gives_zeros_and_no_nan(contexts):
    fixed = np.column_stack([contexts[:, 0], np.ones(len(contexts))])
    measured = dis.measure_disentanglement(codes_of(contexts, "identity"), fixed, np.arange(200), NAMES, 3)
    assert (measured.importance[:, 1] == 0.0).all()
    assert (measured.mutual_information[:, 1] == 0.0).all()
    for name in ("disentanglement", "completeness", "informativeness", "mig", "sap"):
        assert np.isfinite(getattr(measured, name).value)


def test_dci_by_hand():
    assert dis.dci_disentanglement(np.eye(2)) == pytest.approx(1.0)
    assert dis.dci_completeness(np.eye(2)) == pytest.approx(1.0)
    assert dis.dci_disentanglement(np.full((2, 2), 0.5)) == pytest.approx(0.0)
    # Row 0 serves factor 0 alone (weight 1/4), row 1 mixes 1/3 and 2/3 (weight 3/4).
    importance = np.array([[0.5, 0.0], [0.5, 1.0]])
    entropy = -(np.log2(1 / 3) / 3 + 2 * np.log2(2 / 3) / 3)
    assert dis.dci_disentanglement(importance) == pytest.approx(0.25 + 0.75 * (1 - entropy))
    assert dis.dci_completeness(importance) == pytest.approx(0.5)  # an even split, and one dimension
    assert dis.dci_disentanglement(np.array([[0.2], [0.8]])) == 1.0  # one factor cannot be mixed
    assert dis.dci_disentanglement(np.zeros((2, 2))) == dis.dci_completeness(np.zeros((2, 2))) == 0.0


def test_mig_and_sap_by_hand():
    information = np.array([[0.6, 0.1], [0.2, 0.1], [0.1, 0.0]])
    assert np.allclose(dis.mig(information, np.array([0.8, 1.0])), [0.5, 0.0])
    assert np.allclose(dis.mig(np.array([[0.3]]), np.array([0.6])), [0.5])
    x = np.array([-1.0, 0.0, 1.0, 0.0])
    y = np.array([0.0, -1.0, 0.0, 1.0])
    assert np.allclose(dis.sap(np.column_stack([x, y]), x[:, None]), [1.0])
    assert np.allclose(dis.sap(np.column_stack([x + y, x - y]), x[:, None]), [0.0])  # each line explains half


def test_mutual_information_by_hand():
    # Two bins of two: z equals c; entropy log 2 + 1/8, joint the same: the information is the corrected entropy.
    c = np.array([[0.0], [1.0], [2.0], [3.0]])
    information, entropy = dis.mutual_information(c, c, 2)
    assert entropy[0] == pytest.approx(np.log(2) + 1 / 8)
    assert information[0, 0] == pytest.approx(entropy[0])
    crossed = np.array([[0.0], [2.0], [1.0], [3.0]])  # all four cells: log 4 + 3/8, more than both entropies
    assert dis.mutual_information(crossed, c, 2)[0][0, 0] == 0.0


def test_mutual_information_of_a_gaussian_pair_is_near_theory():
    rng = np.random.default_rng(0)
    x, e = rng.normal(size=(2, 20_000, 1))
    information, _ = dis.mutual_information(0.8 * x + 0.6 * e, x, dis.num_bins(20_000))
    assert information[0, 0] == pytest.approx(-0.5 * np.log(1 - 0.8**2), rel=0.06)


def test_carriers_hold_at_least_half_of_the_most():
    assert dis.carriers(np.array([0.1, 0.8, 0.39, 0.5])) == [1, 3]
    assert dis.carriers(np.zeros(3)) == []


def score(r2, outside=None):
    return FactorScore("friction", r2, None, outside, 0.0, 0.1, None)


def test_verdicts_in_words():
    two = np.array([0.0, 0.0, 0.9, 0.0, 0.0, 0.0, 0.6, 0.0])
    assert dis.verdict(score(0.96, 0.9), two) == (
        "Friction is linearly decodable (R² 0.96 on held-out contexts), spread over z2 and z6; "
        "outside the training range R² is 0.90."
    )
    assert "partly decodable (R² 0.70" in dis.verdict(score(0.7), two)
    assert "decodable, but not linearly (R² 0.95 by an MLP, 0.40 by a line)" in dis.verdict(
        score(0.4), two, score(0.95)
    )
    assert "barely decodable" in dis.verdict(score(0.3), two)
    assert dis.verdict(score(-0.001), two) == "Friction is not decodable (R² 0.00 on held-out contexts)."
    assert "spread over 8 of 8 dimensions" in dis.verdict(score(0.96), np.ones(8))
    assert "never varies" in dis.verdict(score(None), two)


def test_too_few_contexts_are_refused(contexts):
    with pytest.raises(DaliError, match="Found 19 groups"):
        dis.measure_disentanglement(codes_of(contexts, "noise")[:19], contexts[:19], np.arange(19), NAMES)
    with pytest.raises(DaliError, match="1 names for 2"):
        dis.measure_disentanglement(codes_of(contexts, "noise"), contexts, np.arange(200), ("gravity",))
