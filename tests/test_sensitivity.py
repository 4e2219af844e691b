"""What policies react to: an agent that obeys one feature, one that is deaf, and what they lose."""

import json
import shutil
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from dali.__main__ import app
from dali.config import make_config
from dali.envs import catalogue
from dali.errors import CheckpointError, DaliError
from dali.export.reaction import reaction_rows, reaction_sentence
from dali.model.agent import Agent
from dali.returns import sensitivity
from dali.returns.estimators import Estimate
from dali.returns.sensitivity import (
    Reaction,
    ReturnLost,
    Sensitivity,
    given_moves,
    measure_reaction,
    moved_physics,
)
from dali.runs.artifacts import EPISODES_FILE, load_episodes
from dali.runs.checkpoint import load_agent
from dali.runs.reaction import context_moves, load_reaction
from dali.runs.run import Run

SPEC = catalogue.spec("pendulum")


def make_agent(act, method: str = "crssm_d") -> Agent:
    """A tiny agent whose actions (N, 1) are a function of observation and context as read."""
    torch.manual_seed(0)
    agent = Agent(make_config("pendulum", method, "tiny", 0, 600), SPEC).requires_grad_(False).eval()
    found = agent.act

    def acts(obs, first, state, true_context, generator, change=None, forget=False):
        _, state, context = found(obs, first, state, true_context, generator, change, forget)
        action = act(obs, context)
        return action, replace(state, action=action), context

    agent.act = acts
    return agent


def test_an_agent_that_obeys_one_feature_reacts_to_it_alone():
    agent = make_agent(lambda obs, context: 0.5 * context[:, :1])
    found = measure_reaction(agent, given_moves(SPEC), episodes=1)
    g, length = found.features
    # A quarter of the range is 0.5 of the scaled context, of which half is the action.
    assert g.action.value == pytest.approx(0.25, abs=1e-6)
    assert length.action.value == pytest.approx(0.0, abs=1e-6)
    assert g.length == pytest.approx(0.5, abs=1e-6)
    # A random direction in the plane has |cos| = 2 / π of the length in the feature's.
    assert g.random.value == pytest.approx(0.25 * 2 / np.pi, rel=0.1)
    assert found.states == 16 * found.contexts == 320


def test_a_deaf_agent_loses_nothing_and_reacts_to_nothing():
    agent = make_agent(lambda obs, context: -0.3 * obs[:, 2:])
    found = measure_reaction(agent, given_moves(SPEC), episodes=1)
    assert all(f.action.value == f.random.value == 0.0 for f in found.features)
    assert [(lost.change, lost.lost.value) for lost in found.lost] == [("frozen", 0.0), ("shuffled", 0.0)]
    assert found.lost[0].normalised.value == 0.0


def test_what_is_lost_is_the_return_of_acting_on_another_context(monkeypatch):
    """Episodes that cost the squared distance of the context acted on from the true one."""
    reads = []  # in the order of what is lost: frozen, shuffled

    def play(agent, physics, starts, hook):
        context = torch.from_numpy(SPEC.scale_context(physics))
        read = hook(40, slice(0, len(physics)), context)
        reads.append(read)
        return SimpleNamespace(returns=-((read - context) ** 2).sum(1).numpy())

    agent = make_agent(lambda obs, context: 0 * obs[:, :1])
    monkeypatch.setattr(sensitivity, "play", play)
    monkeypatch.setattr(sensitivity.Actor, "play", nothing_earned)
    found = measure_reaction(agent, given_moves(SPEC), episodes=2)
    scaled = SPEC.scale_context(sensitivity.card_contexts(SPEC))
    frozen, shuffled = found.lost
    assert frozen.lost.value == pytest.approx(scaled.var(0).sum(), rel=1e-5)
    donors = reads[1].numpy()[::2]
    assert (donors != scaled).any(1).all()  # none keeps its own physics
    assert sorted(map(tuple, donors)) == sorted(map(tuple, scaled))
    assert shuffled.lost.value == pytest.approx(((donors - scaled) ** 2).sum(1).mean(), rel=1e-5)


def nothing_earned(self, seeds, watch):
    """In place of Actor.play: every step reads the context, and no action is taken or tried."""
    for t in range(SPEC.episode_steps):
        self._hook(t, self._scaled[: self._num])
    probe = watch.__self__
    probe.changed[:] = probe.random[:] = probe.length[:] = 0.0
    return SimpleNamespace(returns=np.zeros(self._num), lengths=np.full(self._num, SPEC.episode_steps))


def test_delays_are_the_contexts_of_so_many_steps_ago():
    hook = sensitivity._delayed(2)
    for _ in range(2):  # a second batch starts anew
        seen = [hook(t, slice(0, 1), torch.full((1, 1), float(t))).item() for t in range(5)]
        assert seen == [0.0, 0.0, 0.0, 1.0, 2.0]


def test_moves_stay_inside_the_train_range_and_change_one_feature():
    physics = np.array([[5.0, 1.5], [14.0, 0.6]])
    assert moved_physics(SPEC, physics, 0).tolist() == [[7.5, 1.5], [11.5, 0.6]]
    assert moved_physics(SPEC, physics, 1).tolist() == [[5.0, 1.25], [14.0, 0.85]]


def test_a_method_without_context_is_refused():
    with pytest.raises(DaliError, match="Dreamer-DR has no context"):
        measure_reaction(make_agent(lambda obs, context: obs[:, :1], "dreamer_dr"), given_moves(SPEC))


def test_the_command_writes_what_can_be_loaded(make_run):
    run = make_run("pendulum", "dali_d_chi")
    result = CliRunner().invoke(app, ["react", str(run), "--episodes", "1", "--json"])
    assert result.exit_code == 0, result.output
    found = load_reaction(run)
    assert json.loads(json.dumps(asdict(found))) == json.loads(result.output)
    assert [change.change for change in found.lost] == ["frozen", "shuffled", "delayed by 5", "delayed by 25"]
    record = json.loads((run / "reaction.json").read_text())
    for change, message in (
        ({"weights": "of another"}, "of other weights"),
        ({"features": record["features"][:1]}, "its features are not g, l"),
        ({"contexts": -1}, "-1 is not a count"),
        ({"lost": [{**record["lost"][0], "lost": {**record["lost"][0]["lost"], "low": "x"}}]}, "not a figure"),
        ({"lost": 3}, "does not hold a reaction"),
    ):
        (run / "reaction.json").write_text(json.dumps(record | change))
        with pytest.raises(CheckpointError, match=message):
            load_reaction(run)
    (run / "reaction.json").unlink()
    with pytest.raises(CheckpointError, match="make it with: python -m dali react"):
        load_reaction(run)


def test_without_recorded_episodes_those_of_the_figures_are_played_again(make_run, tmp_path, monkeypatch):
    run = shutil.copytree(make_run("pendulum", "dali_d_chi"), tmp_path / "run")
    agent, recorded = load_agent(run), load_episodes(run / EPISODES_FILE)
    moves = context_moves(agent, run)
    (run / EPISODES_FILE).unlink()
    with pytest.raises(CheckpointError, match="python -m dali"):
        context_moves(agent, run)
    monkeypatch.setattr(Run, "analysed_on", lambda self: (10, 0))
    c_from, c_to = recorded.context[:5], recorded.context[5:10]
    np.testing.assert_allclose(context_moves(agent, run)(c_from, c_to), moves(c_from, c_to), atol=1e-5)


def test_a_sentence_says_what_stands_out_from_random_directions():
    def estimate(low, high):
        return Estimate((low + high) / 2, low, high, "contexts")

    def run(action, lost):
        features = (
            Sensitivity("g", estimate(*action), estimate(0.2, 0.3), 1.0),
            Sensitivity("l", estimate(0.1, 0.4), estimate(0.2, 0.3), 1.0),
        )
        return Reaction(features, (ReturnLost("shuffled", estimate(*lost), None),), 20, 3, 960, 0)

    one = reaction_sentence("dali_d", [("seed 0", run((0.5, 0.6), (-1.0, 3.0)))], SPEC)
    assert one == (
        "DALI-D changes its action more than random directions when gravity moves; no differently from random "
        "directions when rod length moves. Given another episode's context it loses 1.0 of its return, which its "
        "interval cannot tell from nothing."
    )
    three = [run((0.5, 0.6), (1.0, 3.0)), run((0.0, 0.1), (1.0, 3.0)), run((0.2, 0.3), (-1.0, 3.0))]
    text = reaction_sentence("crssm_d", [(f"seed {i}", r) for i, r in enumerate(three)], SPEC)
    assert "more than random directions when gravity moves in 1 of 3 runs" in text
    assert "less than random directions when gravity moves in 1 of 3 runs" in text
    assert "loses 1.7 of its return, with an interval above 0 in 2 of 3 runs" in text
    assert [row["Lost, shuffled"] for row in reaction_rows({"dali_d": [("seed 0", three[0])]}, SPEC)] == [
        "2.0 [1.0, 3.0]"
    ]
