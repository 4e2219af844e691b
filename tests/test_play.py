"""Evaluation: the same returns twice, alone and in company; nothing is played twice; the file keeps it all."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from dali.__main__ import app
from dali.config import make_config
from dali.envs import catalogue
from dali.envs.contexts import evaluation_grid
from dali.errors import CheckpointError, DaliError
from dali.model.agent import Agent
from dali.returns.play import (
    BATCH,
    EARLY,
    Actor,
    episode_seeds,
    evaluate,
    plan_episodes,
    play,
    play_actions,
    play_random,
)
from dali.returns.scoring import NORMALISED, score
from dali.runs.checkpoint import save_agent
from dali.runs.scores import EVAL_FILE, load_evaluation, save_evaluation

SPEC = catalogue.spec("pendulum")


def make_agent(method: str = "dali_d_chi", env: str = "pendulum") -> Agent:
    """Untrained, but with weights wild enough that its actions depend on the last bit of what it sees."""
    torch.manual_seed(0)
    agent = Agent(make_config(env, method, "tiny", 0, 600), catalogue.spec(env))
    with torch.no_grad():
        for name, parameter in agent.named_parameters():
            if "ensemble" not in name:  # what it expects is fed back, so that wild weights would diverge
                parameter.mul_(3.0)
        agent.behavior.actor.out.weight.normal_()
    return agent.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def agent() -> Agent:
    return make_agent()


def grid(rows: slice = slice(None)) -> np.ndarray:
    return evaluation_grid(SPEC, "quick")[0][rows]


def asked(episodes: int, seed: int = 0, rows: slice = slice(None)) -> pd.DataFrame:
    """Episodes in contexts of the quick grid."""
    return plan_episodes(SPEC, *(part[rows] for part in evaluation_grid(SPEC, "quick")), episodes, seed)


def test_an_episode_is_the_same_alone_and_in_any_company(agent):
    contexts, _, _ = evaluation_grid(SPEC, "paper")  # more than one batch
    assert len(contexts) > BATCH
    seeds = episode_seeds(contexts, 1, seed=0)[:, 0]
    together, *_ = play(agent, contexts, seeds)
    for row in (0, 7, BATCH - 1, BATCH):
        alone, *_ = play(agent, contexts[row : row + 1], seeds[row : row + 1])
        assert alone[0] == together[row]
    order = np.random.default_rng(0).permutation(len(contexts))
    assert (play(agent, contexts[order], seeds[order])[0] == together[order]).all()


def test_threads_change_nothing_and_are_given_back(agent):
    contexts = grid()
    seeds = episode_seeds(contexts, 1, seed=0)[:, 0]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one, *_ = play(agent, contexts, seeds)
        torch.set_num_threads(3)
        assert (play(agent, contexts, seeds)[0] == one).all()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_an_episode_that_ends_earns_nothing_more():
    spec = catalogue.spec("cartpole")
    returns, lengths, _ = play_random(spec, np.tile(spec.default_context, (20, 1)), np.arange(20))
    assert (returns == lengths).all()  # one point a step until the pole has fallen
    assert lengths.max() < 200


def test_seeds_depend_on_context_number_and_seed_alone():
    contexts = grid()
    seeds = episode_seeds(contexts, 5, seed=3)
    assert (episode_seeds(contexts[4:5], 2, seed=3)[0] == seeds[4, :2]).all()
    assert len(np.unique(seeds)) == seeds.size
    assert not np.isin(episode_seeds(contexts, 5, seed=4), seeds).any()


def test_only_methods_with_given_context_can_read_it(agent):
    contexts = grid()
    seeds = episode_seeds(contexts, 1, seed=0)[:, 0]
    seen = []

    def record(self, obs, first, state, true_context, *rest):
        seen.append(true_context.clone())
        return Agent.act(self, obs, first, state, true_context, *rest)

    given = make_agent("crssm_d")
    given.act = record.__get__(given)
    play(given, contexts, seeds)
    assert np.array_equal(seen[0][: len(contexts)].numpy(), SPEC.scale_context(contexts))

    blind = make_agent()
    blind.act = lambda obs, first, state, _, *rest: Agent.act(
        blind, obs, first, state, torch.full((BATCH, 2), float("nan")), *rest
    )
    assert (play(blind, contexts, seeds)[0] == play(agent, contexts, seeds)[0]).all()


def test_what_is_known_is_not_played_again(agent):
    first = evaluate(agent, asked(2, rows=slice(0, 2)), seed=0)
    marked = dataclasses.replace(first, episodes=first.episodes.assign(**{"return": first.episodes["return"] + 1000.0}))
    more = evaluate(agent, asked(3, rows=slice(1, 4)), 0, known=marked)
    assert more.by_context["episodes"].tolist() == [2, 3, 3, 3]  # context 0 was not asked for again
    assert more.episodes["episode"].tolist() == [0, 1, *[0, 1, 2] * 3]
    assert (more.episodes["return"][[0, 1, 2, 3]].to_numpy() == marked.episodes["return"].to_numpy()).all()
    fresh = evaluate(agent, asked(3, rows=slice(0, 4)), 0).episodes
    assert (more.episodes["return"][4:].to_numpy() == fresh["return"][5:].to_numpy()).all()
    with pytest.raises(DaliError, match="seed 0"):
        evaluate(agent, asked(1, seed=1, rows=slice(0, 1)), seed=1, known=first)
    with pytest.raises(DaliError, match="memory kept; expected 0, none"):
        evaluate(agent, asked(1), 0, known=first, memory="none")
    with pytest.raises(DaliError, match="found 0; expected at least 1"):
        asked(0)


def test_a_killed_evaluation_goes_on(agent, tmp_path):
    save_agent(tmp_path, agent)

    def killed(so_far, done, total):
        save_evaluation(tmp_path, so_far)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(agent, asked(BATCH // 8), seed=0, on_batch=killed)
    known = load_evaluation(tmp_path)
    assert len(known.episodes) == BATCH
    counted = []
    whole = evaluate(agent, asked(BATCH // 8), 0, known, lambda so_far, done, total: counted.append((done, total)))
    assert counted[-1] == (12 * BATCH // 8 - BATCH, 12 * BATCH // 8 - BATCH)
    pd.testing.assert_frame_equal(whole.episodes, evaluate(agent, asked(BATCH // 8), 0).episodes)


def test_returns_of_the_first_steps_are_those_of_the_rewards(agent):
    rewards = []
    spec = catalogue.spec("cartpole")

    def push_left(t, obs):
        rewards.append(t)
        return np.tile([1.0, 0.0], (len(obs), 1))

    fallen = play_actions(spec, np.tile(spec.default_context, (3, 1)), np.arange(3), push_left)
    assert (fallen.lengths < 25).all()  # a cart that is pushed one way drops its pole within about 10 steps
    assert (fallen.early == np.minimum(fallen.lengths[:, None], EARLY)).all()  # one point a step until then
    long = play_random(SPEC, np.tile(SPEC.default_context, (2, 1)), np.arange(2))
    assert (long.returns < long.early[:, 1]).all()  # the pendulum's rewards are all negative
    assert (long.early[:, 1] < long.early[:, 0]).all()


def test_a_policy_without_memory_acts_on_the_present_and_its_context_alone(agent):
    contexts, seen = grid(slice(0, 3)), {}
    for memory in ("kept", "none"):
        actor = Actor(agent, contexts, memory)
        first_step = Actor(agent, contexts)

        def watch(t, actor=actor, first_step=first_step, memory=memory):
            if t == 40:
                held = torch.zeros(3, agent.world_model.config.code)
                first_step._seen, first_step._first = actor._seen, torch.ones(BATCH, dtype=torch.bool)
                seen[memory] = actor.action_under(lambda _: held), first_step.action_under(lambda _: held)

        actor.play(np.arange(3), watch)
    assert np.array_equal(*seen["none"])
    assert not np.allclose(*seen["kept"], atol=1e-3)
    seeds = episode_seeds(contexts, 1, 0)[:, 0]
    assert (play(agent, contexts, seeds).returns != play(agent, contexts, seeds, "none").returns).all()


def test_a_hook_changes_what_the_networks_read_and_is_told_where(agent):
    contexts = np.repeat(evaluation_grid(SPEC, "paper")[0], 2, axis=0)[: BATCH + 3]
    seeds, calls = np.arange(len(contexts)), []

    def hook(t, where, context):
        calls.append((t, where, len(context)))
        return context

    assert (play(agent, contexts, seeds, hook=hook).returns == play(agent, contexts, seeds).returns).all()
    assert {(where.start, where.stop, num) for _, where, num in calls} == {(0, BATCH, BATCH), (BATCH, BATCH + 3, 3)}
    assert [t for t, where, _ in calls if where.start == 0] == list(range(SPEC.episode_steps))
    zero = play(agent, contexts[:4], seeds[:4], hook=lambda t, where, context: context * 0)
    assert (zero.returns != play(agent, contexts[:4], seeds[:4]).returns).all()


def test_the_file_holds_every_episode(agent, tmp_path):
    save_agent(tmp_path, agent)
    done = evaluate(agent, asked(2, seed=5), seed=5)
    save_evaluation(tmp_path, done)
    again = load_evaluation(tmp_path)
    pd.testing.assert_frame_equal(again.episodes, done.episodes, check_exact=True)
    assert (again.features, again.seed, again.memory) == (("g", "l"), 5, "kept")

    record = json.loads((tmp_path / EVAL_FILE).read_text())
    row = record["contexts"][3]
    physics = np.array([list(row["context"].values())])
    assert play(agent, physics, np.array(row["seed"][1:2]))[0][0] == pytest.approx(row["return"][1], abs=1e-4)

    agent_too = make_agent("dali_d")
    save_agent(tmp_path, agent_too)
    with pytest.raises(CheckpointError, match="other weights"):
        load_evaluation(tmp_path)
    (tmp_path / EVAL_FILE).write_text('{"schema": 1, "weights": "x"}')
    with pytest.raises(CheckpointError, match="does not hold an evaluation"):
        load_evaluation(tmp_path)


def test_a_file_without_returns_of_the_first_steps_is_read_and_goes_on(agent, tmp_path):
    save_agent(tmp_path, agent)
    save_evaluation(tmp_path, evaluate(agent, asked(1), seed=0))
    path = tmp_path / EVAL_FILE
    record = json.loads(path.read_text())
    for row in record["contexts"]:
        del row["return_10"], row["return_25"]
    path.write_text(json.dumps(record))
    old = load_evaluation(tmp_path)
    assert old.episodes[["return_10", "return_25"]].isna().all(axis=None)
    more = evaluate(agent, asked(2), 0, old)
    assert more.episodes["return_10"].notna().sum() == 12  # of the episodes played now
    save_evaluation(tmp_path, old)
    assert "return_10" not in path.read_text()


def test_the_command_without_memory_has_a_file_of_its_own(agent, tmp_path):
    save_agent(tmp_path, agent)
    arguments = ["evaluate", str(tmp_path), "--grid", "quick", "--episodes", "1", "--memory", "none"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert not (tmp_path / EVAL_FILE).exists()
    assert load_evaluation(tmp_path, "none").memory == "none"
    (tmp_path / EVAL_FILE).write_bytes((tmp_path / "eval-no-memory.json").read_bytes())
    with pytest.raises(CheckpointError, match="its memory is 'none', expected 'kept'"):
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
    done = evaluate(agent, asked(2), seed=0)
    scores = score(SPEC, [done, done])
    assert scores.measure == NORMALISED
    assert scores.runs.shape == (2, 12)
    raw = score(SPEC, [done], normalised=False)
    assert np.allclose(raw.runs[0], done.by_context["return"])
    assert (scores.runs[0] == scores.runs[1]).all()
    assert scores.regimes.tolist().count("interpolation") == 4


def test_the_command_says_what_becomes_of_episodes_played_before(agent, tmp_path):
    save_agent(tmp_path, agent)
    save_evaluation(tmp_path, evaluate(agent, asked(1, 5, slice(0, 1)), seed=5))
    arguments = ["evaluate", str(tmp_path), "--grid", "quick", "--episodes", "1"]
    refused = CliRunner().invoke(app, arguments)
    assert "holds episodes of seed 5" in str(refused.exception)
    kept = json.loads((tmp_path / EVAL_FILE).read_text())
    assert kept["seed"] == 5  # nothing was overwritten
    save_agent(tmp_path, make_agent("dali_d"))
    anew = CliRunner().invoke(app, arguments)
    assert "Nothing played before can be kept" in anew.output
    assert load_evaluation(tmp_path).seed == 0
