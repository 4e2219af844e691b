"""Which physics is trained on and held out: samplers, regimes and the grids of the protocol."""

import numpy as np
import pytest

from dali.envs import catalogue
from dali.envs.contexts import (
    REGIMES,
    check_held_out,
    evaluation_grid,
    held_out_contexts,
    regime_of,
    sample_contexts,
)
from dali.envs.units import train_range
from dali.errors import DaliError

NAMES = catalogue.names()
PENDULUM = catalogue.spec("pendulum")


@pytest.mark.parametrize("name", NAMES)
def test_training_contexts_fill_the_train_box(name):
    spec = catalogue.spec(name)
    contexts = sample_contexts(spec, 500, seed=0)
    low, high = np.array([f.train for f in spec.features]).T
    assert contexts.shape == (500, 2)
    gaps = np.array([f.gap or (0.0, 0.0) for f in spec.features])
    assert not ((contexts > gaps[:, 0]) & (contexts < gaps[:, 1])).any()
    width = gaps[:, 1] - gaps[:, 0]
    pushed_together = contexts - np.where((contexts >= gaps[:, 1]) & (width > 0), width, 0.0)
    unit = (pushed_together - low) / (high - low - width)
    assert unit.min() >= 0
    assert unit.max() <= 1
    np.testing.assert_allclose(unit.mean(axis=0), 0.5, atol=0.05)
    np.testing.assert_allclose(unit.std(axis=0), 12**-0.5, atol=0.03)
    np.testing.assert_array_equal(contexts, sample_contexts(spec, 500, seed=0))
    assert not np.isclose(contexts, sample_contexts(spec, 500, seed=1)).any(axis=0).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("regime", REGIMES)
def test_held_out_contexts_are_of_their_regime_and_never_trained_on(name, regime):
    spec = catalogue.spec(name)
    contexts = held_out_contexts(spec, 200, seed=0, regime=regime)
    assert contexts.shape == (200, 2)
    assert regime_of(spec, contexts) == [regime] * 200
    inside = np.array([[f.inside(v) for f, v in zip(spec.features, row, strict=True)] for row in contexts]).sum(axis=1)
    expected = {"interpolation": {2}, "extrapolation": {0}, "mixed": {1}}[regime]
    assert set(inside) == expected
    limits = np.array([f.limits for f in spec.features])
    assert (contexts >= limits[:, 0]).all()
    assert (contexts <= limits[:, 1]).all()
    check_held_out(spec, contexts, sample_contexts(spec, 200, seed=0))
    np.testing.assert_array_equal(contexts, held_out_contexts(spec, 200, seed=0, regime=regime))


def test_extrapolation_covers_all_four_corners_by_their_area():
    contexts = held_out_contexts(PENDULUM, 2000, seed=0, regime="extrapolation")
    below = contexts < [5.0, 0.5]
    # g: 1 to 5 below and 15 to 20 above; l: 0.1 to 0.5 below and 1.5 to 2 above.
    np.testing.assert_allclose(below.mean(axis=0), [4 / 9, 0.4 / 0.9], atol=0.04)
    assert {tuple(row) for row in below} == {(a, b) for a in (True, False) for b in (True, False)}


def test_regimes_by_hand():
    contexts = np.array([
        [10.0, 1.0],  # the default
        [5.0, 1.5],  # bounds belong to the range
        [17.0, 1.0],  # l is at its default: not changed
        [17.0, 1.2],
        [12.0, 0.3],
        [3.0, 1.8],
    ])  # fmt: skip
    assert regime_of(PENDULUM, contexts) == [
        "interpolation", "interpolation", "extrapolation", "mixed", "mixed", "extrapolation"
    ]  # fmt: skip


def test_a_gap_in_a_train_range_lies_outside_of_it():
    spec = catalogue.spec("pendulum_inverted_motor")
    feature = spec.feature("motor_strength")
    assert feature.train_intervals == ((-1.5, -0.5), (0.5, 1.5))
    inside = {-2.0: False, -1.5: True, -0.5: True, -0.49: False, 0.0: False, 0.5: True, 1.5: True, 1.6: False}
    assert {value: feature.inside(value) for value in inside} == inside
    distances = {-2.0: 0.5, -1.5: 0.0, -0.4: 0.1, 0.0: 0.5, 0.2: 0.3, 1.0: 0.0, 1.75: 0.25}
    assert {value: feature.outside_by(value) for value in distances} == pytest.approx(distances)
    assert train_range(feature) == "-1.5 to -0.5 or 0.5 to 1.5×"
    rows = np.array([[value, 1.0] for value in inside])
    assert [r == "interpolation" for r in regime_of(spec, rows)] == list(inside.values())
    contexts = sample_contexts(spec, 400, seed=0)[:, 0]
    assert (contexts < 0).mean() == pytest.approx(0.5, abs=0.06)  # from both signs alike
    held_out = held_out_contexts(spec, 400, 0, "extrapolation")[:, 0]
    assert (np.abs(held_out) < 0.5).mean() == pytest.approx(0.5, abs=0.08)  # 1 of 2 wide
    np.testing.assert_allclose(spec.scale_context([[-1.5, 0.5], [1.5, 1.5]]), [[-1, -1], [1, 1]])


@pytest.mark.parametrize("name", NAMES)
def test_paper_grid_is_the_protocols(name):
    spec = catalogue.spec(name)
    a, b = spec.features
    contexts, regimes, grids = evaluation_grid(spec, "paper")
    assert len(contexts) == len(regimes) == len(grids)
    assert len(np.unique(contexts, axis=0)) == len(contexts)
    assert (np.isclose(contexts, spec.default_context).all(axis=1)).sum() == 1

    def size(values, default):
        return sum(v != default for v in values)

    def double(f):
        return (*f.interpolate_double, *f.extrapolate_double)

    assert grids.count(a.name) == len(a.interpolate_single) + len(a.extrapolate_single)
    assert grids.count(b.name) == len(b.interpolate_single) + len(b.extrapolate_single) - 1  # the default is a's
    assert grids.count(f"{a.name} x {b.name}") == size(double(a), a.default) * size(double(b), b.default)
    in_product = np.array([g == f"{a.name} x {b.name}" for g in grids])
    assert not np.isclose(contexts[in_product], spec.default_context).any()
    assert set(regimes) == set(REGIMES)
    check_held_out(spec, contexts, sample_contexts(spec, 100, seed=0))


def test_ball_in_cup_grid_counts():
    _, regimes, _ = evaluation_grid(catalogue.spec("ball_in_cup"), "paper")
    # singles: 5 + 4 inside, 10 + 9 outside; product of (2 + 6) and (2 + 5): 4 inside, 30 outside, 22 mixed
    assert [regimes.count(r) for r in REGIMES] == [13, 49, 22]


@pytest.mark.parametrize("name", NAMES)
def test_quick_grid_is_a_small_part_of_the_paper_grid(name):
    spec = catalogue.spec(name)
    quick, regimes, grids = evaluation_grid(spec, "quick")
    paper = {tuple(row) for row in evaluation_grid(spec, "paper")[0]}
    assert len(quick) == len(regimes) == len(grids) <= 12
    assert {tuple(row) for row in quick} <= paper
    assert set(regimes) == set(REGIMES)


def test_a_training_context_in_the_evaluation_is_caught():
    training = sample_contexts(PENDULUM, 10, seed=0)
    evaluation = np.concatenate([held_out_contexts(PENDULUM, 5, seed=0), training[7:8]])
    with pytest.raises(DaliError, match="is one of the training contexts"):
        check_held_out(PENDULUM, evaluation, training)


def test_unknown_names_are_refused():
    with pytest.raises(DaliError, match="Unknown regime 'outside'"):
        held_out_contexts(PENDULUM, 1, 0, "outside")
    with pytest.raises(DaliError, match="Unknown evaluation grid 'huge'"):
        evaluation_grid(PENDULUM, "huge")


def test_training_length_of_each_preset_entry():
    assert {n: catalogue.spec(n).train_steps for n in NAMES} == {
        "pendulum": 80_000,
        "pendulum_inverted_motor": 80_000,
        "cartpole": 80_000,
        "cartpole_inverted_motor": 80_000,
        "cartpole_friction": 100_000,
        "ball_in_cup": 100_000,
        "ball_in_cup_drag": 100_000,
        "walker": 500_000,
        "walker_friction": 500_000,
        "quadruped": 600_000,
    }
