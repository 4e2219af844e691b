"""Aggregates of scores against hand-computed numbers, and invariants of their intervals."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, trim_mean

from dali.errors import DaliError
from dali.returns import estimators as gen


def test_normalise_puts_random_at_zero_and_expert_at_one():
    returns = np.array([[10.0, -300.0], [60.0, -100.0]])
    scores = gen.normalise(returns, random=[10.0, -500.0], expert=[110.0, -100.0])
    assert np.allclose(scores, [[0.0, 0.5], [0.5, 1.0]])
    episodes = np.stack([returns, returns], axis=-1)
    assert np.allclose(gen.normalise(episodes, [10.0, -500.0], [110.0, -100.0])[..., 1], scores)


def test_normalise_names_the_context_without_a_scale():
    with pytest.raises(DaliError, match=r"1 of 2 contexts.*context 1, expert -500, random -500"):
        gen.normalise(np.zeros((3, 2)), [0.0, -500.0], [1.0, -500.0])
    with pytest.raises(DaliError, match="not finite"):
        gen.normalise(np.zeros((3, 2)), [0.0, np.nan], [1.0, 1.0])
    with pytest.raises(DaliError, match="references"):
        gen.normalise(np.zeros((3, 2)), [0.0], [1.0])


def test_iqm_by_hand_and_against_scipy():
    assert gen.iqm(np.array([[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 100.0]])) == pytest.approx(3.5)
    for shape in ((3, 5), (2, 7), (1, 2), (4, 4)):
        scores = np.random.default_rng(0).normal(size=shape)
        assert gen.iqm(scores) == pytest.approx(trim_mean(scores, 0.25, axis=None))


def test_mean_median_and_gap_by_hand():
    scores = np.array([[0.0, 0.5, 2.0], [1.0, 0.5, 2.0]])
    assert gen.mean(scores) == pytest.approx(1.0)
    assert gen.median(scores) == pytest.approx(0.5)  # of the context means 0.5, 0.5, 2
    assert gen.optimality_gap(scores) == pytest.approx(2.0 / 6.0)  # short by 1, 0, 0.5, 0.5, 0, 0


def test_probability_of_improvement_counts_ties_half():
    x, y = np.array([[1.0, 0.0], [2.0, 0.0]]), np.array([[1.0, 5.0], [0.0, 5.0]])
    # context 0: pairs 1>1 tie, 1>0, 2>1, 2>0 give 3.5 / 4; context 1: 0 / 4
    assert gen.probability_of_improvement(x, y).value == pytest.approx(3.5 / 8)
    assert gen.probability_of_improvement(y, x).value == pytest.approx(1 - 3.5 / 8)
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 4, (5, 6)), rng.integers(0, 4, (3, 6))
    by_scipy = np.mean([mannwhitneyu(x[:, c], y[:, c]).statistic / 15 for c in range(6)])
    assert gen.probability_of_improvement(x, y).value == pytest.approx(by_scipy)


def test_probability_of_improvement_of_a_method_that_always_wins_is_certain():
    x, y = np.random.default_rng(0).uniform(1, 2, (3, 8)), np.random.default_rng(1).uniform(0, 1, (4, 8))
    for resample in gen.RESAMPLES:
        estimate = gen.probability_of_improvement(x, y, resample=resample, draws=50)
        assert (estimate.value, estimate.low, estimate.high) == (1.0, 1.0, 1.0)


def test_profile_is_the_share_strictly_above():
    profile = gen.performance_profile(np.array([[0.0, 0.5], [0.5, 1.0]]), [-0.1, 0.0, 0.5, 1.0])
    assert profile.share.tolist() == [1.0, 0.75, 0.25, 0.0]
    assert (profile.low <= profile.share).all()
    assert (profile.share <= profile.high).all()


def test_runs_are_drawn_within_their_context():
    # Contexts differ a lot, runs not at all: a bootstrap stratified by context has no spread.
    scores = np.tile(np.arange(8.0), (3, 1))
    estimate = gen.aggregate(scores, ("mean",))["mean"]
    assert estimate.low == estimate.high == estimate.value == 3.5
    over_contexts = gen.aggregate(scores, ("mean",), resample="contexts")["mean"]
    assert over_contexts.low < 3.0
    assert over_contexts.high > 4.0


def test_whole_agents_are_drawn_together():
    # Agents differ, contexts do not: drawn together, a mean of three agents is one of ten values.
    scores = np.tile([[0.0], [1.0], [5.0]], (1, 50))
    drawn = gen._bootstrap(scores, "agents", 500, 0, gen.mean)
    assert len(np.unique(drawn.round(9))) == 10
    together, apart = (gen.aggregate(scores, ("mean",), resample)["mean"] for resample in ("agents", "runs"))
    assert together.high - together.low > 3 * (apart.high - apart.low)


def test_interval_of_the_mean_has_the_width_theory_gives():
    scores = np.random.default_rng(2).normal(size=(10, 40))
    estimate = gen.aggregate(scores, ("mean",), draws=4000)["mean"]
    standard_error = np.sqrt(scores.var(0).mean() / 10 / 40)
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * standard_error, rel=0.06)


def test_intervals_depend_on_the_seed_alone():
    scores = np.random.default_rng(3).normal(size=(3, 9))
    assert gen.aggregate(scores, seed=5) == gen.aggregate(scores, seed=5)
    assert gen.aggregate(scores, seed=5) != gen.aggregate(scores, seed=6)


def test_batches_add_up_to_the_draws(monkeypatch):
    monkeypatch.setattr(gen, "CHUNK", 27 * 10)  # ten draws of 3 x 9 scores a batch
    assert gen._chunks(105, 27) == [10] * 10 + [5]
    assert len(gen._bootstrap(np.zeros((3, 9)), "runs", 105, 0, gen.mean)) == 105


def test_one_run_has_no_interval_over_runs():
    with pytest.raises(DaliError, match="at least 2 runs; found 1"):
        gen.aggregate(np.zeros((1, 5)))
    assert gen.aggregate(np.zeros((1, 5)), resample="contexts")["iqm"].resampled == "contexts"
    means = gen.context_means(np.array([[1.0, 2.0]]))
    assert means.low.tolist() == means.mean.tolist() == [1.0, 2.0]


def test_context_means_cover_their_mean():
    scores = np.random.default_rng(4).normal(size=(6, 3))
    means = gen.context_means(scores)
    assert np.allclose(means.mean, scores.mean(0))
    assert (means.low < means.mean).all()
    assert (means.mean < means.high).all()


@pytest.mark.parametrize("scores", [np.zeros(3), np.zeros((0, 3)), np.full((2, 2), np.nan)])
def test_malformed_scores_are_refused(scores):
    with pytest.raises(DaliError):
        gen.aggregate(scores)


def test_unknown_names_are_refused():
    with pytest.raises(DaliError, match="Unknown metric 'iqr'"):
        gen.aggregate(np.zeros((2, 2)), ("iqr",))
    with pytest.raises(DaliError, match="Unknown way to resample"):
        gen.aggregate(np.zeros((2, 2)), resample="tasks")


# Scores of 3 and of 4 runs in 8 contexts, and what rliable 1.2.0 says of them (20,000 and 5,000 draws, its seed 0).
X = np.round(0.5 + 0.5 * np.sin(1.7 * np.arange(3)[:, None] + 0.9 * np.arange(8)), 3)
Y = np.round(0.45 + 0.5 * np.cos(1.1 * np.arange(4)[:, None] + 0.6 * np.arange(8)), 3)
RLIABLE = {
    "iqm": ((0.525583, 0.318246, 0.713173), (0.375625, 0.204000, 0.566256)),
    "mean": ((0.515542, 0.383458, 0.647627), (0.404750, 0.291312, 0.522970)),
    "median": ((0.526667, 0.353833, 0.678200), (0.382875, 0.238744, 0.547128)),
    "optimality_gap": ((0.484458, 0.352373, 0.616542), (0.595250, 0.477030, 0.708688)),
}
BOOTSTRAP_NOISE = 0.006  # of an end of an interval, between two bootstraps of so many draws


@pytest.mark.parametrize("metric", RLIABLE)
def test_aggregates_agree_with_rliable(metric):
    for scores, expected in zip((X, Y), RLIABLE[metric], strict=True):
        found = gen.aggregate(scores, (metric,), draws=20_000)[metric]
        assert found.value == pytest.approx(expected[0], abs=1e-6)
        assert (found.low, found.high) == pytest.approx(expected[1:], abs=BOOTSTRAP_NOISE)


def test_comparisons_and_profiles_agree_with_rliable():
    found = gen.probability_of_improvement(X, Y, draws=20_000)
    assert (found.value, found.low, found.high) == pytest.approx((0.59375, 0.427083, 0.75), abs=BOOTSTRAP_NOISE)
    profile = gen.performance_profile(X, np.array([0.1, 0.5, 0.9]), draws=20_000)
    assert profile.share == pytest.approx([0.791667, 0.458333, 0.166667], abs=1e-6)
    assert profile.high == pytest.approx([0.916667, 0.625, 0.291667], abs=1e-6)


def test_what_an_interval_is_drawn_over():
    assert gen.resampling(X, Y) == "runs"
    assert gen.resampling(X, Y[:1]) == "contexts"
