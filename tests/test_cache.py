"""Maps and effects in a checkpoint's cache: what is read back is what was made, of these very codes and weights."""

import shutil

import numpy as np
import pytest

from dali.codes.points import episode_points, record_points
from dali.dreams.effects import dimension_effects
from dali.errors import DaliError
from dali.runs.artifacts import EPISODES_FILE, load_episodes
from dali.runs.cache import MapRequest, load_effects, load_map, make_effects, make_map, map_path
from dali.runs.checkpoint import load_agent, save_agent

MEANS = MapRequest("tsne", 2, means=True)


def silent(done, total, text):
    """Reports nothing."""


@pytest.fixture
def run(make_run, tmp_path):
    # Other tests open pages on the shared run, which leave results in its cache.
    return shutil.copytree(make_run(), tmp_path / "run", ignore=shutil.ignore_patterns("cache"))


def test_a_map_is_read_back_for_the_codes_it_was_made_from(run):
    told = []
    make_map(run, MEANS, lambda *progress: told.append(progress))
    points = episode_points(load_episodes(run / EPISODES_FILE))
    found = load_map(run, MEANS, points)
    assert found.points.shape == (len(points.code), 2)
    assert np.isfinite(found.points).all()
    assert found.fitted.all()
    shares = [done / total for done, total, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] <= 1.0
    # Other codes: the map is not theirs.
    assert load_map(run, MEANS, episode_points(load_episodes(run / EPISODES_FILE).subset(slice(0, 20)))) is None
    assert load_map(run, MapRequest("tsne", 2, means=False), record_points(load_episodes(run / EPISODES_FILE))) is None


def test_a_damaged_map_counts_as_none(run):
    path = map_path(run, MEANS)
    path.parent.mkdir()
    path.write_bytes(b"PK\x03\x04 not an archive")
    assert load_map(run, MEANS, episode_points(load_episodes(run / EPISODES_FILE))) is None


def test_effects_belong_to_the_weights(run):
    told = []
    made = make_effects(run, lambda *progress: told.append(progress))
    assert load_effects(run) == made
    assert [e.dimension for e in made] == list(range(8))
    assert told[-1][:2] == (8, 8)
    agent = load_agent(run)
    next(agent.parameters()).mul_(2.0)
    save_agent(run, agent)
    assert load_effects(run) is None


def test_a_dimension_that_is_not_moved_changes_nothing(make_run):
    agent, episodes = load_agent(make_run()), load_episodes(make_run() / EPISODES_FILE)
    sigma = np.zeros(8)
    sigma[2] = 50.0  # far out, so that even untrained weights answer
    effects = dimension_effects(agent, episodes, sigma, permutations=20)
    still = [effects[0], effects[7]]
    assert all((e.shift, e.test.auc, e.test.p_value) == (0.0, 0.5, 1.0) for e in still)
    assert effects[2].shift > 0
    assert effects[2].test.auc > 0.6
    assert effects[2].test.p_value == pytest.approx(1 / 21)


def test_a_method_without_a_code_has_no_dimensions(make_run):
    with pytest.raises(DaliError, match="Dreamer-DR infers no context code"):
        make_effects(make_run("pendulum", "dreamer_dr"), silent)
