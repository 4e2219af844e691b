"""Every simulator is reproducible, restorable bit for bit, indifferent to batching and strict about its input."""

import subprocess
import sys

import numpy as np
import pytest

from dali.envs import catalogue
from dali.envs.contexts import sample_contexts
from dali.errors import DaliError

NAMES = catalogue.names()
STEPS = 40


def actions(spec, steps: int, num: int, seed: int = 0) -> np.ndarray:
    """(T, N, A) random actions, one-hot where discrete."""
    rng = np.random.default_rng(seed)
    if spec.discrete:
        return np.eye(spec.action_dim, dtype=np.float32)[rng.integers(spec.action_dim, size=(steps, num))]
    return rng.uniform(-1, 1, size=(steps, num, spec.action_dim)).astype(np.float32)


def play(simulator, plan) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observations (T, N, O), rewards (T, N) and states (T, N, S) under the actions."""
    steps = []
    for action in plan:
        step = simulator.step(action)
        steps.append((step.observation, step.reward, simulator.get_state()))
    return tuple(np.array(part) for part in zip(*steps, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_types(name):
    spec = catalogue.spec(name)
    simulator = catalogue.make(name, 3)
    observation = simulator.reset(np.arange(3), np.tile(spec.default_context, (3, 1)))
    step = simulator.step(actions(spec, 1, 3)[0])
    for found in (observation, step.observation):
        assert found.shape == (3, spec.obs_dim)
        assert found.dtype == np.float32
    assert step.reward.shape == (3,)
    assert step.reward.dtype == np.float32
    assert step.terminated.dtype == step.truncated.dtype == bool
    assert simulator.get_state().dtype == np.float64
    assert len(spec.observation_units) == spec.obs_dim


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_trajectory_and_batching_changes_nothing(name):
    spec = catalogue.spec(name)
    contexts = sample_contexts(spec, 9, seed=1)
    plan = actions(spec, STEPS, 9)
    many = catalogue.make(name, 9)
    first = many.reset(np.arange(10, 19), contexts)
    whole = play(many, plan)
    again = many.reset(np.arange(10, 19), contexts)
    np.testing.assert_array_equal(first, again)
    for before, after in zip(whole, play(many, plan), strict=True):
        np.testing.assert_array_equal(before, after)
    single = catalogue.make(name, 1)
    for k in (0, 8):  # 8 and 1 also differ in how NumPy vectorises
        np.testing.assert_array_equal(single.reset(np.array([10 + k]), contexts[k : k + 1])[0], first[k])
        for all_copies, one in zip(whole, play(single, plan[:, k : k + 1]), strict=True):
            np.testing.assert_array_equal(all_copies[:, k], one[:, 0])
    other = many.reset(np.arange(20, 29), contexts)
    assert (np.abs(other - first).max(axis=1) > 1e-3).all()


@pytest.mark.parametrize("name", NAMES)
def test_resetting_some_copies_leaves_the_others(name):
    spec = catalogue.spec(name)
    contexts = sample_contexts(spec, 3, seed=2)
    plan = actions(spec, 20, 3)
    undisturbed = catalogue.make(name, 3)
    undisturbed.reset(np.arange(3), contexts)
    expected, _, _ = play(undisturbed, plan)
    simulator = catalogue.make(name, 3)
    simulator.reset(np.arange(3), contexts)
    play(simulator, plan[:10])
    where = np.array([False, True, False])
    other_physics = np.where(where[:, None], sample_contexts(spec, 3, seed=3), np.nan)  # entries of others are ignored
    simulator.reset(np.array([-1, 77, -1]), other_physics, where)
    np.testing.assert_array_equal(simulator.contexts[[0, 2]], contexts[[0, 2]])
    found, _, _ = play(simulator, plan[10:])
    np.testing.assert_array_equal(found[:, [0, 2]], expected[10:, [0, 2]])
    assert np.abs(found[:, 1] - expected[10:, 1]).max() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_restored_state_continues_bit_for_bit(name):
    spec = catalogue.spec(name)
    contexts = sample_contexts(spec, 2, seed=4)
    plan = actions(spec, 2 * STEPS, 2)
    simulator = catalogue.make(name, 2)
    simulator.reset(np.arange(2), contexts)
    at_middle, _, states = play(simulator, plan[:STEPS])
    expected = play(simulator, plan[STEPS:])
    fresh = catalogue.make(name, 2)  # has never seen the first half
    fresh.reset(np.arange(5, 7), sample_contexts(spec, 2, seed=5))
    play(fresh, plan[:7])
    fresh.set_context(contexts)
    np.testing.assert_array_equal(fresh.set_state(states[-1]), at_middle[-1])
    np.testing.assert_array_equal(fresh.get_state(), states[-1])
    for before, after in zip(expected, play(fresh, plan[STEPS:]), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(("name", "feature"), [(n, f.name) for n in NAMES for f in catalogue.spec(n).features])
def test_every_feature_changes_what_happens(name, feature):
    """Same state, same actions, another physics: inside the train range and at the limits."""
    spec = catalogue.spec(name)
    index, values = spec.feature_index(feature), spec.feature(feature)
    simulator = catalogue.make(name, 4)
    simulator.reset(np.full(4, 3), np.tile(spec.default_context, (4, 1)))
    plan = np.repeat(actions(spec, 3 * STEPS, 1), 4, axis=1)
    play(simulator, plan[:STEPS])
    contexts = np.tile(spec.default_context, (4, 1))
    contexts[1:, index] = values.train[0], values.train[1], values.limits[1]
    simulator.set_state(np.repeat(simulator.get_state()[:1], 4, axis=0))
    simulator.set_context(contexts)
    observations, _, _ = play(simulator, plan[STEPS:])
    for k in (1, 2, 3):
        assert np.abs(observations[:, k] - observations[:, 0]).max() > 5e-3


@pytest.mark.parametrize("name", ["pendulum", "cartpole", "cartpole_friction", "ball_in_cup", "ball_in_cup_drag"])
def test_observation_determines_the_state(name):
    spec = catalogue.spec(name)
    simulator = catalogue.make(name, 1)
    simulator.reset(np.array([0]), spec.default_context[None])
    plan = actions(spec, STEPS, 1)
    observations, _, states = play(simulator, plan)
    seen = simulator.states_from_observations(observations[:, 0])
    assert seen.shape == states[:, 0].shape
    shown = simulator.set_state(seen[20:21])
    np.testing.assert_allclose(shown, observations[20], atol=1e-6)
    # Going on from what was seen is going on from what was, but for float32 and the solver's warm start.
    onward, _, _ = play(simulator, plan[21:30])
    np.testing.assert_allclose(onward[:, 0], observations[21:30, 0], atol=2e-4)


def test_walker_shows_all_but_its_place_which_is_integrated():
    simulator = catalogue.make("walker", 1)
    simulator.reset(np.array([1]), simulator.spec.default_context[None])
    observations, _, states = play(simulator, actions(simulator.spec, 200, 1))
    seen = simulator.states_from_observations(observations[:, 0])
    joints = [0, *range(2, 9)]  # z and hinges
    difference = seen[:, joints] - states[:, 0][:, joints]
    wrapped = (difference + np.pi) % (2 * np.pi) - np.pi  # the torso may have turned over
    assert np.abs(wrapped).max() < 1e-5
    np.testing.assert_allclose(seen[:, 9:18], states[:, 0, 9:18], atol=1e-5)
    walked = states[:, 0, 1] - states[0, 0, 1]
    assert np.abs(walked).max() > 0.3
    np.testing.assert_allclose(seen[:, 1], walked, atol=0.05)


def test_quadruped_pose_is_estimated_with_joints_and_tilt_as_observed():
    simulator = catalogue.make("quadruped", 1)
    simulator.reset(np.array([1]), simulator.spec.default_context[None])
    observations, _, states = play(simulator, actions(simulator.spec, STEPS, 1))
    seen = simulator.states_from_observations(observations[:, 0])
    assert seen.shape == states[:, 0].shape
    np.testing.assert_allclose(seen[:, 7:23], states[:, 0, 7:23], atol=1e-5)
    w, x, y, z = seen[:, 3:7].T
    np.testing.assert_allclose(w * w - x * x - y * y + z * z, observations[:, 0, 47], atol=1e-5)


def test_time_limit_truncates_and_restoring_restarts_its_clock():
    simulator = catalogue.make("pendulum", 2)
    spec = simulator.spec
    simulator.reset(np.arange(2), np.tile(spec.default_context, (2, 1)))
    plan = np.zeros((spec.episode_steps, 2, 1))
    ends = [simulator.step(a).truncated for a in plan]
    assert not np.any(ends[:-1])
    assert ends[-1].all()
    simulator.set_state(simulator.get_state())
    assert not simulator.step(plan[0]).truncated.any()


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.05, 2.5, -1.0])
def test_impossible_physics_is_refused_by_name(value):
    simulator = catalogue.make("pendulum", 2)
    contexts = np.array([[10.0, 1.0], [10.0, value]])
    for attempt in (
        lambda: simulator.set_context(contexts),
        lambda: simulator.reset(np.arange(2), contexts),
    ):
        with pytest.raises(DaliError, match=r"'l' of pendulum .* expected 0\.1 to 2 m"):
            attempt()
    assert np.isfinite(simulator.contexts).all()


def test_limits_survive_float32():
    simulator = catalogue.make("ball_in_cup", 1)
    simulator.set_context(np.array([[19.6, 0.03]], dtype=np.float32))
    np.testing.assert_allclose(simulator.contexts, [[19.6, 0.03]], rtol=1e-6)


def test_bad_calls_say_what_is_wrong():
    with pytest.raises(DaliError, match="Unknown environment 'pendulun'; expected one of: ball_in_cup"):
        catalogue.make("pendulun", 1)
    with pytest.raises(DaliError, match="at least 1"):
        catalogue.make("pendulum", 0)
    simulator = catalogue.make("pendulum", 2)
    with pytest.raises(DaliError, match=r"shape \(2, 2\); expected \(2, 1\)"):
        simulator.step(np.zeros((2, 2)))
    with pytest.raises(DaliError, match="not finite"):
        simulator.step(np.full((2, 1), np.nan))
    with pytest.raises(DaliError, match="expected finite"):
        simulator.set_state(np.full((2, 2), np.nan))
    with pytest.raises(DaliError, match="Seeds"):
        simulator.reset(np.arange(3), np.ones((2, 2)))
    with pytest.raises(DaliError, match=r"shape \(1, 2\)"):
        simulator.set_context(np.ones((1, 2)))


def test_numpy_environments_need_nothing_else_and_the_others_say_what_they_need():
    script = """
import sys
for package in ("mujoco", "dm_control", "carl", "gymnasium", "cv2"):
    sys.modules[package] = None
import numpy as np
from dali.envs import catalogue
from dali.errors import DaliError
for name in ("pendulum", "cartpole"):
    simulator = catalogue.make(name, 2)
    simulator.reset(np.arange(2), simulator.contexts)
    simulator.step(np.zeros((2, simulator.spec.action_dim)))
try:
    catalogue.make("ball_in_cup", 1)
except DaliError as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert found.stderr == ""
    assert found.stdout.strip() == "Environment 'ball_in_cup' needs the package 'mujoco', which is not installed."


def test_actions_beyond_their_range_are_clipped():
    simulator = catalogue.make("pendulum", 2)
    simulator.set_state(np.array([[1.0, 0.0], [1.0, 0.0]]))
    simulator.step(np.array([[1.0], [7.0]]))
    state = simulator.get_state()
    np.testing.assert_array_equal(state[0], state[1])
