"""The collector: where exploratory episodes start."""

import numpy as np
import pytest

from dali.config import make_config
from dali.train.trainer import Trainer


def collector(folder, env="pendulum", **changes):
    return Trainer(make_config(env, "dreamer_dr", "tiny", 0, 4000, **changes), folder)


def run_to_the_next_start(trainer):
    """States (N, S) before and after copies start anew, and which did."""
    made = trainer.collector
    while True:
        before = made.simulator.get_state()
        made.step(True, trainer.noise)
        if made.first.any():
            return before, made.simulator.get_state(), made.first


@pytest.mark.parametrize(("share", "taken"), [(1.0, True), (0.0, False)])
def test_exploratory_episodes_start_where_others_stood(share, taken, tmp_path):
    trainer = collector(tmp_path, restart=share)
    made, ended = trainer.collector, []
    reset = made.simulator.reset

    def spy(*arguments):
        ended.append(made.simulator.get_state())
        return reset(*arguments)

    made.simulator.reset = spy
    _, after, started = run_to_the_next_start(trainer)
    assert started.all()  # episodes of the pendulum are of one length
    for copy, state in enumerate(after):
        found = [other for other in range(len(after)) if np.array_equal(ended[0][other], state)]
        assert bool(found) == taken
        assert copy not in found
    np.testing.assert_array_equal(made.obs, made.simulator.set_state(after))
    assert (made.lengths == 0).all()


def test_exploratory_episodes_are_cut_and_the_policy_s_are_not(tmp_path):
    trainer = collector(tmp_path, explore=0.5, explore_steps=30, envs=8)
    made, lengths = trainer.collector, {True: set(), False: set()}
    for _ in range(60):  # all explore
        lengths[True] |= {e.length for e in made.step(True, trainer.noise)}
    for _ in range(420):
        for episode in made.step(False, trainer.noise):
            lengths[episode.explored].add(episode.length)
    assert lengths == {True: {30}, False: {200}}
    batch = trainer.replay.sample()
    assert not batch.terminal.any()  # a cut episode has not ended


def test_no_episode_starts_where_another_fell(tmp_path):
    trainer = collector(tmp_path, "cartpole", restart=1.0, envs=4)
    for _ in range(40):
        _, _, started = run_to_the_next_start(trainer)
        step = trainer.collector.simulator.step(np.eye(2)[np.zeros(4, int)])
        assert not (step.terminated & started).all()


def test_an_agent_s_own_episodes_start_as_the_environment_says(tmp_path):
    trainer = collector(tmp_path, restart=1.0, explore=0.0)
    made, ended = trainer.collector, []
    reset = made.simulator.reset
    made.simulator.reset = lambda *arguments: (ended.append(made.simulator.get_state()), reset(*arguments))[1]
    while not ended:
        made.step(False, trainer.noise)
    after = made.simulator.get_state()
    assert not any(np.array_equal(a, b) for a in after for b in ended[0])
