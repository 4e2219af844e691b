"""A take played live, in pieces and with physics turned on the way, is the same when it is performed again."""

import json
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from dali.__main__ import app as command
from dali.dreams.film import make_film
from dali.dreams.request import Request
from dali.dreams.take import DREAM, DREAM_ASKED, REAL, REAL_ASKED, Take, begin, perform
from dali.errors import DaliError
from dali.export.take import take_csv, take_film, take_manifest
from dali.runs.film_source import open_film_source
from dali.runs.folder import digest


@pytest.fixture(scope="module")
def source(make_run):
    return open_film_source(make_run())


def played(source, engine="rssm"):
    """A take in uneven pieces: physics turned at steps 0, 3 and 8."""
    rng = np.random.default_rng(1)
    performance = begin(source, 1, 40, engine, (("g", 8.0),))
    performance.ask((("g", 6.0), ("l", 1.2)))
    performance.advance(rng.uniform(-1, 1, (3, 1)))
    performance.ask((("g", 12.5),))
    for size in (1, 4):
        performance.advance(rng.uniform(-1, 1, (size, 1)))
    performance.ask(())
    performance.advance(rng.uniform(-1, 1, (2, 1)))
    return performance


@pytest.mark.parametrize("engine", ["rssm", "dynamics"])
def test_it_is_performed_again_to_the_bit(source, engine):
    performance = played(source, engine)
    again = perform(source, Take.from_json(json.dumps(performance.take.to_dict())))
    assert again.take == performance.take
    for run in range(4):
        np.testing.assert_array_equal(again.observed(run), performance.observed(run))
    np.testing.assert_array_equal(again.contexts, performance.contexts)
    assert take_film(again, 96) == take_film(performance, 96)
    assert take_csv(again) == take_csv(performance)


def test_without_a_move_of_the_physics_it_is_the_film_of_the_same_actions(source):
    film = make_film(source, Request(1, 40, 12, (("g", 8.0),)))
    performance = begin(source, 1, 40, "rssm", (("g", 8.0),))
    performance.advance(film.real.action)
    for run, name in ((REAL, "real"), (REAL_ASKED, "real_counterfactual")):
        np.testing.assert_array_equal(performance.observed(run), getattr(film, name).obs)
    for run, name in ((DREAM, "dream"), (DREAM_ASKED, "dream_counterfactual")):
        np.testing.assert_allclose(performance.observed(run), getattr(film, name).obs, atol=1e-4)
    np.testing.assert_allclose(performance.errors(0, 13), [film.error, film.error_counterfactual], atol=1e-4)


def test_physics_turned_on_the_way_move_the_asked_runs_from_then_on(source):
    actions = np.zeros((10, 1))
    still, turned = (begin(source, 1, 40, "rssm", (("g", 8.0),)) for _ in range(2))
    still.advance(actions)
    turned.advance(actions[:4])
    turned.ask((("g", 15.0),))
    turned.advance(actions[4:])
    for run in (REAL, DREAM):
        np.testing.assert_array_equal(turned.observed(run), still.observed(run))
    for run in (REAL_ASKED, DREAM_ASKED):
        np.testing.assert_array_equal(turned.observed(run)[:5], still.observed(run)[:5])
        assert (turned.observed(run)[5:] != still.observed(run)[5:]).any(1).all()


def test_a_branch_keeps_what_came_before(source):
    performance = played(source)
    branch = perform(source, performance.take.until(3))
    branch.ask((("l", 0.6),))
    branch.advance(np.ones((2, 1)))
    assert [step for step, _ in branch.take.moves] == [0, 3]
    for run in range(4):
        np.testing.assert_array_equal(branch.observed(run)[:4], performance.observed(run)[:4])


def test_the_manifest_s_line_makes_the_film_again(source, make_run, repo, tmp_path):
    performance, run = played(source), make_run()
    film = take_film(performance)
    manifest = take_manifest(performance, run, digest(run), {"take.mp4": film})
    (tmp_path / "take.json").write_text(manifest, encoding="utf-8")
    words = json.loads(manifest)["command"].split()
    words[words.index("take.json")] = str(tmp_path / "take.json")
    words[words.index("take.mp4")] = str(tmp_path / "again.mp4")
    subprocess.run([sys.executable, *words[1:]], cwd=repo, check=True, capture_output=True, timeout=300)
    assert (tmp_path / "again.mp4").read_bytes() == film


@pytest.mark.parametrize("method", ["dali_s", "crssm_d", "dreamer_dr"])
def test_every_kind_of_method_plays(make_run, method):
    source = open_film_source(make_run("pendulum", method))
    performance = begin(source, 1, 40, "rssm", (("g", 15.0),))
    performance.advance(np.ones((5, 1)))
    same = (performance.observed(DREAM) == performance.observed(DREAM_ASKED)).all()
    assert same == (method == "dreamer_dr")
    assert (performance.observed(REAL)[1:] != performance.observed(REAL_ASKED)[1:]).any()


def test_pixels_play(make_run):
    performance = begin(open_film_source(make_run("pendulum", "dali_d_chi", "pixels")), 1, 40, "rssm", (("l", 1.4),))
    performance.advance(np.ones((3, 1)))
    assert take_film(performance, 96)
    assert performance.errors(0, 4).shape == (2, 4)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ("{", "not valid JSON"), ("[" * 9000, "nested too deeply"), ("[1]", "expected an object"), ("{}", "it lacks"),
        ('{"episode": 1, "t": 40, "engine": "rssm", "actions": 3, "moves": []}', "not a take"),
        ('{"episode": 1e999, "t": 40, "engine": "rssm", "actions": [], "moves": []}', "not a take"),
        ('{"episode": 999, "t": 40, "engine": "rssm", "actions": [], "moves": []}', "Episode 999 does not exist"),
        ('{"episode": 1, "t": 999, "engine": "rssm", "actions": [], "moves": []}', "Start 999 is not in episode 1"),
        ('{"episode": 1, "t": 4, "engine": "magic", "actions": [], "moves": []}', "Unknown engine 'magic'"),
        ('{"episode": 1, "t": 4, "engine": "rssm", "actions": [[1, 2]], "moves": []}', r"Actions of shape \(1, 2\)"),
        ('{"episode": 1, "t": 4, "engine": "rssm", "actions": [[1e308]], "moves": []}', "expected finite numbers"),
        ('{"episode": 1, "t": 4, "engine": "rssm", "actions": [[1]], "moves": [{"step": 0, "physics": {"g": 99}}]}',
         "g = 99 is out of range"),
    ],
)  # fmt: skip
def test_a_bad_take_is_refused_in_one_sentence(source, bad, sentence):
    with pytest.raises(DaliError, match=sentence):
        perform(source, Take.from_json(bad))


def test_the_command_refuses_another_checkpoint(source, make_run, tmp_path):
    path = tmp_path / "take.json"
    path.write_text(json.dumps(played(source).take.to_dict()), encoding="utf-8")
    result = CliRunner().invoke(command, ["play", str(make_run()), str(path), "--expect", "0000"])
    assert result.exit_code == 1
    assert "is not the expected checkpoint" in str(result.exception)
