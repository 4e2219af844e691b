"""The plausibility test: chance on identical distributions, power against shifts, exact p-values."""

import numpy as np
import pytest

from dali.dreams import plausibility as plaus
from dali.errors import DaliError


def dreams(episodes: int, seed: int, features: int = 12):
    """Two noisy dreams of each of some episodes that differ far more between each other."""
    rng = np.random.default_rng(seed)
    start = rng.normal(size=(episodes, features))
    return (start + 0.3 * rng.normal(size=start.shape) for _ in range(2))


def test_the_same_distribution_is_chance():
    results = []
    for seed in range(20):
        a, b = dreams(40, seed)
        results.append(plaus.plausibility(a, b, np.arange(40), np.arange(40), permutations=99, draws=100, seed=seed))
    assert np.mean([r.auc for r in results]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([r.p_value <= 0.05 for r in results]) <= 0.2
    assert np.mean([r.p_value for r in results]) == pytest.approx(0.5, abs=0.2)
    assert np.mean([r.low <= 0.5 <= r.high for r in results]) >= 0.8


@pytest.mark.parametrize("change", ["shift", "random sign", "scale"])
def test_changes_are_found(change):
    a, b = dreams(80, 0)
    sign = np.random.default_rng(1).choice([-1.0, 1.0], size=(80, 1))
    b = {"shift": b + 0.8, "random sign": b + 3.0 * sign, "scale": 2.0 * b}[change]
    result = plaus.plausibility(a, b, np.arange(80), np.arange(80), permutations=99, draws=200)
    assert result.auc > 0.8
    assert result.low > 0.7
    assert result.p_value == pytest.approx(1 / 100)  # none of 99 permutations does as well


def test_more_change_is_told_apart_better():
    a, b = dreams(80, 2)
    shift = np.zeros(12)
    shift[3] = 1.0
    aucs = [plaus.plausibility(a, b + k * shift, *[np.arange(80)] * 2, permutations=1).auc for k in (0.0, 1.0, 3.0)]
    assert aucs[0] < aucs[1] < aucs[2]


def test_an_episode_is_not_recognised_by_its_own_dreams():
    # Every baseline dream of an episode is the same, and so is every perturbed one, at random: rows in different folds
    # would give each other away, episodes do not.
    rng = np.random.default_rng(3)
    a, b = (np.repeat(rng.normal(size=(30, 6)), 8, axis=0) for _ in range(2))
    episodes = np.repeat(np.arange(30), 8)
    assert plaus.plausibility(a, b, episodes, episodes, permutations=20, draws=20).auc < 0.65


def test_auc_by_hand():
    scores = np.array([1.0, 2.0, 2.0, 3.0])
    positive = np.array([False, True, False, True])
    assert plaus.auc(scores, positive) == pytest.approx((1 + 0.5 + 2) / 4)
    assert plaus.auc(-scores, positive) == pytest.approx(0.5 / 4)
    repeated = plaus.auc(np.array([1, 1, 2, 2, 3.0]), np.array([False, False, True, False, True]))
    assert plaus.auc(scores, positive, np.array([2, 1, 1, 1])) == pytest.approx(repeated)


def test_labels_are_permuted_within_episodes():
    index = np.array([0, 1, 2, 2, 0, 1])
    labels = np.array([-1.0, -1.0, -1.0, 1.0, 1.0, 1.0])
    rng = np.random.default_rng(0)
    drawn = [plaus._permute(labels, index, rng) for _ in range(50)]
    assert all((np.bincount(index, d) == 0).all() for d in drawn)
    assert len({tuple(d) for d in drawn}) == 8
    apart = plaus._permute(np.array([-1.0, 1.0] * 10), np.arange(20), np.random.default_rng(1))
    assert apart.sum() == 0.0
    assert (apart != np.array([-1.0, 1.0] * 10)).any()


def test_films_are_flattened_and_constants_ignored():
    a, b = dreams(20, 4)
    film = plaus.plausibility(a.reshape(20, 4, 3), b.reshape(20, 4, 3), np.arange(20), np.arange(20), permutations=5)
    assert film == plaus.plausibility(a, b, np.arange(20), np.arange(20), permutations=5)
    same = plaus.plausibility(np.ones((20, 3)), np.ones((20, 3)), np.arange(20), np.arange(20), permutations=5)
    assert (same.auc, same.p_value) == (0.5, 1.0)


def test_bad_input_is_refused():
    a, b = dreams(20, 5)
    with pytest.raises(DaliError, match="Found dreams of 9 episodes"):
        plaus.plausibility(a[:9], b[:9], np.arange(9), np.arange(9))
    with pytest.raises(DaliError, match="same features"):
        plaus.plausibility(a, b[:, 1:], np.arange(20), np.arange(20))
    with pytest.raises(DaliError, match="not finite"):
        plaus.plausibility(a * np.nan, b, np.arange(20), np.arange(20))
