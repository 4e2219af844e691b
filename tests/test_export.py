"""What a film is saved as: panes that show what they say, tables with names and units, sweeps, a manifest."""

import csv
import io
import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dali.dreams.film import make_film
from dali.dreams.request import Request
from dali.envs import catalogue
from dali.errors import DaliError
from dali.export.bundle import Bundle
from dali.export.manifest import episode_digest
from dali.export.pictures import draw_pictures, draw_rollout, physics_text, tile_pictures
from dali.export.sweep import make_sweep, plan_sweep, request_at, sweep_frames, sweep_table
from dali.runs.film_source import open_film_source
from dali.video import difference, probe

REQUEST = Request(episode=1, t=40, horizon=6, physics=(("g", 4.9),), code=((3, 1.5),))
SIZE = 64


@pytest.fixture(scope="module")
def source(make_run):
    return open_film_source(make_run())


@pytest.fixture(scope="module")
def film(source):
    return make_film(source, REQUEST)


@pytest.fixture(scope="module")
def bundle(source, film):
    return Bundle(film, source.agent.spec, source.agent.method, SIZE)


def pictures_of(source, request, extras=()):
    return draw_pictures(make_film(source, request), source.agent.spec, source.agent.method, SIZE, extras)


def test_panes_are_labelled_with_their_physics(source, film):
    real, other, dreamed, changed = pictures_of(source, REQUEST)
    own = physics_text(source.agent.spec, film.context)
    assert (real.title, real.caption) == ("Real, factual", own)
    assert (dreamed.title, dreamed.caption) == ("Dream, factual", own)
    assert other.title == "Real, counterfactual"
    assert other.caption.startswith("gravity 4.90 m/s², rod length ")
    assert changed.caption == f"{other.caption}; z3 +1.5 σ"
    np.testing.assert_array_equal(
        other.frames, draw_rollout("pendulum", film.real_counterfactual.state, film.context_to, SIZE)
    )
    np.testing.assert_array_equal(dreamed.frames, draw_rollout("pendulum", film.dream.state, film.context, SIZE))


def test_no_change_shows_identical_frames_drawn_once(source, monkeypatch):
    drawn = []
    simulator = catalogue.simulator_class("pendulum")
    draw = simulator.draw
    monkeypatch.setattr(simulator, "draw", staticmethod(lambda *args: (drawn.append(1), draw(*args))[1]))
    real, other, dreamed, changed = pictures_of(source, replace(REQUEST, physics=(), code=()))
    assert not drawn  # before anyone looks
    np.testing.assert_array_equal(dreamed.frames, changed.frames)
    np.testing.assert_array_equal(real.frames, other.frames)
    assert real.digest == other.digest
    assert len(drawn) == 2 * 7


def test_extra_panes_stand_behind_their_pairs(source, film):
    panes = draw_pictures(film, source.agent.spec, source.agent.method, SIZE, ("ghost", "difference"))
    titles = [p.title for p in panes]
    assert titles[4:] == [
        f"{kind}, {name}" for kind in ("Ghost", "Difference") for name in ("factual", "counterfactual")
    ]
    np.testing.assert_array_equal(panes[6].frames, difference(panes[0].frames, panes[2].frames))
    np.testing.assert_array_equal(panes[7].frames, difference(panes[1].frames, panes[3].frames))
    assert tile_pictures(panes).shape[2] == 4 * SIZE + 3 * 8
    with pytest.raises(DaliError, match="Unknown extra pane 'x-ray'"):
        draw_pictures(film, source.agent.spec, source.agent.method, SIZE, ("x-ray",))


def test_a_method_without_context_shows_one_dream(make_run):
    titles = [
        p.title for p in pictures_of(open_film_source(make_run("pendulum", "dreamer_dr")), replace(REQUEST, code=()))
    ]
    assert titles == ["Real, factual", "Real, counterfactual", "Dream, factual"]


def test_csv_has_a_row_a_step_and_a_unit_a_column(film, bundle):
    rows = list(csv.reader(io.StringIO(bundle.make("csv").decode())))
    header = rows[0]
    assert len(rows) == 1 + 7
    assert header[:3] == ["step", "time [s]", "real factual: cos angle [1]"]
    column = header.index("dream counterfactual: angular velocity [rad/s]")
    np.testing.assert_allclose([float(r[column]) for r in rows[1:]], film.dream_counterfactual.obs[:, 2], rtol=1e-6)
    action = header.index("factual: action torque [1]")
    assert [r[action] for r in rows[1:]] == [*map(str, film.dream.action[:, 0].tolist()), ""]
    assert rows[3][1] == "0.1"


def test_npz_reads_without_pickle(film, bundle):
    with np.load(io.BytesIO(bundle.make("npz")), allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["dream_counterfactual_obs"], film.dream_counterfactual.obs)
        np.testing.assert_array_equal(arrays["code_change_sigmas"], film.sigmas)
        assert arrays["observation_units"].tolist() == ["", "", "rad/s"]


def test_a_pinned_dream_is_exported_with_the_film(source, film, bundle):
    pinned = make_film(source, replace(REQUEST, physics=(("g", 12.0),), code=()))
    both = replace(bundle, pinned=pinned)
    assert both.frames.shape[2] > bundle.frames.shape[2]  # a third column for the fifth pane
    header = both.make("csv").decode().splitlines()[0]
    assert "dream pinned: cos angle [1]" in header
    assert "error of the dream, pinned [σ]" in header
    with np.load(io.BytesIO(both.make("npz")), allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["dream_pinned_obs"], pinned.dream_counterfactual.obs)
        assert arrays["context_pinned"][0] == 12.0
    manifest = json.loads(both.manifest(source.episodes, Path("run"), "c0ffee" * 11, {}))
    assert Request.from_dict(manifest["pinned"]) == pinned.request
    line = shlex.split(manifest["command"])
    assert Request.from_json(line[line.index("--pin") + 1]) == pinned.request


@pytest.mark.parametrize("kind", ["mp4", "gif", "png", "csv", "npz"])
def test_equal_films_give_equal_bytes(source, bundle, kind):
    again = Bundle(make_film(source, REQUEST), source.agent.spec, source.agent.method, SIZE)
    assert bundle.make(kind) == again.make(kind)


def test_the_mp4_has_a_frame_a_step(bundle):
    assert probe(bundle.make("mp4")) == REQUEST.horizon + 1
    with pytest.raises(DaliError, match="Unknown kind of export 'avi'"):
        bundle.make("avi")


def test_the_manifest_says_what_the_film_was_made_from(source, film, bundle):
    data = {"film.mp4": b"film"}
    manifest = json.loads(bundle.manifest(source.episodes, Path("checkpoints/run"), "c0ffee" * 11, data))
    assert Request.from_dict(manifest["request"]) == REQUEST
    assert manifest["episode"]["sha256"] == episode_digest(source.episodes, 1)
    assert manifest["physics"]["counterfactual"]["g"] == {"value": 4.9, "unit": "m/s²"}
    assert manifest["measured"]["steering_skill"] == film.skill
    assert {"python", "numpy", "torch"} <= set(manifest["versions"])
    words = shlex.split(manifest["command"])
    assert words[:5] == ["python", "-m", "dali", "counterfactual", "checkpoints/run"]
    assert words[words.index("--expect") + 1] == ("c0ffee" * 11)[:16]


def test_an_episode_s_digest_depends_on_what_a_film_reads(source):
    changed = replace(source.episodes, code=source.episodes.code + 1)
    assert episode_digest(source.episodes, 0) != episode_digest(changed, 0) != episode_digest(changed, 1)


def test_a_sweep_covers_its_range(source):
    spec = source.agent.spec
    assert plan_sweep("z3", spec, 8).values == (-3, -2, -1, 0, 1, 2, 3)
    assert plan_sweep("g", spec, 8, 3).values == (1.0, 10.5, 20.0)
    assert request_at(REQUEST, "g", 7.0, spec).physics == (("g", 7.0),)
    assert request_at(REQUEST, "z2", -1.0, spec).code == ((3, 1.5), (2, -1.0))
    for axis, count, sentence in (("z8", 3, "no context feature 'z8'"), ("g", 1, "1 values"), ("g", 22, "22 values")):
        with pytest.raises(DaliError, match=sentence):
            plan_sweep(axis, spec, 8, count)


@pytest.mark.parametrize(("axis", "count", "rows"), [("g", 3, 2), ("z3", 9, 2)])
def test_a_sweep_shows_every_value_and_reports_its_progress(source, axis, count, rows):
    spec, told = source.agent.spec, []
    sweep = plan_sweep(axis, spec, 8, count)
    films = make_sweep(source, REQUEST, sweep, lambda *progress: told.append(progress))
    assert [done for done, _, _ in told] == list(range(count + 1))
    assert all(total == count + 1 for _, total, _ in told)
    alone = make_film(source, request_at(REQUEST, axis, sweep.values[1], spec))
    np.testing.assert_array_equal(films[1].dream_counterfactual.obs, alone.dream_counterfactual.obs)
    frames = sweep_frames(films, sweep, spec, SIZE)
    pane = SIZE + 26  # with its caption
    assert frames.shape == (7, rows * (pane + 6) - 6, min(count, 7) * (SIZE + 6) - 6, 3)
    table = list(csv.reader(io.StringIO(sweep_table(films, sweep, spec))))
    assert table[0][0] == ("g [m/s²]" if axis == "g" else "z3 [σ]")
    assert [float(row[0]) for row in table[1:]] == list(sweep.values)
