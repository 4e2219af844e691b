"""The support of the data's codes."""

import numpy as np
import pytest
from scipy.stats import chi

from dali.codes.support import fit_support
from dali.errors import DaliError


@pytest.fixture(scope="module")
def codes():
    return np.random.default_rng(0).normal(size=(20_000, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, 0.0]


def test_distances_of_a_gaussian_are_those_of_theory(codes):
    support = fit_support(codes)
    assert support.threshold == pytest.approx(chi(3).ppf(0.99), rel=0.02)
    assert support.distance([2.0, 5.0, 0.0]) == pytest.approx(2.0, rel=0.02)
    assert support.distance([0.0, 25.0, 0.0]) == pytest.approx(2.0, rel=0.02)
    assert support.quantile([1.0, 5.0, 0.0]) == pytest.approx(chi(3).cdf(1.0), abs=0.01)


def test_one_in_a_hundred_of_the_data_is_off(codes):
    support = fit_support(codes)
    assert (support.distance(codes) > support.threshold).mean() == pytest.approx(0.01, abs=1e-3)


def test_verdicts_say_inside_and_how_far_outside(codes):
    support = fit_support(codes)
    inside, outside = support.verdict([0.0, 5.0, 0.0]), support.verdict([0.0, 5.0, 1.0])
    assert inside.inside
    assert inside.text.startswith("Within")
    assert not outside.inside
    assert outside.quantile == 1.0
    assert outside.ratio == pytest.approx(10.0 / support.threshold, rel=0.03)
    assert f"{outside.ratio:.1f} times" in outside.text


def test_a_dead_dimension_is_no_excuse(codes):
    dead = np.column_stack([codes[:, :2], np.full(len(codes), 3.0)])
    support = fit_support(dead)
    assert np.isfinite(support.distance(dead)).all()
    assert support.verdict([0.0, 5.0, 3.0]).inside
    assert not support.verdict([0.0, 5.0, 4.0]).inside


def test_a_collapsed_encoder_is_named():
    with pytest.raises(DaliError, match="All 10 codes are the same"):
        fit_support(np.ones((10, 3)))


def test_codes_without_a_support_are_refused(codes):
    with pytest.raises(DaliError, match="at least Z"):
        fit_support(np.ones((3, 8)))
    with pytest.raises(DaliError, match="not finite"):
        fit_support(np.full((30, 3), np.nan))
    with pytest.raises(DaliError, match="between 0 and 1"):
        fit_support(codes, level=1.0)
