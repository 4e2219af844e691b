"""The code map on a known curved manifold of codes."""

import numpy as np
import pytest

from dali.codes import code_map, probes
from dali.errors import DaliError

LOW, HIGH = np.array([5.0, 0.5]), np.array([15.0, 1.5])


def encode(contexts):
    """A curved two-dimensional surface in five dimensions; the last never moves."""
    u = 2.0 * (np.asarray(contexts) - LOW) / (HIGH - LOW) - 1.0
    g, length = u[..., 0], u[..., 1]
    return np.stack([g, length, np.tanh(2 * g), g * length, np.zeros_like(g)], axis=-1)


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    contexts = rng.uniform(LOW, HIGH, (80, 2))
    rows, groups = np.repeat(contexts, 10, axis=0), np.repeat(np.arange(80), 10)
    codes = encode(rows)
    codes[:, :4] += 0.05 * rng.normal(size=(800, 4))
    return code_map.fit_code_map(codes, rows, groups, LOW, HIGH), probes.fit_probe(codes, rows, groups)


def test_the_map_follows_the_manifold_at_contexts_it_never_saw(fitted):
    contexts = np.random.default_rng(1).uniform(LOW + 0.1, HIGH - 0.1, (50, 2))
    assert np.abs(fitted[0].predict(contexts) - encode(contexts)).max() < 0.1
    assert (fitted[0].r2[:4] > 0.98).all()
    assert fitted[0].r2[4] == 0.0


def test_beyond_the_range_the_linear_part_carries_on(fitted):
    far = fitted[0].predict([18.0, 1.0])[0]
    assert far > fitted[0].predict([15.0, 1.0])[0] + 0.2  # a Gaussian kernel alone would turn back to the mean


def test_no_change_moves_nothing_and_a_way_and_back_cancels(fitted):
    here, there = np.array([9.8, 1.0]), np.array([12.0, 0.7])
    assert (fitted[0].shift(here, here) == 0.0).all()
    assert np.array_equal(fitted[0].shift(here, there), -fitted[0].shift(there, here))


def test_a_change_of_one_factor_moves_its_codes_alone(fitted):
    std = fitted[0].code_std
    sigmas = fitted[0].shift([8.0, 1.0], [12.0, 1.0]) / np.where(std > 0, std, 1.0)  # one dimension is constant
    share = sigmas**2 / (sigmas**2).sum()
    assert share[[0, 2]].sum() > 0.98
    assert sigmas[0] == pytest.approx(0.8 / std[0], rel=0.1)


def test_the_round_trip_error_is_the_difference_of_map_and_probe(fitted):
    mapped, probe = fitted
    context = np.array([11.0, 1.2])
    error = code_map.round_trip_error(mapped, probe, context)
    assert np.allclose(error, probe.predict(mapped.predict(context)) - context)
    assert (np.abs(error) < 0.1 * (HIGH - LOW)).all()


def test_leave_one_out_in_closed_form_equals_leaving_one_out(monkeypatch):
    monkeypatch.setattr(code_map, "GAMMAS", (0.3,))
    monkeypatch.setattr(code_map, "ALPHAS", np.array([0.1]))
    contexts = np.random.default_rng(2).uniform(LOW, HIGH, (12, 2))
    codes = encode(contexts)[:, :4]
    fitted = code_map.fit_code_map(codes, contexts, np.arange(12), LOW, HIGH)
    scaled = 2.0 * (contexts - LOW) / (HIGH - LOW) - 1.0
    kernel = 1.0 + scaled @ scaled.T + np.exp(-0.3 * ((scaled[:, None] - scaled) ** 2).sum(-1))
    target, left_out = codes - codes.mean(0), []
    for i in range(12):
        keep = np.arange(12) != i
        weights = np.linalg.solve(kernel[np.ix_(keep, keep)] + 0.1 * np.eye(11), target[keep])
        left_out.append(target[i] - kernel[i, keep] @ weights)
    assert np.allclose(fitted.r2, 1.0 - np.square(left_out).sum(0) / (target**2).sum(0))


def test_leading_shapes_are_kept(fitted):
    mapped = fitted[0]
    contexts = np.random.default_rng(3).uniform(LOW, HIGH, (2, 3, 2))
    assert mapped.predict(contexts).shape == (2, 3, 5)
    assert np.allclose(mapped.predict(contexts)[1, 2], mapped.predict(contexts[1, 2]))


def test_an_empty_range_is_refused():
    contexts = np.random.default_rng(2).uniform(LOW, HIGH, (12, 2))
    with pytest.raises(DaliError, match="low < high"):
        code_map.fit_code_map(encode(contexts), contexts, np.arange(12), LOW, LOW)
