"""Two agents side by side: the second one dreams the first one's film."""

from dataclasses import replace

import numpy as np
import pytest

from dali.dreams.beside import film_beside, watch
from dali.dreams.film import make_film
from dali.dreams.request import Request
from dali.errors import DaliError
from dali.runs.film_source import open_film_source

REQUEST = Request(episode=1, t=40, horizon=6, physics=(("g", 4.9),), code=((3, 1.5),))


@pytest.fixture(scope="module")
def source(make_run):
    return open_film_source(make_run())


@pytest.mark.parametrize("actions", ["recorded", "policy"])
def test_the_same_agent_beside_itself_dreams_the_same(source, actions):
    request = replace(REQUEST, code=(), actions=actions)
    film = make_film(source, request)
    second = film_beside(watch(source, film, source.agent, source.steering), film)
    assert second.request == request
    np.testing.assert_allclose(second.code, film.code, atol=2e-3)
    np.testing.assert_allclose(second.dream.obs, film.dream.obs, atol=2e-3)
    np.testing.assert_allclose(second.dream_counterfactual.obs, film.dream_counterfactual.obs, atol=2e-3)
    assert second.skill == pytest.approx(film.skill, abs=0.02)


@pytest.mark.parametrize("method", ["crssm_s", "dreamer_dr", "crssm_d"])
def test_another_agent_takes_the_same_actions_beside_the_same_real_runs(source, make_run, method):
    other = open_film_source(make_run(method=method))
    film = make_film(source, replace(REQUEST, actions="policy"))
    second = film_beside(watch(source, film, other.agent, other.steering), film)
    assert second.real is film.real
    assert second.real_counterfactual is film.real_counterfactual
    np.testing.assert_array_equal(second.dream.action, film.dream.action)
    np.testing.assert_array_equal(second.dream_counterfactual.action, film.dream_counterfactual.action)
    assert not np.allclose(second.dream.obs, film.dream.obs)
    assert second.request.code == ()
    # The measure is the first one's: its own data's spread would make the agents' figures incomparable.
    np.testing.assert_array_equal(second.source.scale, source.scale)
    assert np.isfinite(second.effective).all()


def test_a_second_agent_reads_its_own_code_off_the_first_one_s_episode(source, make_run):
    other = open_film_source(make_run(method="dali_s_chi"))
    film = make_film(source, REQUEST)
    second = film_beside(watch(source, film, other.agent, other.steering), film)
    assert second.code.shape == (other.episodes.code.shape[-1],)
    assert not np.allclose(second.code, film.code)


def test_agents_with_nothing_in_common_are_refused(source, make_run):
    ball, pixels = open_film_source(make_run("ball_in_cup")), open_film_source(make_run(observation="pixels"))
    film = make_film(source, REQUEST)
    with pytest.raises(DaliError, match="expected one environment"):
        film_beside(watch(source, film, ball.agent, ball.steering), film)
    with pytest.raises(DaliError, match="no common measure"):
        film_beside(watch(source, film, pixels.agent, pixels.steering), film)
