"""A dream that is reset and stepped as a simulator is, and rolled out by the same loop."""

import numpy as np
import pytest
import torch

from dali.dreams.counterfactual import DreamedWorld, dream, held_context, infer_start
from dali.envs.trajectory import rollout, taking
from dali.model.imagination import imagine
from dali.runs.film_source import open_film_source

STEPS = 6


@pytest.fixture(scope="module")
def begun(make_run):
    """An agent, two starts of its dreams, their context and the actions that followed."""
    source = open_film_source(make_run())
    two = source.episodes.subset(np.array([1, 4]))
    context = held_context(source.agent, two, two.code[:, 20], two.context)
    return source.agent, infer_start(source.agent, two, 20, context), context, two.action[:, 20 : 20 + STEPS]


def test_it_dreams_what_the_policy_is_trained_in(begun):
    agent, start, context, action = begun
    world = DreamedWorld(agent)
    run = rollout(world, world.reset(start, context), taking(action), STEPS)
    given = torch.from_numpy(action)
    with torch.inference_mode():
        features = imagine(agent.world_model, start.latent, context, lambda _, t: given[:, t], STEPS, "mean").features
        obs, reward = agent.world_model.decode(features), agent.world_model.predict_reward(features[:, 1:])
    np.testing.assert_allclose(run.obs, obs.numpy(), atol=1e-5)
    np.testing.assert_allclose(run.reward, reward.numpy(), atol=1e-5)
    np.testing.assert_array_equal(run.action, action)
    assert run.length.tolist() == [STEPS, STEPS]


@pytest.mark.parametrize("engine", ["rssm", "dynamics"])
def test_a_world_that_is_reset_dreams_the_same_again(begun, engine):
    agent, start, context, action = begun
    world = DreamedWorld(agent, engine)
    once, again = (rollout(world, world.reset(start, context), taking(action), STEPS).obs for _ in range(2))
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(once, dream(agent, start, context, STEPS, action, "mean", engine).obs)


def test_the_members_of_a_dream_part_from_one_point(begun):
    agent, start, context, action = begun
    world = DreamedWorld(agent, "dynamics")
    rollout(world, world.reset(start, context), taking(action), STEPS)
    assert (world.spread[0] == 0).all()
    assert all((spread > 0).any() for spread in world.spread[1:])
    assert len(world.spread) == STEPS + 1 == world.predict_continue().shape[1] + 1
