"""Laws of physics held against the simulator itself, and against dreams that break them by a known amount."""

import numpy as np
import pytest

from dali.dreams.closed_form import check_laws, crossing_period
from dali.envs import catalogue
from dali.envs.trajectory import replay_actions

PENDULUM, BALL = catalogue.spec("pendulum"), catalogue.spec("ball_in_cup")


def simulated(spec):
    """The simulator in a dream's place: what the laws must find right."""

    def run(obs, actions, contexts):
        simulator = catalogue.make(spec.name, len(obs))
        return replay_actions(simulator, simulator.states_from_observations(obs), contexts, actions)[0]

    return run


@pytest.mark.parametrize(("spec", "laws"), [(PENDULUM, 2), (BALL, 1), (catalogue.spec("cartpole"), 0)])
def test_real_runs_keep_the_laws(spec, laws):
    found = check_laws(spec, simulated(spec))
    assert len(found) == laws
    for check in found:
        assert check.summary()["error_mean"] < 1e-3
        assert check.summary()["error_max"] < 2e-3
        assert check.expected.shape == check.error.shape == (len(check.contexts),)


def under_other_gravity(spec, factor):
    def run(obs, actions, contexts):
        changed = contexts.copy()
        changed[:, 0] = (factor * contexts[:, 0]).clip(*spec.features[0].limits)
        return simulated(spec)(obs, actions, changed)

    return run


def test_a_dream_of_a_tenth_more_gravity_is_a_tenth_off():
    (fall,) = check_laws(BALL, under_other_gravity(BALL, 1.1))
    assert fall.error == pytest.approx(np.full(5, 0.1), abs=1e-6)
    assert fall.summary()["ratio_min"] == pytest.approx(1.1)
    period, amplitude = check_laws(PENDULUM, under_other_gravity(PENDULUM, 1.1))
    assert period.error == pytest.approx(np.full(25, 1 - 1.1**-0.5), abs=2e-3)
    assert amplitude.error.max() < 0.02


def test_a_dream_that_loses_its_swing_is_found_out():
    def damped(obs, actions, contexts):
        real = simulated(PENDULUM)(obs, actions, contexts).astype(float)
        angle, fade = np.arctan2(-real[..., 1], -real[..., 0]), np.exp(-0.01 * np.arange(real.shape[1]))
        return np.stack([-np.cos(angle * fade), -np.sin(angle * fade), real[..., 2] * fade], -1)

    period, amplitude = check_laws(PENDULUM, damped)
    assert period.error.max() < 2e-3
    # The last whole swing of n steps is e^(-0.01 (101 - n)) of the first.
    steps = np.round(period.expected / PENDULUM.timestep)
    assert amplitude.found == pytest.approx(np.exp(-0.01 * (101 - steps)), rel=0.02)


def test_a_dream_that_stands_still_is_wholly_wrong():
    def still(obs, actions, contexts):
        return np.repeat(obs[:, None], actions.shape[1] + 1, axis=1)

    period, _ = check_laws(PENDULUM, still)
    assert (period.error == 1.0).all()
    assert period.summary()["ratio_min"] == 0.0
    assert check_laws(BALL, still)[0].error == pytest.approx(np.ones(5))


def test_periods_by_hand():
    assert crossing_period(np.array([1.0, -1.0, -1.0, 1.0, 1.0, -1.0]), 0.5) == pytest.approx(2.0)
    assert crossing_period(np.array([1.0, 2.0, -1.0, -2.0]), 0.5) == np.inf
