"""Figures of steering against numbers worked out by hand and a simulator that dreams for the model."""

import numpy as np
import pytest

from dali.config import make_config
from dali.dreams.observation import Metric, Observer
from dali.dreams.steering import nearest_physics, rollout_error, steering_skill, step_error
from dali.envs import catalogue
from dali.envs.trajectory import replay_actions
from dali.episodes import exploratory_actions
from dali.model.agent import Agent


def test_errors_are_root_mean_squares_over_scaled_dimensions():
    a = np.zeros((1, 3, 2))
    b = np.array([[[9.0, 9.0], [1.0, 4.0], [3.0, 0.0]]])
    scale = np.array([1.0, 2.0])
    # The shared start does not count: squares 1, 4, 9, 0 over two steps and two dimensions.
    assert rollout_error(a, b, scale)[0] == pytest.approx(np.sqrt(14 / 4))
    assert step_error(a, b, scale)[0].tolist() == pytest.approx([np.sqrt((81 + 20.25) / 2), np.sqrt(2.5), np.sqrt(4.5)])


def test_skill_by_hand():
    assert steering_skill(np.array([0.1, 0.3]), np.array([1.0, 1.0])) == pytest.approx(0.8)
    assert steering_skill(np.array([1.0]), np.array([1.0])) == 0.0
    assert steering_skill(np.array([2.0]), np.array([1.0])) == -1.0


@pytest.mark.parametrize("feature", [0, 1])
def test_effective_physics_of_a_perfect_dream_is_the_requested_physics(feature):
    spec = catalogue.spec("pendulum")
    num, horizon = 12, 25
    rng = np.random.default_rng(0)
    simulator = catalogue.make("pendulum", num)
    contexts = rng.uniform(*np.array([f.train for f in spec.features]).T, (num, 2))
    state = rng.uniform([-3, -2], [3, 2], (num, 2))
    actions = exploratory_actions(rng, num, horizon, 1, False)
    asked = contexts.copy()
    asked[:, feature] = rng.uniform(*spec.features[feature].train, num)
    dreamed, _ = replay_actions(simulator, state, asked, actions)
    observer = Observer(Agent(make_config("pendulum", "dali_d_chi", "tiny", 0, 600), spec))
    metric = Metric(observer, np.ones(3))
    found, _ = nearest_physics(simulator, dreamed, state, contexts, [feature], actions, metric)
    low, high = spec.features[feature].limits
    assert np.abs(found[:, 0] - asked[:, feature]).max() < 0.3 * (high - low) / 40  # a third of a candidate's step

    # All candidates of all features at once, of one episode, as a film asks for them, find the same.
    crowd = catalogue.make("pendulum", 2 * observer.candidates)
    for row in range(2):
        one = slice(row, row + 1)
        both, errors = nearest_physics(crowd, dreamed[one], state[one], contexts[one], [0, 1], actions[one], metric)
        assert both[0, feature] == pytest.approx(found[row, 0], rel=1e-4)
        assert errors.shape == (1, 2)


def test_replaying_recorded_actions_repeats_the_episode():
    simulator = catalogue.make("ball_in_cup", 3)
    spec = simulator.spec
    contexts = np.tile(spec.default_context, (3, 1))
    simulator.reset(np.arange(3), contexts)
    start = simulator.get_state()
    actions = exploratory_actions(np.random.default_rng(1), 3, 20, spec.action_dim, False)
    observations = [simulator.step(actions[:, t]).observation for t in range(20)]
    again, states = replay_actions(simulator, start, contexts, actions)
    assert np.array_equal(again[:, 1:], np.stack(observations, 1))
    assert np.array_equal(states[:, 0], start)


def test_exploratory_actions_are_smooth_bounded_and_seeded():
    walk = exploratory_actions(np.random.default_rng(0), 50, 400, 2, False)
    assert walk.dtype == np.float32
    assert np.abs(walk).max() <= 1.0
    correlation = np.corrcoef(walk[:, :-1, 0].ravel(), walk[:, 1:, 0].ravel())[0, 1]
    assert 0.8 < correlation < 0.95
    assert np.array_equal(walk, exploratory_actions(np.random.default_rng(0), 50, 400, 2, False))
    choices = exploratory_actions(np.random.default_rng(0), 50, 400, 3, True)
    assert (choices.sum(-1) == 1).all()
    kept = (choices[:, 1:] == choices[:, :-1]).all(-1).mean()
    assert kept == pytest.approx(0.9 + 0.1 / 3, abs=0.02)
    assert np.allclose(choices.mean((0, 1)), 1 / 3, atol=0.05)
