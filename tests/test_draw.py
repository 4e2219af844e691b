"""Pictures show the state and the physics, at scale, without OpenGL."""

import math

import numpy as np
import pytest

from dali.envs import catalogue
from dali.envs.ball_in_cup import hanging
from dali.envs.canvas import BACKGROUND, BLUE, ORANGE
from dali.envs.frames import draw_frames

NAMES = catalogue.names()
# The feature that a picture shows by shape, colour or texture; the others are forces.
VISIBLE = {
    "pendulum": "l",
    "cartpole": "length",
    "ball_in_cup": "string_length",
    "pendulum_inverted_motor": "motor_strength",
    "cartpole_inverted_motor": "motor_strength",
    "cartpole_friction": "friction",
    "ball_in_cup_drag": "viscosity",
}


def episode(name, steps: int = 30):
    """A simulator's class, states (T, S) of one copy, and the default context."""
    simulator = catalogue.make(name, 1)
    spec = simulator.spec
    simulator.reset(np.array([2]), spec.default_context[None])
    rng = np.random.default_rng(0)
    states = []
    for t in range(steps):
        if t % 10 == 0:
            action = rng.uniform(-1, 1, size=(1, spec.action_dim))
        simulator.step(action)
        states.append(simulator.get_state()[0])
    return type(simulator), np.array(states), spec.default_context


def changed(a, b) -> float:
    """Share of pixels that differ clearly."""
    return float((np.abs(a.astype(int) - b.astype(int)).max(axis=2) > 20).mean())


def coloured(frame, colour, tolerance: int = 40):
    """(rows, columns) of the pixels near a colour."""
    return np.nonzero((np.abs(frame.astype(int) - colour) < tolerance).all(axis=2))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [64, 100, 256, 400])
def test_pictures_of_any_size(name, size):
    cls, states, context = episode(name, 2)
    frame = cls.draw(states[0], context, size)
    assert frame.shape == (size, size, 3)
    assert frame.dtype == np.uint8
    assert 0.005 < changed(frame, np.full_like(frame, BACKGROUND)) < 0.6
    np.testing.assert_array_equal(frame, cls.draw(states[0], context, size))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [64, 256])
def test_pictures_follow_the_state(name, size):
    cls, states, context = episode(name)
    assert changed(cls.draw(states[0], context, size), cls.draw(states[-1], context, size)) > 0.004


@pytest.mark.parametrize("name", sorted(VISIBLE))
@pytest.mark.parametrize("size", [64, 256])
def test_pictures_show_the_physics_that_has_a_shape(name, size):
    cls, states, context = episode(name)
    spec = catalogue.spec(name)
    other = context.copy()
    other[spec.feature_index(VISIBLE[name])] = spec.feature(VISIBLE[name]).train[1]
    assert changed(cls.draw(states[-1], context, size), cls.draw(states[-1], other, size)) > 0.002


@pytest.mark.parametrize("name", NAMES)
def test_outline_is_another_style_of_the_same_picture(name):
    cls, states, context = episode(name)
    solid, outline = (cls.draw(states[-1], context, 256, style) for style in ("solid", "outline"))
    assert changed(solid, outline) > 0.004
    ink = changed(outline, np.full_like(outline, BACKGROUND))
    assert 0 < ink < changed(solid, np.full_like(solid, BACKGROUND))


@pytest.mark.parametrize(
    ("name", "feature"), [(s.name, f.name) for s in catalogue.CATALOGUE.values() for f in s.features if f.cue]
)
def test_what_only_people_are_shown_is_not_in_the_pictures_of_agents(name, feature):
    """A colour that tells friction would hand the true physics to an agent of pixels."""
    _, states, context = episode(name, 2)
    spec = catalogue.spec(name)
    other = context.copy()
    other[spec.feature_index(feature)] = spec.feature(feature).limits[0]
    np.testing.assert_array_equal(*(draw_frames(spec, states[:1], c[None]) for c in (context, other)))


def test_pendulum_is_to_scale_and_turns_anticlockwise():
    cls = catalogue.simulator_class("pendulum")
    reach = {}
    for length in (0.5, 1.0, 1.5):
        rows, columns = coloured(cls.draw(np.array([math.pi / 2, 0.0]), np.array([10.0, length]), 440), ORANGE)
        reach[length] = 219.5 - columns.mean()  # to the left of the pivot, 100 pixels a metre
        assert abs(rows.mean() - 219.5) < 1.5
        assert reach[length] == pytest.approx(100 * length, abs=3)
    upright = coloured(cls.draw(np.array([0.0, 0.0]), np.array([10.0, 1.0]), 440), ORANGE)
    assert upright[0].mean() == pytest.approx(219.5 - 100, abs=3)


def test_cartpole_pole_is_twice_its_half_length_and_leans_right_for_positive_angles():
    cls = catalogue.simulator_class("cartpole")
    size = 540  # 100 pixels a metre
    for half in (0.35, 0.5, 0.75):
        rows, _ = coloured(cls.draw(np.zeros(4), np.array([9.8, half]), size), ORANGE)
        assert np.ptp(rows) == pytest.approx(100 * 2 * half + 6, abs=12)  # from the axle's disc to the round tip
    _, columns = coloured(cls.draw(np.array([1.0, 0, 0.2, 0]), np.array([9.8, 0.5]), size), ORANGE)
    assert columns.max() > size / 2 + 100 + 10


def test_ball_in_cup_places_cup_and_ball_to_scale():
    cls = catalogue.simulator_class("ball_in_cup")
    state = np.zeros(12)
    state[:4] = 0.1, 0.1, -0.2, 0.3
    frame = cls.draw(state, np.array([9.81, 0.3]), 440)  # 400 pixels a metre; the window's centre is (0, 0.52)
    rows, columns = coloured(frame, ORANGE)
    assert columns.mean() == pytest.approx(219.5 - 0.2 * 400, abs=1.5)
    assert rows.mean() == pytest.approx(219.5 - (0.5 - 0.52) * 400, abs=1.5)
    assert np.ptp(columns) == pytest.approx(0.05 * 400, abs=3)
    rows, columns = coloured(frame, BLUE)
    assert columns.mean() == pytest.approx(219.5 + 0.1 * 400, abs=1.5)
    assert rows.max() == pytest.approx(219.5 - (0.7 - 0.108 - 0.52) * 400, abs=2)


@pytest.mark.parametrize("length", [0.21, 0.3, 0.6])
@pytest.mark.parametrize("end", [(0.12, -0.16), (0.0, -0.2), (0.2, 0.0), (-0.1, 0.1)])
def test_a_slack_string_keeps_its_length(length, end):
    path = np.array(hanging((0.0, 0.0), end, length, points=400))
    np.testing.assert_allclose(path[[0, -1]], [(0.0, 0.0), end], atol=1e-12)
    assert np.hypot(*np.diff(path, axis=0).T).sum() == pytest.approx(length, rel=0.01)
    assert path[:, 1].min() <= min(0.0, end[1]) + 1e-9


def test_a_taut_string_is_straight():
    assert hanging((0.0, 0.0), (0.3, -0.4), 0.5) == [(0.0, 0.0), (0.3, -0.4)]
    assert hanging((0.0, 0.0), (0.3, -0.4), 0.45) == [(0.0, 0.0), (0.3, -0.4)]  # stretched


def test_walker_limbs_are_where_mujoco_has_them():
    """Forward kinematics in the plane against MuJoCo's, for all seven capsules."""
    from dali.envs.walker import limbs

    simulator = catalogue.make("walker", 1)
    simulator.reset(np.array([4]), simulator.spec.default_context[None])
    rng = np.random.default_rng(1)
    for _ in range(30):
        simulator.step(rng.uniform(-1, 1, size=(1, 6)))
    (data,) = simulator._data
    for geom, (low, high, radius) in enumerate(limbs(data.qpos), start=1):  # geom 0 is the floor
        along = data.geom_xmat[geom].reshape(3, 3)[:, 2] * simulator.model.geom_size[geom, 1]
        centre = data.geom_xpos[geom]
        ends = sorted([tuple((centre - along)[[0, 2]]), tuple((centre + along)[[0, 2]])])
        np.testing.assert_allclose(sorted([low, high]), ends, atol=1e-12)
        assert radius == simulator.model.geom_size[geom, 0]


def test_walker_stays_in_view_and_the_ground_moves():
    cls = catalogue.simulator_class("walker")
    context = catalogue.spec("walker").default_context
    state = np.zeros(30)
    here = cls.draw(state, context)
    state[1] = 0.4  # m onward
    there = cls.draw(state, context)
    ground = slice(232, 256)
    np.testing.assert_array_equal(here[:190], there[:190])
    assert changed(here[ground], there[ground]) > 0.01


@pytest.mark.parametrize("name", [n for n in NAMES if catalogue.spec(n).planar])
def test_a_diverged_dream_can_still_be_drawn(name):
    cls = catalogue.simulator_class(name)
    spec = catalogue.spec(name)
    for value in (1e6, np.nan):
        states = cls.states_from_observations(np.full((2, spec.obs_dim), value, dtype=np.float32))
        assert cls.draw(states[1], spec.default_context, 64).shape == (64, 64, 3)
