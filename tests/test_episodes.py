"""Recorded episodes: the batched codes are those that acting infers, and held-out physics is held out."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from dali.codes.settled import mean_codes
from dali.config import make_config
from dali.envs import catalogue
from dali.envs.contexts import sample_contexts
from dali.episodes import collect, collect_standard, recorded_states
from dali.errors import CheckpointError, DaliError
from dali.model.agent import Agent
from dali.runs.artifacts import fit_readout, load_episodes, load_typical, save_analysis, save_episodes
from dali.runs.checkpoint import save_agent
from dali.runs.report import analyse
from dali.runs.run import Run


def untrained(env="pendulum", method="dali_d_chi"):
    torch.manual_seed(0)
    return Agent(make_config(env, method, "tiny", 0, 600), catalogue.spec(env)).requires_grad_(False).eval()


@pytest.mark.parametrize("frozen", [False, True])
def test_codes_of_recorded_episodes_are_those_that_acting_infers(frozen):
    agent = untrained()
    contexts = sample_contexts(agent.spec, 4, 0)
    episodes = collect(agent, contexts, np.full(4, "train"), 0, np.zeros(4, bool), 30)
    memory, scaled = agent.initial(4, frozen), torch.from_numpy(agent.spec.scale_context(contexts))
    for t in range(30):
        obs = torch.from_numpy(episodes.obs[:, t])
        _, memory, context = agent.act(obs, torch.full((4,), t == 0), memory, scaled, None)
        code = context * agent.world_model.code_std + agent.world_model.code_mean
        assert np.allclose(code.numpy(), episodes.code[:, t], rtol=2**-10, atol=1e-5), t  # half precision
        memory = replace(memory, action=torch.from_numpy(episodes.action[:, t]))


def test_an_episode_that_ended_stays_at_its_last_record():
    agent = untrained("cartpole")
    contexts = sample_contexts(agent.spec, 6, 0)
    episodes = collect(agent, contexts, np.full(6, "train"), 0, np.ones(6, bool), 120)
    assert (episodes.length < 120).any()
    for obs, reward, length in zip(episodes.obs, episodes.reward, episodes.length, strict=True):
        assert (obs[length:] == obs[length]).all()
        assert reward.sum() == length  # one a step while the pole stands
    assert np.isfinite(mean_codes(episodes)).all()


@pytest.mark.parametrize("env", catalogue.names())
def test_states_between_anchors_are_made_again_bit_for_bit(env, monkeypatch):
    agent = untrained(env)
    contexts = sample_contexts(agent.spec, 4, 0)
    explored = np.array([True, True, False, False])
    thin = collect(agent, contexts, np.full(4, "train"), 0, explored, 80)
    monkeypatch.setattr("dali.episodes.ANCHOR", 1)
    whole = collect(agent, contexts, np.full(4, "train"), 0, explored, 80).anchor
    monkeypatch.undo()
    last = whole.shape[1]
    assert thin.anchor.shape[1] == (last - 1) // 25 + 1 < last / 10
    simulator = catalogue.make(env, 4)
    for begin, end in ((0, last), (24, 26), (26, last), (last - 1, last)):
        np.testing.assert_array_equal(recorded_states(simulator, thin, begin, end), whole[:, begin:end])


def test_standard_dataset_holds_every_context_by_both_behaviours_and_no_held_out_one_twice():
    episodes = collect_standard(untrained(), seed=0, contexts=8)
    trained = {tuple(c) for c in episodes.context[episodes.regime == "train"]}
    held_out = {tuple(c) for c in episodes.context[episodes.regime != "train"]}
    assert not trained & held_out
    for group in np.unique(episodes.group):
        assert sorted(episodes.explored[episodes.group == group].tolist()) == [False, True]


def test_analysis_round_trip_and_control(tmp_path):
    agent = untrained()
    save_agent(tmp_path, agent)
    result = analyse(agent, seed=0, contexts=20)
    save_analysis(tmp_path, result)
    loaded = load_episodes(tmp_path / "latents.npz")
    assert all(np.array_equal(getattr(loaded, f.name), getattr(result.episodes, f.name)) for f in fields(loaded))
    run = Run(tmp_path)
    record = run.analysis()
    assert run.analysis_is_current()
    readout = fit_readout(loaded, agent.spec, load_typical(tmp_path))
    assert readout.code_std.shape == (agent.config.model.code,)
    assert (readout.code_std > 0).all()
    summary = record["summary"]
    assert set(summary) >= {"probe", "steering", "effective", "contexts", "seed", "seconds"}
    for feature in agent.spec.features:
        # An untrained model cannot be steered, and shuffled contexts cannot be read.
        assert abs(summary["steering"][feature.name]["skill_25"]) < 0.1
        assert summary["probe"][feature.name]["r2_control"] < 0.1
    (tmp_path / "config.json").write_text((tmp_path / "config.json").read_text() + " ")
    assert not run.analysis_is_current()


def test_what_cannot_be_analysed_says_so(tmp_path):
    with pytest.raises(DaliError, match="Dreamer-DR infers no context code"):
        analyse(untrained(method="dreamer_dr"))
    with pytest.raises(CheckpointError, match="make it with: python -m dali record"):
        load_episodes(tmp_path / "latents.npz")
    (tmp_path / "latents.npz").write_bytes(b"PK nonsense")
    with pytest.raises(CheckpointError, match="does not hold recorded episodes"):
        load_episodes(tmp_path / "latents.npz")
    episodes = collect(untrained(), sample_contexts(catalogue.spec("pendulum"), 2, 0), np.full(2, "train"), 0,
                       np.ones(2, bool), 60)  # fmt: skip
    save_episodes(tmp_path / "latents.npz", replace(episodes, anchor=episodes.anchor[:, :2]))
    with pytest.raises(CheckpointError, match=r"anchor has shape \(2, 2, 2\), expected 3 where it has 2"):
        load_episodes(tmp_path / "latents.npz")
    (tmp_path / "analysis.json").write_text("{")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        Run(tmp_path).analysis()
