"""Dreams along a path of codes: where the path stands still, they are the films of that code."""

import numpy as np
import pytest

from dali.codes.paths import (
    MOST,
    CodePath,
    codes_along,
    path_along_line,
    path_from_text,
    path_table,
    read_path,
    waypoints_of,
)
from dali.codes.points import episode_points, record_points
from dali.codes.selections import write_selection
from dali.dreams.along import dreams_side_by_side, physics_of, turning_dream
from dali.dreams.counterfactual import dream, held_context, infer_start
from dali.errors import DaliError
from dali.export.along import strip_frames, turning_frames
from dali.runs.film_source import open_film_source

PATH = CodePath(((3, 60), (7, 150), (12, 40)))


@pytest.fixture(scope="module")
def source(make_run):
    return open_film_source(make_run())


@pytest.mark.parametrize("engine", ["rssm", "dynamics"])
def test_a_path_that_stands_still_is_the_dream_of_its_code(source, engine):
    one = source.episodes.subset(np.array([2]))
    code = one.code[:, 30] + 0.3
    held = held_context(source.agent, one, code, one.context)
    start = infer_start(source.agent, one, 30, held_context(source.agent, one, one.code[:, 30], one.context))
    expected = dream(source.agent, start, held, 12, one.action[:, 30:42], "mean", engine).obs[0]
    turned = turning_dream(source, 2, 30, code.repeat(13, 0), engine)
    beside = dreams_side_by_side(source, 2, 30, 12, code.repeat(3, 0), engine)
    assert turned.dream[0].obs == pytest.approx(expected, abs=1e-5)
    for run in beside.dream:
        assert run.obs == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(turned.real[0].obs, beside.real[0].obs)
    assert turned.error == pytest.approx(beside.error[1], abs=1e-4)


def test_a_code_that_turns_turns_dream_and_simulator_from_then_on(source):
    codes = codes_along(waypoints_of(PATH, source.episodes), 13)
    still, turned = turning_dream(source, 2, 30, codes[:1].repeat(13, 0)), turning_dream(source, 2, 30, codes)
    np.testing.assert_array_equal(turned.dream[0].obs[0], still.dream[0].obs[0])
    assert np.abs(turned.dream[0].obs[1:] - still.dream[0].obs[1:]).max(1).min() > 0
    assert np.abs(turned.real[0].obs[-1] - still.real[0].obs[-1]).max() > 0
    low, high = np.array([f.limits for f in source.agent.spec.features]).T
    assert (turned.physics >= low).all()
    assert (turned.physics <= high).all()
    assert len(np.unique(turned.physics[:, 0])) > 5
    assert turning_frames(turned, source.agent.spec, 96).shape[0] == 13


def test_dreams_side_by_side_are_each_under_their_own_code(source):
    codes = codes_along(waypoints_of(PATH, source.episodes), 4)
    together = dreams_side_by_side(source, 2, 30, 10, codes)
    for i in range(4):
        alone = dreams_side_by_side(source, 2, 30, 10, codes[i : i + 1])
        assert together.dream[i].obs == pytest.approx(alone.dream[0].obs, abs=1e-5)
        np.testing.assert_allclose(together.real[i].obs, alone.real[0].obs)
    assert strip_frames(together, source.agent.spec, 64).shape[0] == 11


def test_a_shallow_method_dreams_side_by_side_and_does_not_turn(make_run):
    source = open_film_source(make_run("pendulum", "dali_s"))
    codes = codes_along(waypoints_of(PATH, source.episodes), 5)
    with pytest.raises(DaliError, match="reads the code where it observes"):
        turning_dream(source, 2, 30, codes)
    beside = dreams_side_by_side(source, 2, 30, 4, codes)
    assert np.abs(beside.dream[0].obs - beside.dream[-1].obs).max() > 0


def test_an_agent_of_pixels_dreams_along_a_path(make_run):
    source = open_film_source(make_run("pendulum", "dali_d_chi", "pixels"))
    codes = codes_along(waypoints_of(PATH, source.episodes), 4)
    turned, beside = turning_dream(source, 2, 30, codes), dreams_side_by_side(source, 2, 30, 3, codes)
    assert turned.dream[0].frames.shape == beside.dream[0].frames.shape == (4, 64, 64, 3)
    assert np.isfinite(turned.error).all()
    assert np.isfinite(beside.error).all()
    assert turning_frames(turned, source.agent.spec, 96).shape[0] == 4


def test_a_method_without_a_code_has_no_path(make_run):
    source = open_film_source(make_run("pendulum", "dreamer_dr"))
    for make in (
        lambda: turning_dream(source, 0, 0, np.zeros((3, 0))),
        lambda: physics_of(source, np.zeros((3, 0))),
    ):
        with pytest.raises(DaliError, match="infers no context code"):
            make()


def test_codes_lie_evenly_on_the_lines_between_waypoints():
    corner = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 1.0]])
    assert codes_along(corner, 5).tolist() == [[0, 0], [1, 0], [2, 0], [3, 0], [3, 1]]
    with pytest.raises(DaliError, match="at least 2 points; found 1"):
        codes_along(corner[:1], 5)
    with pytest.raises(DaliError, match="the same code"):
        codes_along(corner[[0, 0]], 5)


def test_a_path_comes_back_from_its_text_and_its_files(source):
    episodes, steering = source.episodes, source.steering
    assert path_from_text(PATH.to_text(), episodes) == PATH
    assert path_from_text("", episodes) == CodePath()
    table = path_table(PATH, episodes, source.agent.spec, steering.probe, steering.support)
    assert len(table) == 41
    there = table[table["episode"].notna()]
    assert there["g"].tolist() == episodes.context[[3, 7, 12], 0].tolist()
    assert there.filter(regex=r"^z\d").to_numpy() == pytest.approx(waypoints_of(PATH, episodes))
    assert table["outlying"].between(0, 1).all()
    for form in ("csv", "parquet"):
        assert read_path(write_selection(table, form), f"a.{form}", episodes) == PATH


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3", "episode-step by episode-step"),
        ("3-x", "episode-step by episode-step"),
        ("3-4..5-6", "episode-step by episode-step"),
        ("3--4", "episode-step by episode-step"),
        ("3-²", "episode-step by episode-step"),
        ("3-9999", "names record 9999 of episode 3"),
        ("9999-3", "names record 3 of episode 9999"),
        (".".join(["3-4"] * (MOST + 1)), f"{MOST + 1} points; at most {MOST}"),
    ],
)
def test_what_is_no_path_is_refused(source, text, message):
    with pytest.raises(DaliError, match=message):
        path_from_text(text, source.episodes)


def test_a_file_of_one_record_is_no_path(source):
    with pytest.raises(DaliError, match="names 1 records; a path needs at least 2"):
        read_path(b"episode,t\n3,4\n,\n", "a.csv", source.episodes)


def test_a_path_grows_and_is_full_in_the_end():
    path = CodePath()
    assert path.then(1, 2).then(1, 2).records == ((1, 2),)
    for t in range(MOST):
        path = path.then(0, t)
    with pytest.raises(DaliError, match="at most 16 points"):
        path.then(0, 99)


def test_a_drawn_line_goes_by_the_records_nearest_to_it(source):
    points = record_points(source.episodes)
    first, last = 100, 4000  # steps 100 and 181 of their episodes
    line = points.code[[first, last]][:, :2]
    path = path_along_line(line, points.code[:, :2], points)
    assert path.is_whole
    start, end = (waypoints_of(CodePath((path.records[i],)), source.episodes)[0] for i in (0, -1))
    assert start[:2] == pytest.approx(line[0], abs=1e-6)
    assert end[:2] == pytest.approx(line[1], abs=1e-6)
    means = episode_points(source.episodes)
    assert path_along_line(means.code[[0, 9], :2], means.code[:, :2], means).records[0] == (0, means.step[0])
