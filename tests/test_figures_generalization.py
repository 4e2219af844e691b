"""Figures and scores of generalisation: every value in its cell, the box around what was trained inside."""

import numpy as np
import pytest

from dali.envs import catalogue
from dali.envs.contexts import evaluation_grid
from dali.figures import generalization as figures
from dali.methods import METHODS
from dali.returns.estimators import ContextMeans, Estimate
from dali.returns.play import Evaluation, plan_episodes
from dali.returns.scoring import RETURN, by_regime, compare, score, single_grid

SPEC = catalogue.spec("pendulum")
CONTEXTS, REGIMES, GRIDS = evaluation_grid(SPEC)


def made_up(returns: np.ndarray, rows: np.ndarray | slice = slice(None)) -> Evaluation:
    """One episode in each of some contexts of the grid, the random policy at -1000."""
    contexts = CONTEXTS[rows]
    table = plan_episodes(SPEC, contexts, np.array(REGIMES)[rows], np.array(GRIDS)[rows], 1, 0)
    results = {"return": returns.ravel(), "steps": 200, "random_return": -1000.0}
    return Evaluation(("g", "l"), table.assign(**results), 0)


def test_each_value_stands_in_its_cell():
    values = np.arange(len(CONTEXTS), dtype=float)
    figure = figures.heat_map(SPEC, CONTEXTS, values, "return", (0.0, 1.0))
    heat, points = figure.data
    xs, ys = (list(map(float, axis.ticktext)) for axis in (figure.layout.xaxis, figure.layout.yaxis))
    for i, (g, length) in enumerate(CONTEXTS):
        assert heat.z[ys.index(length)][xs.index(g)] == values[i]
        assert (points.x[i], points.y[i]) == (xs.index(g), ys.index(length))
    assert np.isfinite(heat.z).sum() == len(CONTEXTS)


def test_the_box_holds_exactly_the_contexts_inside():
    figure = figures.heat_map(SPEC, CONTEXTS, np.zeros(len(CONTEXTS)), "return", (0.0, 1.0))
    box, points = figure.layout.shapes[0], figure.data[1]
    inside = [box.x0 < x < box.x1 and box.y0 < y < box.y1 for x, y in zip(points.x, points.y, strict=True)]
    assert inside == [all(f.inside(v) for f, v in zip(SPEC.features, c, strict=True)) for c in CONTEXTS]


def test_every_method_has_a_colour_and_a_mark_of_its_own():
    for table in (figures.METHOD_COLOURS, figures.METHOD_MARKS):
        assert set(table) == set(METHODS)
        assert len(set(table.values())) == len(METHODS)


def test_curves_have_units_and_shade_the_train_range():
    means = ContextMeans(np.array([1.0, 2.0]), np.array([0.5, 1.5]), np.array([1.5, 2.5]))
    figure = figures.curves(SPEC.features[0], np.array([1.0, 20.0]), {"dali_d": means}, np.zeros(2), "return")
    assert figure.layout.xaxis.title.text == "gravity (m/s²)"
    assert (figure.layout.shapes[0].x0, figure.layout.shapes[0].x1) == SPEC.features[0].train
    band = next(trace for trace in figure.data if trace.fill == "toself")
    assert list(band.y) == [1.5, 2.5, 1.5, 0.5]


def test_error_bars_are_distances_from_the_value():
    estimate = Estimate(0.5, 0.4, 0.8, "runs")
    bar = figures.regime_bars({"dali_d": {"mixed": estimate}}, {"mixed": 18}, "return").data[0]
    assert bar.error_y.array[0] == pytest.approx(0.3)
    assert bar.error_y.arrayminus[0] == pytest.approx(0.1)


def test_the_papers_bars_leave_out_what_is_not_known():
    figure = figures.paper_bars({"mixed": {"dali_s": None, "crssm_d": 0.6}, "interpolation": {"dali_s": 0.9}}, METHODS)
    assert {trace.name: list(trace.x) for trace in figure.data} == {"cRSSM-D": ["mixed"], "DALI-S": ["interpolation"]}


def test_methods_are_compared_on_the_contexts_they_share():
    rng = np.random.default_rng(0)
    whole, part = rng.uniform(-900, -100, len(CONTEXTS)), rng.permutation(len(CONTEXTS))[:20]
    scores = compare(SPEC, {"a": [made_up(whole)], "b": [made_up(whole[part] + 5.0, part)]}, normalised=False)
    assert scores["a"].measure == RETURN
    assert (scores["a"].contexts == CONTEXTS[np.sort(part)]).all()  # in the grid's order, whatever was played first
    assert np.allclose(scores["b"].runs - scores["a"].runs, 5.0)
    assert (scores["b"].regimes == np.array(REGIMES)[np.sort(part)]).all()


def test_the_reference_scores_one_and_the_random_policy_of_it_zero():
    from dali.returns.reference import load_references

    random, expert = load_references("pendulum").at(CONTEXTS)
    assert np.allclose(score(SPEC, [made_up(expert)]).runs, 1.0)
    assert np.allclose(score(SPEC, [made_up(random)]).runs, 0.0)
    rows = by_regime(score(SPEC, [made_up(expert), made_up(random)]), draws=20)
    assert sum(row.contexts for row in rows) == len(CONTEXTS)
    assert all(row.agent.value == pytest.approx(0.5) for row in rows)


def test_single_grids():
    for i, feature in enumerate(SPEC.features):
        rows = single_grid(SPEC, CONTEXTS, i)
        assert CONTEXTS[rows, i].tolist() == sorted({*feature.interpolate_single, *feature.extrapolate_single})
        assert (CONTEXTS[rows, 1 - i] == SPEC.default_context[1 - i]).all()
