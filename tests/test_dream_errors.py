"""Where dreams go wrong: each error is that of the film which the page opens, and is kept for its weights alone."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from dali.__main__ import app
from dali.dreams.errors import EVERY, FIRST, HORIZON, DreamErrors, asked_physics, error_of_records
from dali.dreams.film import make_film
from dali.dreams.request import Request
from dali.envs import catalogue
from dali.runs.dream_errors import load_dream_errors
from dali.runs.film_source import open_film_source

SPEC = catalogue.spec("pendulum")


@pytest.fixture(scope="module")
def judged(make_run):
    run = make_run()
    result = CliRunner().invoke(app, ["dreams", str(run)])
    assert result.exit_code == 0, result.output
    return run, load_dream_errors(run), result.output


def test_each_error_is_that_of_the_film_of_its_start(judged):
    run, found, output = judged
    source = open_film_source(run)
    for row in (0, len(found.t) // 2, int(found.counterfactual.argmax())):
        episode = int(found.episode[row])
        own = source.episodes.context[episode]
        asked = [(f.name, float(v)) for f, v, c in zip(SPEC.features, found.asked[row], own, strict=True) if v != c]
        assert len(asked) == 1
        film = make_film(source, Request(episode, int(found.t[row]), HORIZON, tuple(asked)))
        assert found.factual[row] == pytest.approx(film.mean_error, rel=1e-2, abs=1e-3)
        assert found.counterfactual[row] == pytest.approx(film.mean_error_counterfactual, rel=1e-2, abs=1e-3)
    worst = int(found.counterfactual.argmax())
    assert f"episode {found.episode[worst]:4d}  t {found.t[worst]:3d}" in output


def test_every_start_with_enough_steps_to_come_is_judged(judged):
    run, found, _ = judged
    episodes = open_film_source(run).episodes
    starts = [
        (e, t) for e in range(len(episodes.obs)) for t in range(FIRST, int(episodes.length[e]) - HORIZON + 1, EVERY)
    ]
    assert sorted(zip(found.episode.tolist(), found.t.tolist(), strict=True)) == starts


def test_errors_of_other_weights_are_not_read(judged):
    run, _, _ = judged
    path = run / "cache" / "dream_errors.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"weights": "of last week"}))
    assert load_dream_errors(run) is None
    path.write_text(json.dumps(record))
    assert load_dream_errors(run) is not None


def test_features_take_turns_and_move_to_the_farther_end():
    asked = asked_physics(SPEC, np.array([[6.0, 0.6], [6.0, 0.6], [14.0, 1.4], [14.0, 1.4]]))
    assert asked.tolist() == [[15.0, 0.6], [6.0, 1.5], [5.0, 1.4], [14.0, 0.5]]


def test_records_take_the_error_of_the_nearest_start_of_their_episode():
    found = DreamErrors(np.array([3, 3, 5]), np.array([50, 75, 50]), np.zeros((3, 2)), *np.array([[1.0, 2.0, 3.0]] * 2))
    values = error_of_records(found.factual, found, np.array([3, 3, 5, 4]), np.array([0, 70, 190, 60]))
    assert values[:3].tolist() == [1.0, 2.0, 3.0]
    assert np.isnan(values[3])
