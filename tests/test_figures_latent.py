"""Figures of the latent space: every point keeps its physics, its mark and its place."""

from dataclasses import replace

import numpy as np
import pytest

from dali.codes.points import REGIME_ORDER, colour_names, colouring, record_points
from dali.envs import catalogue
from dali.episodes import Episodes
from dali.figures.latent import MapView, context_histogram, map_figure, pair_grid
from dali.figures.probes import association, effects, estimate_over_time, probe_bars

SPEC = catalogue.spec("pendulum")


@pytest.fixture
def episodes() -> Episodes:
    rng = np.random.default_rng(0)
    return Episodes(
        obs=np.zeros((4, 6, 3), np.float32),
        action=np.zeros((4, 5, 1), np.float32),
        reward=np.ones((4, 5), np.float32),
        anchor=np.zeros((4, 1, 2)),
        code=rng.normal(size=(4, 6, 8)).astype(np.float32),
        length=np.array([5, 5, 2, 5]),
        context=np.array([[5.0, 0.5], [10.0, 1.0], [12.0, 1.2], [20.0, 2.0]]),
        group=np.arange(4),
        regime=np.array(["train", "interpolation", "interpolation", "extrapolation"]),
        explored=np.array([False, True, False, True]),
    )


def draw(episodes, name, selected=None, dimensions=2, path=None):
    points = record_points(episodes)
    colour = colouring(name, points, episodes, SPEC)
    axes = ("first", "second", "third")[:dimensions]
    coordinates = points.code[:, :dimensions]
    return points, map_figure(coordinates, points, episodes, SPEC, colour, axes, MapView(selected, path))


def test_hovering_tells_episode_step_and_physics_in_units(episodes):
    points, figure = draw(episodes, "g")
    (trace,) = figure.data
    row = int(np.flatnonzero((points.episode == 2) & (points.step == 1))[0])
    assert trace.customdata[row].tolist() == pytest.approx([2, 1, 12.0, 1.2, 5.0])
    assert trace.text[row] == "interpolation · policy"
    assert "gravity g = %{customdata[2]:.3g} m/s²" in trace.hovertemplate
    assert "return %{customdata[4]" in trace.hovertemplate


def test_a_number_colours_by_cividis_with_its_unit(episodes):
    points, figure = draw(episodes, "g")
    (trace,) = figure.data
    assert trace.marker.color.tolist() == episodes.context[points.episode, 0].tolist()
    assert trace.marker.colorbar.title.text == "gravity (m/s²)"
    assert trace.marker.colorscale[0][1] == "#00224e"


@pytest.mark.parametrize("dimensions", [2, 3])
def test_regimes_differ_in_colour_and_mark_and_share_out_all_points(episodes, dimensions):
    points, figure = draw(episodes, "regime", dimensions=dimensions)
    assert [len(t.x) for t in figure.data] == [6, 6 + 3, 6]
    assert len({t.marker.color for t in figure.data}) == len({t.marker.symbol for t in figure.data}) == 3
    assert sum(len(t.x) for t in figure.data) == len(points.code)


def test_a_selection_survives_being_split_into_traces(episodes):
    points = record_points(episodes)
    selected = (points.step == 1) & (points.episode != 0)
    _, figure = draw(episodes, "regime", selected)
    marked = [tuple(t.customdata[i][:2]) for t in figure.data for i in t.selectedpoints]
    assert sorted(marked) == [(1, 1), (2, 1), (3, 1)]


def test_in_three_dimensions_a_selection_alone_is_drawn(episodes):
    points = record_points(episodes)
    selected = points.episode == 1
    _, figure = draw(episodes, "g", selected, dimensions=3)
    assert np.isfinite(figure.data[0].z).sum() == selected.sum()
    assert figure.layout.scene.zaxis.title.text == "third"


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("regime", REGIME_ORDER)
def test_every_colouring_draws_every_point(episodes, regime, dimensions):
    episodes = replace(episodes, regime=np.full(4, regime))
    for name in colour_names(SPEC):
        points, figure = draw(episodes, name, dimensions=dimensions)
        assert sum(len(t.x) for t in figure.data) == len(points.code), name


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_path_runs_in_order_and_names_its_ends(episodes, dimensions):
    path = episodes.code[0, :, :dimensions]
    _, figure = draw(episodes, "g", dimensions=dimensions, path=path)
    line, dots = figure.data[1:]
    assert np.asarray(line.x).tolist() == path[:, 0].tolist()
    assert np.asarray(dots.customdata).tolist() == pytest.approx([i * SPEC.timestep for i in range(6)])
    named = figure.layout.scene.annotations if dimensions == 3 else figure.layout.annotations
    assert [a.text for a in (named[0], named[-1])] == ["0.0 s", f"{5 * SPEC.timestep:.1f} s"]
    assert (named[-1].x, named[-1].y) == pytest.approx(tuple(path[-1, :2]))


def test_all_pairs_of_axes_are_one_figure(episodes):
    points = record_points(episodes)
    figure = pair_grid(points, episodes, SPEC, colouring("g", points, episodes, SPEC))
    (trace,) = figure.data
    assert [d.label for d in trace.dimensions] == [f"z{i}" for i in range(8)]
    assert np.asarray(trace.dimensions[3]["values"]).tolist() == points.code[:, 3].tolist()


def test_histograms_share_out_records_of_all_and_of_the_selection(episodes):
    selected = np.zeros((4, 6), bool)
    selected[2] = True  # three of its six records are padding
    selected[0, 0] = True
    everything, held = context_histogram(episodes, SPEC, 0, selected, bins=15).data
    assert sum(everything.y) == pytest.approx(1)
    shares = dict(zip(np.round(held.x, 2).tolist(), held.y, strict=True))
    assert shares[5.5] == pytest.approx(1 / 4)  # 5 m/s² lies in the bin 5..6
    assert shares[12.5] == pytest.approx(3 / 4)


def test_a_histogram_shades_the_train_range_without_its_gap(episodes):
    motor = catalogue.spec("pendulum_inverted_motor")
    shades = context_histogram(episodes, motor, 0, np.ones((4, 6), bool)).layout.shapes
    assert [(shade.x0, shade.x1) for shade in shades] == [(-1.5, -0.5), (0.5, 1.5)]


def test_the_band_is_the_estimate_with_its_error_either_way():
    feature = SPEC.features[0]
    band, line, truth = estimate_over_time(
        np.array([0.0, 1.0]), np.array([8.0, 9.0]), np.array([2.0, 0.5]), 9.8, feature
    ).data
    assert band.y.tolist() == [10.0, 9.5, 8.5, 6.0]
    assert line.y.tolist() == [8.0, 9.0]
    assert list(truth.y) == [9.8, 9.8]


def test_bars_and_heat_maps_keep_numbers_and_names():
    bars = probe_bars({"ridge": {"g": 0.9, "l": None}, "mlp": {"g": 0.8, "l": 0.7}}, ["g", "l"])
    assert [list(t.y) for t in bars.data] == [[0.9, None], [0.8, 0.7]]
    heat = association(np.array([[0.5, -1.0]]), ["g", "l"], "ρ", signed=True).data[0]
    assert (heat.zmin, heat.zmax, list(heat.y)) == (-1.0, 1.0, ["z0"])
    told, done = effects(np.array([0.2]), np.array([0.7]), np.array([0.6]), np.array([0.75]), "tells").data
    assert (told.y[0], done.y[0]) == (0.2, 0.7)
    assert (done.error_y.array[0], done.error_y.arrayminus[0]) == (pytest.approx(0.05), pytest.approx(0.1))
