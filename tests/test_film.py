"""Counterfactual films: what must be equal is equal to the bit, and what is measured is what it says."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dali.dreams.counterfactual import FILTERED, Manner, dream_pair, infer_start
from dali.dreams.film import effective_physics, make_factual, make_film
from dali.dreams.request import Request, check_request, parse_code, parse_physics
from dali.errors import DaliError
from dali.runs.film_source import open_film_source

BASE = Request(episode=1, t=40, horizon=20)


@pytest.fixture(scope="module")
def source(make_run):
    return open_film_source(make_run())


@pytest.fixture(scope="module")
def shallow(make_run):
    return open_film_source(make_run("pendulum", "dali_s"))


@pytest.mark.parametrize("latents", ["mean", "mode", 3])
@pytest.mark.parametrize("actions", ["recorded", "zero", "policy"])
@pytest.mark.parametrize("method", ["dali_d_chi", "dali_s", "crssm_s", "crssm_d", "dreamer_dr"])
def test_no_change_dreams_the_same_bits(make_run, method, actions, latents):
    source = open_film_source(make_run("pendulum", method))
    film = make_film(source, replace(BASE, actions=actions, latents=latents))
    np.testing.assert_array_equal(film.dream_counterfactual.obs, film.dream.obs)
    np.testing.assert_array_equal(film.real_counterfactual.obs, film.real.obs)
    # The film knows that nothing changed; the dreams agree without that knowledge too.
    episode = source.episodes.subset(slice(1, 2))
    none = np.zeros((1, episode.code.shape[-1]))
    pair = dream_pair(source.agent, episode, 40, 20, none, episode.context, Manner(actions, latents))
    np.testing.assert_array_equal(pair[0].obs, pair[1].obs)
    np.testing.assert_array_equal(pair[0].obs[0], film.dream.obs)


@pytest.mark.parametrize("env", ["pendulum", "cartpole", "ball_in_cup"])
def test_the_real_factual_run_is_the_recorded_one(make_run, env):
    source = open_film_source(make_run(env))
    episode = int(source.episodes.length.argmax())
    length = int(source.episodes.length[episode])
    t, horizon = length // 2, min(30, length - length // 2)
    film = make_film(source, Request(episode, t, horizon))
    np.testing.assert_array_equal(film.real.obs, source.episodes.obs[episode, t : t + horizon + 1])


def test_a_film_is_the_same_with_its_factual_half_kept(source):
    request = replace(BASE, physics=(("g", 4.9),), code=((3, 1.5),), actions="policy", latents=5)
    fresh, kept = (
        make_film(source, request),
        make_film(source, request, make_factual(source, replace(request, physics=()))),
    )
    for name in ("dream", "dream_counterfactual", "real", "real_counterfactual"):
        np.testing.assert_array_equal(getattr(fresh, name).obs, getattr(kept, name).obs)
    assert fresh.skill == kept.skill


def test_films_of_one_stage_do_not_mix(source):
    requests = [replace(BASE, physics=(("g", g),)) for g in (2.0, 18.0)]
    alone = [make_film(open_stage_again(source), r).real_counterfactual.obs for r in requests]
    for _ in range(2):
        for request, expected in zip(requests, alone, strict=True):
            np.testing.assert_array_equal(make_film(source, request).real_counterfactual.obs, expected)


def open_stage_again(source):
    """The same source with simulators that nobody has used."""
    from dali.dreams.film import make_film_source

    return make_film_source(source.agent, source.episodes, source.steering)


def test_a_request_moves_the_code_by_both_kinds_of_sliders(source):
    film = make_film(source, replace(BASE, physics=(("g", 4.9),), code=((3, 1.5), (0, -2.0))))
    by_code = np.zeros(8)
    by_code[3], by_code[0] = 1.5, -2.0
    np.testing.assert_allclose(film.sigmas - film.moved_by_physics, by_code, atol=1e-12)
    shift = source.steering.code_map.shift(film.context, film.context_to)
    np.testing.assert_allclose(film.moved_by_physics * source.steering.support.std, shift)
    assert film.context_to[0] == 4.9
    assert film.context_to[1] == film.context[1]


def test_a_shallow_method_dreams_from_another_start(shallow, source):
    asked = replace(BASE, code=((2, 3.0),))
    film = make_film(shallow, asked)
    assert (film.dream_counterfactual.obs[0] != film.dream.obs[0]).any()  # the prefix was observed under z'
    assert (make_film(source, asked).dream_counterfactual.obs != make_film(source, BASE).dream.obs).any()


@pytest.mark.parametrize(("method", "reaches_back"), [("dali_d_chi", False), ("dali_s", True), ("dreamer_dr", True)])
def test_h_tells_old_physics_only_where_nothing_else_does(make_run, method, reaches_back):
    source = open_film_source(make_run("pendulum", method))
    episode = source.episodes.subset(slice(1, 2))
    changed = replace(episode, action=episode.action.copy(), obs=episode.obs.copy())
    changed.obs[:, : 41 - FILTERED] += 0.5
    changed.action[:, : 40 - FILTERED] += 0.5
    context = torch.zeros(1, 8 if source.agent.method.infers_context else 0)
    one, other = (infer_start(source.agent, e, 40, context).latent.deter for e in (episode, changed))
    assert torch.equal(one, other) != reaches_back


def test_a_method_without_context_changes_the_real_run_alone(make_run):
    source = open_film_source(make_run("pendulum", "dreamer_dr"))
    film = make_film(source, replace(BASE, physics=(("g", 18.0),)))
    np.testing.assert_array_equal(film.dream_counterfactual.obs, film.dream.obs)
    assert (film.real_counterfactual.obs != film.real.obs).any()
    assert film.support is None
    assert film.read is None


def test_a_given_context_changes_the_dream(make_run):
    for method in ("crssm_s", "crssm_d"):
        film = make_film(open_film_source(make_run("pendulum", method)), replace(BASE, physics=(("g", 18.0),)))
        assert (film.dream_counterfactual.obs != film.dream.obs).any()


def test_effective_physics_of_a_real_run_is_its_physics(source):
    film = make_film(source, replace(BASE, physics=(("g", 7.0), ("l", 1.2))))
    found, error = effective_physics(source, film.real.state[0], film.context_to, film.real_counterfactual)
    step = np.array([19.0, 1.9]) / 40
    assert (np.abs(found - [7.0, 1.2]) < step / 2).all()
    assert (error < 0.2).all()


def test_errors_and_skill_by_hand(source):
    film = make_film(source, replace(BASE, physics=(("g", 15.0),)))

    def apart(a, b):
        return np.sqrt((((a.obs - b.obs)[1:] / source.scale) ** 2).mean())

    steered, unsteered = (apart(d, film.real_counterfactual) for d in (film.dream_counterfactual, film.dream))
    assert film.mean_error_counterfactual == pytest.approx(steered, rel=1e-5)
    assert film.skill == pytest.approx(1 - steered / unsteered, rel=1e-4)
    assert make_film(source, BASE).skill is None
    assert film.error[3] == pytest.approx(
        np.sqrt((((film.dream.obs[3] - film.real.obs[3]) / source.scale) ** 2).mean()), rel=1e-5
    )


def test_what_lies_outside_is_told(source):
    assert make_film(source, replace(BASE, physics=(("g", 19.0), ("l", 1.0)))).outside == ("g",)
    far = make_film(source, replace(BASE, code=tuple((j, 3.0 * (-1) ** j) for j in range(8))))
    assert far.support.ratio > make_film(source, BASE).support.ratio


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"episode": 999}, "Episode 999 does not exist; there are"),
        ({"episode": -1}, "Episode -1 does not exist"),
        ({"t": 200}, "Start 200 is not in episode 1; expected 0 to 199"),
        ({"t": 190}, "Horizon 20 does not fit recorded actions from step 190 .* expected 1 to 10"),
        ({"horizon": 201, "actions": "zero"}, "expected 1 to 200"),
        ({"horizon": 0}, "Horizon 0"),
        ({"actions": "wild"}, "Unknown actions 'wild'"),
        ({"physics": (("g", 40.0),)}, r"gravity 40 m/s² is out of range; expected 1 to 20"),
        ({"physics": (("g", float("nan")),)}, "gravity nan"),
        ({"physics": (("mass", 1.0),)}, "no context feature 'mass'"),
        ({"code": ((8, 1.0),)}, "Code dimension z8 does not exist; the code has z0 to z7"),
        ({"code": ((0, 3.5),)}, "change of z0 by 3.5 σ is out of range"),
        ({"latents": -1}, "Seed -1"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_in_one_sentence(source, change, sentence):
    with pytest.raises(DaliError, match=sentence):
        make_film(source, replace(BASE, **change))


def test_a_code_change_needs_a_code(make_run):
    source = open_film_source(make_run("pendulum", "dreamer_dr"))
    with pytest.raises(DaliError, match="Dreamer-DR infers no context code"):
        check_request(replace(BASE, code=((0, 1.0),)), source.agent.spec, source.agent.method, source.episodes)


def test_a_request_survives_json_and_the_command_line():
    request = Request(3, 60, 50, (("g", 4.9), ("l", 1.25)), ((3, 1.5), (0, -0.1)), "policy", 7)
    assert Request.from_dict(request.to_dict()) == request
    words = request.arguments()
    values = {flag: [words[i + 1] for i, w in enumerate(words[:-1]) if w == flag] for flag in ("--physics", "--code")}
    assert parse_physics(values["--physics"]) == request.physics
    assert parse_code(values["--code"]) == request.code
    with pytest.raises(DaliError, match="not a counterfactual's request"):
        Request.from_dict({"episode": 3})


@pytest.mark.parametrize(
    ("parse", "pairs", "sentence"),
    [
        (parse_physics, ["g"], "--physics 'g' is not of the form"),
        (parse_physics, ["g=4", "g=5"], "names 'g' twice"),
        (parse_code, ["z3=much"], "--code 'z3=much' is not of the form"),
        (parse_code, ["q3=1"], "Unknown code dimension 'q3'"),
    ],
)
def test_malformed_pairs_are_refused(parse, pairs, sentence):
    with pytest.raises(DaliError, match=sentence):
        parse(pairs)
