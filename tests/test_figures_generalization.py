"""Figures and scores of generalisation: every value in its cell, the box around what was trained inside."""

import numpy as np
import pytest
from plotly.colors import sample_colorscale

from dali.envs import catalogue
from dali.envs.contexts import evaluation_grid
from dali.figures import generalization as figures
from dali.figures.style import continuous
from dali.methods import METHODS
from dali.returns.comparison import ALL, interquartile_means
from dali.returns.estimators import ContextMeans, Estimate
from dali.returns.play import Evaluation, plan_episodes
from dali.returns.scoring import RETURN, compare, score, single_grid

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


def test_digits_are_short_and_stand_out_from_their_cells():
    assert [figures.cell_text(v, 2) for v in (0.984, -0.05, 1.04, -0.001, 0.0)] == [".98", "-.05", "1.04", ".00", ".00"]
    assert figures.cell_text(-187.3, 0) == "-187"
    values = np.linspace(0.0, 1.0, len(CONTEXTS))
    text = figures.heat_map(SPEC, CONTEXTS, values, "return", (0.0, 1.0)).data[1]
    assert (text.textfont.color[0], text.textfont.color[-1]) == ("#ffffff", "#000000")  # Cividis: navy to yellow
    assert figures.legible_on(np.array([-1.0, 0.0, 1.0]), (-1.0, 1.0), "RdBu") == ["#ffffff", "#000000", "#ffffff"]


def test_maps_share_one_colour_bar():
    heat = figures.heat_map(SPEC, CONTEXTS, np.arange(len(CONTEXTS), dtype=float), "return", (0.0, 1.0)).data[0]
    assert heat.showscale is False
    bar = figures.colour_bar((-2.0, 3.0))
    assert bar.layout.xaxis.title.text is None  # the page's, which is not cut where it is narrow
    assert (bar.data[0].x[0], bar.data[0].x[-1]) == (-2.0, 3.0)


@pytest.mark.parametrize(("dark", "page"), [(True, 0.0074), (False, 1.0)])
def test_low_values_can_be_told_from_the_page(dark, page):
    """Contrast of WCAG 2 of the scale's lowest colour with the page's background, given by its luminance."""
    (shade,) = sample_colorscale(continuous(dark), [0.0], colortype="tuple")
    linear = np.where(np.array(shade) <= 0.04045, np.array(shade) / 12.92, ((np.array(shade) + 0.055) / 1.055) ** 2.4)
    light = float(linear @ [0.2126, 0.7152, 0.0722])
    assert (max(light, page) + 0.05) / (min(light, page) + 0.05) > 3


def test_the_box_holds_exactly_the_contexts_inside():
    figure = figures.heat_map(SPEC, CONTEXTS, np.zeros(len(CONTEXTS)), "return", (0.0, 1.0))
    box, points = figure.layout.shapes[0], figure.data[1]
    inside = [box.x0 < x < box.x1 and box.y0 < y < box.y1 for x, y in zip(points.x, points.y, strict=True)]
    assert inside == [all(f.inside(v) for f, v in zip(SPEC.features, c, strict=True)) for c in CONTEXTS]


def test_a_gap_in_a_train_range_lies_outside_the_boxes():
    spec = catalogue.spec("pendulum_inverted_motor")
    contexts, _, _ = evaluation_grid(spec, "paper")
    figure = figures.heat_map(spec, contexts, np.zeros(len(contexts)), "score", (0.0, 1.0))
    points = figure.data[1]
    inside = [
        any(box.x0 < x < box.x1 and box.y0 < y < box.y1 for box in figure.layout.shapes)
        for x, y in zip(points.x, points.y, strict=True)
    ]
    assert inside == [all(f.inside(v) for f, v in zip(spec.features, c, strict=True)) for c in contexts]
    drawn = figures.curves(spec.features[0], np.array([-2.0, 2.0]), {}, np.zeros(2), "score").layout
    assert [(shape.x0, shape.x1) for shape in drawn.shapes if shape.type == "rect"] == [(-1.5, -0.5), (0.5, 1.5)]


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
    means = interquartile_means(score(SPEC, [made_up(expert), made_up(random)]), draws=20)
    assert set(means) == {*REGIMES, ALL}
    assert all(mean.value == pytest.approx(0.5) for mean in means.values())


def test_single_grids():
    for i, feature in enumerate(SPEC.features):
        rows = single_grid(SPEC, CONTEXTS, i)
        assert CONTEXTS[rows, i].tolist() == sorted({*feature.interpolate_single, *feature.extrapolate_single})
        assert (CONTEXTS[rows, 1 - i] == SPEC.default_context[1 - i]).all()
