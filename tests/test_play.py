"""Evaluation: the same returns twice, alone and in company; nothing is played twice; the file keeps it all."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from dali.__main__ import app
from dali.config import make_config
from dali.envs import catalogue
from dali.envs.contexts import evaluation_grid
from dali.errors import CheckpointError, DaliError
from dali.model.agent import Agent
from dali.returns.play import BATCH, episode_seeds, evaluate, play, play_random, return_at_default
from dali.returns.scoring import NORMALISED, by_regime, score
from dali.runs.checkpoint import save_agent
from dali.runs.scores import EVAL_FILE, load_evaluation, save_evaluation

SPEC = catalogue.spec("pendulum")


def make_agent(method: str = "dali_d_chi", env: str = "pendulum") -> Agent:
    """Untrained, but with weights wild enough that its actions depend on the last bit of what it sees."""
    torch.manual_seed(0)
    agent = Agent(make_config(env, method, "tiny", 0, 600), catalogue.spec(env))
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.mul_(3.0)
        agent.behavior.actor.out.weight.normal_()
    return agent.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def agent() -> Agent:
    return make_agent()


def grid(rows: slice = slice(None)) -> tuple[np.ndarray, list, list]:
    contexts, regimes, grids = evaluation_grid(SPEC, "quick")
    return contexts[rows], regimes[rows], grids[rows]


def test_an_episode_is_the_same_alone_and_in_any_company(agent):
    contexts, _, _ = evaluation_grid(SPEC, "paper")  # more than one batch
    assert len(contexts) > BATCH
    seeds = episode_seeds(contexts, 1, seed=0)[:, 0]
    together, _ = play(agent, contexts, seeds)
    for row in (0, 7, BATCH - 1, BATCH):
        alone, _ = play(agent, contexts[row : row + 1], seeds[row : row + 1])
        assert alone[0] == together[row]
    order = np.random.default_rng(0).permutation(len(contexts))
    assert (play(agent, contexts[order], seeds[order])[0] == together[order]).all()


def test_threads_change_nothing_and_are_given_back(agent):
    contexts, _, _ = grid()
    seeds = episode_seeds(contexts, 1, seed=0)[:, 0]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one, _ = play(agent, contexts, seeds)
        torch.set_num_threads(3)
        assert (play(agent, contexts, seeds)[0] == one).all()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_an_episode_that_ends_earns_nothing_more():
    spec = catalogue.spec("cartpole")
    returns, lengths = play_random(spec, np.tile(spec.default_context, (20, 1)), np.arange(20))
    assert (returns == lengths).all()  # one point a step until the pole has fallen
    assert lengths.max() < 200


def test_seeds_depend_on_context_number_and_seed_alone():
    contexts, _, _ = grid()
    seeds = episode_seeds(contexts, 5, seed=3)
    assert (episode_seeds(contexts[4:5], 2, seed=3)[0] == seeds[4, :2]).all()
    assert len(np.unique(seeds)) == seeds.size
    assert not np.isin(episode_seeds(contexts, 5, seed=4), seeds).any()


def test_only_methods_with_given_context_can_read_it(agent):
    contexts, _, _ = grid()
    seeds = episode_seeds(contexts, 1, seed=0)[:, 0]
    seen = []

    def record(self, obs, first, state, true_context, generator, act=Agent.act):
        seen.append(true_context.clone())
        return act(self, obs, first, state, true_context, generator)

    given = make_agent("crssm_d")
    given.act = record.__get__(given)
    play(given, contexts, seeds)
    assert np.array_equal(seen[0][: len(contexts)].numpy(), SPEC.scale_context(contexts))

    blind = make_agent()
    blind.act = lambda obs, first, state, _, generator: Agent.act(
        blind, obs, first, state, torch.full((BATCH, 2), float("nan")), generator
    )
    assert (play(blind, contexts, seeds)[0] == play(agent, contexts, seeds)[0]).all()


def test_what_is_known_is_not_played_again(agent):
    first = evaluate(agent, *grid(slice(0, 2)), episodes=2, seed=0)
    marked = dataclasses.replace(first, returns=first.returns + 1000.0)
    more = evaluate(agent, *grid(slice(1, 4)), episodes=3, seed=0, known=marked)
    assert more.returns.shape == (4, 3)
    assert (more.returns[:2, :2] == marked.returns).all()
    assert np.isnan(more.returns[0, 2])  # context 0 was not asked for again
    fresh = evaluate(agent, *grid(slice(0, 4)), episodes=3, seed=0)
    assert (more.returns[1:, 2] == fresh.returns[1:, 2]).all()
    assert (more.returns[2:] == fresh.returns[2:]).all()
    with pytest.raises(DaliError, match="seed 0"):
        evaluate(agent, *grid(slice(0, 1)), episodes=1, seed=1, known=first)


def test_a_killed_evaluation_goes_on(agent, tmp_path):
    save_agent(tmp_path, agent)

    def killed(so_far, done, total):
        save_evaluation(tmp_path, so_far)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(agent, *grid(), episodes=BATCH // 8, seed=0, on_batch=killed)
    known = load_evaluation(tmp_path)
    assert (~np.isnan(known.returns)).sum() == BATCH
    counted = []
    whole = evaluate(agent, *grid(), BATCH // 8, 0, known, lambda so_far, done, total: counted.append((done, total)))
    assert counted[-1] == (12 * BATCH // 8 - BATCH, 12 * BATCH // 8 - BATCH)
    rows = {tuple(c): i for i, c in enumerate(whole.contexts.tolist())}
    order = [rows[tuple(c)] for c in grid()[0].tolist()]
    assert (whole.returns[order] == evaluate(agent, *grid(), BATCH // 8, 0).returns).all()


def test_default_physics(agent):
    ours, random = return_at_default(agent, 3, seed=0)
    seeds = episode_seeds(SPEC.default_context[None], 3, 0)[0]
    assert (ours == play(agent, np.tile(SPEC.default_context, (3, 1)), seeds)[0]).all()
    assert ((random > -3500) & (random < -300)).all()


def test_the_file_holds_every_episode(agent, tmp_path):
    save_agent(tmp_path, agent)
    done = evaluate(agent, *grid(), episodes=2, seed=5)
    save_evaluation(tmp_path, done)
    again = load_evaluation(tmp_path)
    for name in ("contexts", "returns", "lengths", "random_returns", "seeds"):
        assert np.array_equal(getattr(again, name), getattr(done, name)), name
    assert (again.regimes, again.grids, again.seed) == (done.regimes, done.grids, 5)

    record = json.loads((tmp_path / EVAL_FILE).read_text())
    row = record["contexts"][3]
    physics = np.array([list(row["context"].values())])
    assert play(agent, physics, np.array(row["seed"][1:2]))[0][0] == row["return"][1]

    agent_too = make_agent("dali_d")
    save_agent(tmp_path, agent_too)
    with pytest.raises(CheckpointError, match="other weights"):
        load_evaluation(tmp_path)
    (tmp_path / EVAL_FILE).write_text('{"schema": 1, "weights": "x"}')
    with pytest.raises(CheckpointError, match="does not hold an evaluation"):
        load_evaluation(tmp_path)


def test_the_command_twice_gives_the_same_file(agent, tmp_path):
    save_agent(tmp_path, agent)
    arguments = ["evaluate", str(tmp_path), "--grid", "quick", "--episodes", "2"]
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.output
    assert "None of the 12 evaluation contexts is among the 8 training contexts" in first.output
    assert all(word in first.output for word in ("interpolation", "extrapolation", "mixed", "random"))
    text = (tmp_path / EVAL_FILE).read_text()
    (tmp_path / EVAL_FILE).unlink()
    CliRunner().invoke(app, arguments)
    assert (tmp_path / EVAL_FILE).read_text() == text


def test_scores_are_normalised_by_the_references(agent):
    done = evaluate(agent, *grid(), episodes=2, seed=0)
    scores = score(SPEC, [done, done])
    assert scores.measure == NORMALISED
    assert scores.runs.shape == (2, 12)
    raw = score(SPEC, [done], normalised=False)
    assert np.allclose(raw.runs[0], done.returns.mean(1))
    rows = by_regime(scores, draws=50)
    assert [row.contexts for row in rows] == [4, 4, 4]
    assert rows[0].agent.low == rows[0].agent.high  # two runs that are alike


def test_the_command_says_what_becomes_of_episodes_played_before(agent, tmp_path):
    save_agent(tmp_path, agent)
    save_evaluation(tmp_path, evaluate(agent, *grid(slice(0, 1)), episodes=1, seed=5))
    arguments = ["evaluate", str(tmp_path), "--grid", "quick", "--episodes", "1"]
    refused = CliRunner().invoke(app, arguments)
    assert "holds episodes of seed 5" in str(refused.exception)
    kept = json.loads((tmp_path / EVAL_FILE).read_text())
    assert kept["seed"] == 5  # nothing was overwritten
    save_agent(tmp_path, make_agent("dali_d"))
    anew = CliRunner().invoke(app, arguments)
    assert "Nothing played before can be kept" in anew.output
    assert load_evaluation(tmp_path).seed == 0
