"""Surprise of the forward dynamics: what it is made of, where it is unknown, and that another physics shows in it."""

import numpy as np
import pytest
import torch

from dali.dreams.film import make_film
from dali.dreams.request import Request
from dali.dreams.surprise import film_surprise, surprise
from dali.errors import DaliError
from dali.runs.film_source import open_film_source


def test_it_is_the_error_of_the_predicted_change(make_run):
    source = open_film_source(make_run())
    agent, film = source.agent, make_film(source, Request(1, 40, 6))
    found = surprise(agent, film.real, film.code)
    assert np.isnan(found[0])
    world = agent.world_model
    for k in range(1, 7):
        o, after = (torch.from_numpy(film.real.obs[i]) for i in (k - 1, k))
        action, code = torch.from_numpy(film.real.action[k - 1]), torch.from_numpy(film.code)
        read = torch.cat([world.normalizer.normalize(o), action, code])
        error = (after - o) / world.normalizer.delta_std - world.forward_dynamics.net(read)
        assert found[k] == pytest.approx(float(error.square().mean().sqrt()), rel=1e-4)


def test_of_pixels_the_first_known_change_is_the_second(make_run):
    source = open_film_source(make_run("pendulum", "dali_d_chi", "pixels"))
    film = make_film(source, Request(1, 40, 6))
    found = surprise(source.agent, film.real, film.code)
    np.testing.assert_array_equal(np.isnan(found), [True, True, False, False, False, False, False])


def test_a_method_without_a_code_is_told_apart(make_run):
    source = open_film_source(make_run("pendulum", "crssm_d"))
    film = make_film(source, Request(1, 40, 6))
    with pytest.raises(DaliError, match="no forward dynamics"):
        surprise(source.agent, film.real, film.code)


def test_the_code_of_the_asked_physics_is_less_surprised_by_its_real_run(repo):
    """On the shipped agent, over episodes: under z' the counterfactual run is what f_w expects, under z it is not."""
    source = open_film_source(repo / "checkpoints" / "pendulum-dali_d_chi-s0")
    episodes = source.episodes
    chosen = np.flatnonzero((episodes.regime == "interpolation") & episodes.explored & (episodes.context[:, 0] > 10))
    under_z, under_z_to = [], []
    for episode in chosen[:8].tolist():
        film = make_film(source, Request(episode, 60, 30, (("g", 6.0),)))
        before, after = film_surprise(source.agent, film, source.steering.support.std)
        under_z.append(np.nanmean(before))
        under_z_to.append(np.nanmean(after))
    assert np.median(np.array(under_z_to) / np.array(under_z)) < 0.5
