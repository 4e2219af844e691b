"""When an episode has told its physics: by hand, with a probe that reads the code as it is."""

from dataclasses import replace

import numpy as np
import pytest

from dali.codes.identification import default_tolerance, estimates, identification, mean_so_far
from dali.codes.probes import Probe
from dali.codes.settled import SETTLED
from dali.envs import catalogue
from dali.episodes import Episodes


def episodes_reading(values, truth, regime, length) -> Episodes:
    """Episodes (E, T + 1) whose one-dimensional code is the estimate itself."""
    values = np.asarray(values, float)
    num, records = values.shape
    return Episodes(
        obs=np.zeros((num, records, 1), np.float32),
        action=np.zeros((num, records - 1, 1), np.float32),
        reward=np.zeros((num, records - 1), np.float32),
        anchor=np.zeros((num, 1, 1)),
        code=values[..., None],
        length=np.asarray(length),
        context=np.asarray(truth, float)[:, None],
        group=np.arange(num),
        regime=np.asarray(regime),
        explored=np.zeros(num, bool),
    )


@pytest.fixture
def read_off() -> Probe:
    one, zero = np.ones(1), np.zeros(1)
    return Probe("ridge", zero, one, zero, one, (np.eye(1),), (zero,))


@pytest.fixture
def episodes() -> Episodes:
    held_out = [[0, 9, 10, 10], [5, 5, 5, 6], [0, 0, 0, 0]]
    others = [[7, 7, 7, 7], [1, 2, 3, 3]]
    regimes = ["interpolation"] * 3 + ["train", "interpolation"]
    return episodes_reading(held_out + others, [10, 5, 8, 7, 2], regimes, [3, 3, 3, 3, 2])


def test_the_usual_error_is_that_of_full_held_out_episodes(episodes, read_off):
    read = estimates(episodes, read_off, 3)
    assert read.value[:, 0].tolist() == [7, 7, 7, 7]
    # Errors of the three: 10 1 0 0, 0 0 0 1, 8 8 8 8. The one that ended early and the training one don't count.
    assert read.usual_error[:, 0] == pytest.approx([18 / 3, 9 / 3, 8 / 3, 9 / 3])


def test_an_episode_that_ended_early_is_read_to_its_end(episodes, read_off):
    assert len(estimates(episodes, read_off, 4).value) == 3


def test_identification_counts_from_when_an_estimate_stays_within(episodes, read_off):
    close = identification(episodes, read_off, 0, tolerance=1.0, explored=False)
    # Within ± 1 for good after 1 step, at once, and never.
    assert (close.median, close.share, close.episodes) == (1, pytest.approx(2 / 3), 3)
    strict = identification(episodes, read_off, 0, tolerance=0.5, explored=False)
    # The second leaves the tolerance with its last record.
    assert (strict.median, strict.share) == (None, pytest.approx(1 / 3))


def test_episodes_of_exploration_are_judged_apart_from_those_of_the_policy(episodes, read_off):
    explored = np.array([True, False, False, False, False])
    mixed = replace(episodes, explored=explored)
    assert estimates(mixed, read_off, 0).usual_error[:, 0].tolist() == [10, 1, 0, 0]
    assert identification(mixed, read_off, 0, 1.0, explored=True).episodes == 1
    alone = replace(mixed, regime=np.full(5, "train"))
    assert np.isnan(estimates(alone, read_off, 0).usual_error).all()
    assert identification(alone, read_off, 0, 1.0, explored=True).share == 0.0


def test_the_mean_so_far_is_that_of_settled_codes_and_ends_as_the_episode_s_mean():
    code = np.random.default_rng(0).normal(size=(3, SETTLED + 5, 2))
    mean = mean_so_far(code)
    assert np.array_equal(mean[:, :SETTLED], code[:, :SETTLED])
    assert mean[:, SETTLED + 1] == pytest.approx(code[:, SETTLED : SETTLED + 2].mean(1))
    assert mean[:, -1] == pytest.approx(code[:, SETTLED:].mean(1))
    assert np.array_equal(mean_so_far(code[:, :3]), code[:, :3])


def test_the_default_tolerance_is_a_twentieth_of_the_train_range():
    assert default_tolerance(catalogue.spec("pendulum"), 0) == pytest.approx(0.5)
