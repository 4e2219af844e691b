"""Intervals and medians of the steering skill against numbers worked out by hand and simulated coverage."""

import numpy as np
import pytest

from dali.dreams.skill import skill_interval, skill_of_medians
from dali.dreams.steering import steering_skill
from dali.errors import DaliError


def test_skills_by_hand():
    moved, unmoved = np.array([0.1, 0.2, 0.9]), np.array([1.0, 2.0, 3.0])
    assert steering_skill(moved, unmoved) == pytest.approx(1 - 1.2 / 6)
    assert skill_of_medians(moved, unmoved) == pytest.approx(1 - 0.2 / 2)


def test_one_divergent_episode_moves_the_skill_of_means_alone():
    moved, unmoved = np.full(11, 0.1), np.ones(11)
    moved[0] = 100.0
    assert steering_skill(moved, unmoved) < -8
    assert skill_of_medians(moved, unmoved) == pytest.approx(0.9)


def test_errors_of_one_context_are_drawn_together():
    unmoved = np.random.default_rng(0).uniform(0.1, 10.0, 50)
    # Each context has the same skill: no draw of contexts can have another one, however their errors differ.
    assert skill_interval(0.25 * unmoved, unmoved, seed=0) == pytest.approx((0.75, 0.75))


def test_the_interval_holds_the_truth_in_most_samples_and_narrows_with_contexts():
    rng = np.random.default_rng(1)
    hits, widths = 0, {}
    for size in (25, 400):
        for _ in range(100):
            unmoved = rng.uniform(0.5, 1.5, size)
            low, high = skill_interval(unmoved * rng.uniform(0.0, 0.4, size), unmoved, seed=0, draws=400)
            hits += low <= 0.8 <= high
            widths[size] = high - low
    assert 175 <= hits <= 199
    assert widths[400] < 0.4 * widths[25]


def test_the_seed_decides_the_interval():
    moved, unmoved = np.random.default_rng(2).uniform(size=(2, 30))
    assert skill_interval(moved, unmoved, seed=3) == skill_interval(moved, unmoved, seed=3)
    assert skill_interval(moved, unmoved, seed=3) != skill_interval(moved, unmoved, seed=4)


@pytest.mark.parametrize(
    ("moved", "unmoved", "sentence"),
    [([1.0], [1.0], "2 contexts or more"), ([1.0, 2.0], [1.0], "2 contexts or more"), ([1, np.nan], [1, 1], "finite")],
)
def test_malformed_errors_give_a_sentence(moved, unmoved, sentence):
    with pytest.raises(DaliError, match=sentence):
        skill_interval(np.array(moved), np.array(unmoved), seed=0)
