"""Differences of methods: by hand, by simulated coverage, and in words."""

import numpy as np
import pytest

from dali.errors import DaliError
from dali.returns.differences import Difference, paired_difference, unpaired_difference, verdict, widening

ONE = np.zeros(8, int)  # a single stratum


def test_paired_differences_by_hand():
    x = {1: np.array([0.0, 2.0, 4.0, 9.0]), 2: np.full(4, 1.0), 7: np.full(4, 5.0)}
    y = {2: np.full(4, 3.0), 1: np.zeros(4), 9: np.zeros(4)}
    found = paired_difference(x, y, np.zeros(4), draws=50)
    assert found.by_seed == ((1, 3.0), (2, -2.0))  # the middle half of 0 2 4 9 is 2 and 4; seeds 7 and 9 have no pair
    # Of x the middle half of 0 1 1 1 1 2 4 9 is 1 1 1 2; of y, of 0 0 0 0 3 3 3 3: 0 0 3 3.
    assert found.value == pytest.approx(5 / 4 - 6 / 4)
    assert paired_difference({1: ONE}, {2: ONE}, ONE) is None


def test_pairing_takes_out_what_seeds_share():
    rng = np.random.default_rng(0)
    shared = rng.normal(scale=1.0, size=(5, 1))
    x, y = shared + 0.3 + rng.normal(scale=0.01, size=(5, 8)), shared + rng.normal(scale=0.01, size=(5, 8))
    paired = paired_difference(dict(enumerate(x)), dict(enumerate(y)), ONE, draws=500)
    unpaired = unpaired_difference(x, y, ONE, draws=500)
    assert paired.value == unpaired.value
    assert verdict(paired).startswith("better by 0.3")
    assert verdict(unpaired).startswith("5 seeds can't tell (+0.3")


@pytest.mark.parametrize("seeds", [3, 5])
def test_intervals_hold_the_truth_even_with_few_seeds(seeds):
    rng, held = np.random.default_rng(seeds), 0
    for draw in range(150):
        physics, gain = rng.normal(0.5, 0.2, 30), rng.normal(0.1, 0.1, 30)
        x = physics + gain + rng.normal(scale=0.1, size=(seeds, 1)) + rng.normal(scale=0.05, size=(seeds, 30))
        y = physics + rng.normal(scale=0.1, size=(seeds, 1)) + rng.normal(scale=0.05, size=(seeds, 30))
        found = paired_difference(dict(enumerate(x)), dict(enumerate(y)), np.zeros(30), 200, draw)
        held += found.low <= 0.1 <= found.high
    assert 0.91 * 150 <= held <= 0.995 * 150


def test_contexts_are_drawn_within_their_regime():
    strata = np.array(["in"] * 4 + ["out"] * 4)
    gain = np.where(strata == "in", 0.0, 1.0)
    x, y = np.tile(gain, (1, 1)), np.zeros((1, 8))
    within = unpaired_difference(x, y, strata)
    assert within.low == within.high == within.value  # each draw holds four of either
    assert unpaired_difference(x, y, ONE).low < within.low


def test_the_seed_decides_the_interval():
    x, y = np.random.default_rng(0).normal(size=(2, 3, 8))
    assert unpaired_difference(x, y, ONE, 100, 1) == unpaired_difference(x, y, ONE, 100, 1)
    assert unpaired_difference(x, y, ONE, 100, 1) != unpaired_difference(x, y, ONE, 100, 2)


def test_widening_is_students():
    assert widening(1) == 0.0
    assert widening(3) == pytest.approx(np.sqrt(1.5) * 4.3027 / 1.95996, rel=1e-4)
    assert widening(1000) == pytest.approx(1.0, abs=0.003)


@pytest.mark.parametrize(
    ("value", "low", "high", "seeds", "text"),
    [
        (0.21, 0.12, 0.30, (3, 3), "better by 0.21 [0.12, 0.30]"),
        (-0.21, -0.30, -0.12, (3, 5), "worse by 0.21 [0.12, 0.30]"),
        (0.02, -0.05, 0.09, (3, 3), "3 seeds can't tell (+0.02 [-0.05, +0.09])"),
        (0.21, 0.12, 0.30, (1, 3), "1 seed can't tell (+0.21 [+0.12, +0.30])"),
        (-0.001, -0.30, 0.001, (5, 5), "5 seeds can't tell (+0.00 [-0.30, +0.00])"),
        (0.14, -0.003, 0.27, (5, 5), "5 seeds can't tell (+0.14 [-0.00, +0.27])"),
    ],
)
def test_intervals_in_words(value, low, high, seeds, text):
    assert verdict(Difference(value, low, high, seeds, True)) == text


def test_scores_of_other_contexts_are_refused():
    with pytest.raises(DaliError, match=r"found \(2, 8\), \(2, 7\) and \(8,\)"):
        unpaired_difference(np.zeros((2, 8)), np.zeros((2, 7)), ONE)
