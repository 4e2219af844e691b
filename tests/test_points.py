"""Tables of points: what a lasso holds, what a mean stands for, which codes are near; by hand."""

import numpy as np
import pytest

from dali.codes.grouped import subsample
from dali.codes.points import (
    colour_names,
    colouring,
    episode_points,
    inside_polygon,
    nearest,
    points_of,
    record_points,
    records_of,
)
from dali.envs import catalogue
from dali.episodes import Episodes
from dali.errors import DaliError

SPEC = catalogue.spec("pendulum")


@pytest.fixture
def episodes() -> Episodes:
    """Three episodes of 40 steps, the second one ended after 2; the code's first dimension is 100 E + t."""
    steps = np.arange(41)
    code = np.zeros((3, 41, 8), np.float32)
    code[..., 0] = 100 * np.arange(3)[:, None] + steps
    return Episodes(
        obs=np.zeros((3, 41, 3), np.float32),
        action=np.zeros((3, 40, 1), np.float32),
        reward=np.ones((3, 40), np.float32) * np.array([[1.0], [2.0], [3.0]]),
        anchor=np.zeros((3, 2, 2)),
        code=code,
        length=np.array([40, 2, 40]),
        context=np.array([[5.0, 0.5], [10.0, 1.0], [20.0, 2.0]]),
        group=np.arange(3),
        regime=np.array(["train", "interpolation", "extrapolation"]),
        explored=np.array([False, True, False]),
    )


def test_records_leave_padding_out(episodes):
    points = record_points(episodes)
    assert len(points.code) == 41 + 3 + 41
    assert points.code[43, 0] == 102  # the second episode's last record
    assert points.step[points.episode == 1].tolist() == [0, 1, 2]


def test_a_mean_is_of_settled_codes(episodes):
    points = episode_points(episodes)
    assert points.code[0, 0] == pytest.approx(np.arange(32, 41).mean())
    assert points.code[1, 0] == 102  # ended before: its last code


@pytest.mark.parametrize(
    ("x", "y", "inside"), [(1.0, 0.5, True), (1.0, 1.5, False), (0.2, 1.5, True), (3.0, 1.0, False), (-1.0, 0.5, False)]
)
def test_a_lasso_may_be_concave(x, y, inside):
    notch = np.array([[0, 0], [2, 0], [2, 2], [1, 1], [0, 2]], float)  # a square without its upper triangle
    assert inside_polygon(np.array([[x, y]]), notch).tolist() == [inside]


def test_a_lasso_agrees_with_a_half_plane_rule_on_a_triangle():
    points = np.random.default_rng(0).uniform(-1, 2, (2000, 2))
    inside = inside_polygon(points, np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    x, y = points.T
    assert (inside == ((x > 0) & (y > 0) & (x + y < 1))).all()
    assert inside.any()


def test_a_lasso_of_two_corners_is_refused():
    with pytest.raises(DaliError, match="at least 3 corners"):
        inside_polygon(np.zeros((1, 2)), np.zeros((2, 2)))


def test_a_selection_of_means_stands_for_whole_episodes_and_comes_back(episodes):
    means, records = episode_points(episodes), record_points(episodes)
    held = records_of(means, np.array([False, True, False]), episodes)
    assert held.sum(1).tolist() == [0, 3, 0]
    assert points_of(held, means).tolist() == [False, True, False]
    assert (points_of(held, records) == (records.episode == 1)).all()


def test_a_selection_of_records_comes_back(episodes):
    points = record_points(episodes)
    chosen = np.random.default_rng(0).random(len(points.code)) < 0.3
    assert (points_of(records_of(points, chosen, episodes), points) == chosen).all()


def test_colours_carry_units_and_each_point_its_episodes_value(episodes):
    points = record_points(episodes)
    gravity = colouring("g", points, episodes, SPEC)
    assert gravity.unit == "m/s²"
    assert gravity.values[[0, 42, 50]].tolist() == [5.0, 10.0, 20.0]
    assert colouring("return", points, episodes, SPEC).values[42] == 80.0
    assert colouring("time", points, episodes, SPEC).values[43] == pytest.approx(2 * SPEC.timestep)
    assert colouring("regime", points, episodes, SPEC).categories == ("train", "interpolation", "extrapolation")
    assert colouring("acted by", points, episodes, SPEC).values[42] == "exploratory noise"
    for name in colour_names(SPEC):
        assert len(colouring(name, points, episodes, SPEC).values) == len(points.code)
    with pytest.raises(DaliError, match="Unknown colouring"):
        colouring("mass", points, episodes, SPEC)


def test_neighbours_are_settled_records_of_other_episodes_nearest_first(episodes):
    near = nearest(episodes, 0, 40, count=5)
    # The second episode ended before its code settled; the third's first settled record is 232, 192 away from 40.
    assert near.episode.tolist() == [2]
    assert (near.step.tolist(), near.distance.tolist()) == ([32], [192.0])


def test_thinning_is_seeded_and_sorted():
    kept = subsample(1000, 100)
    assert len(set(kept.tolist())) == 100
    assert (np.diff(kept) > 0).all()
    assert (kept == subsample(1000, 100)).all()
    assert (subsample(5, 100) == np.arange(5)).all()
