"""Checkpoints: what is saved comes back, and what is not one is told in a sentence."""

import json

import pytest
import torch

from dali.config import SCHEMA, make_config
from dali.envs import catalogue
from dali.errors import CheckpointError
from dali.methods import METHODS
from dali.model.agent import Agent
from dali.runs.checkpoint import (
    CONFIG,
    METRICS,
    WEIGHTS,
    compact_agent,
    digest,
    leave_out_weights,
    list_runs,
    load_agent,
    load_config,
    save_agent,
)


def saved(folder, method="dali_d_chi"):
    torch.manual_seed(0)
    agent = Agent(make_config("pendulum", method, "tiny", 0, 600), catalogue.spec("pendulum")).eval()
    save_agent(folder, agent)
    return agent


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_loaded_agent_acts_as_the_saved_one(method, tmp_path):
    agent = saved(tmp_path, method)
    loaded = load_agent(tmp_path)
    obs, context = torch.randn(5, 3), torch.randn(5, 2)
    state, other = agent.initial(5), loaded.initial(5)
    for step in range(3):
        first = torch.full((5,), step == 0)
        action, state, _ = agent.act(obs, first, state, context, torch.manual_seed(step))
        again, other, _ = loaded.act(obs, first, other, context, torch.manual_seed(step))
        assert torch.equal(action, again)


def test_a_compact_run_s_log_keeps_the_digits_of_its_numbers(tmp_path):
    saved(tmp_path)
    (tmp_path / METRICS).write_text('{"env_steps": 123456789, "update": 2, "loss": 0.05462722142537435}\n')
    compact_agent(tmp_path)
    assert (tmp_path / METRICS).read_text() == '{"env_steps": 123456789, "update": 2, "loss": 0.05462722}\n'


def test_a_compact_run_keeps_a_log_that_curves_can_be_drawn_from(tmp_path):
    saved(tmp_path)
    rows = [json.dumps({"env_steps": i, "update": i}) for i in range(501)]
    (tmp_path / METRICS).write_text("\n".join(rows) + "\n")
    compact_agent(tmp_path)
    assert (tmp_path / METRICS).read_text().splitlines() == rows[2::3]  # at most 200, to the last


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        ([json.dumps({"env_steps": i, "update": i}) for i in range(250)], slice(None, None, 3)),  # to the last
        ([json.dumps({"env_steps": i, "update": i}) for i in range(100)], slice(None)),
        (["no row", *[json.dumps({"env_steps": i, "update": i}) for i in range(250)]], slice(None)),
    ],
    ids=["long", "short", "damaged"],
)
def test_a_run_without_weights_keeps_a_short_log(tmp_path, rows, kept):
    saved(tmp_path)
    (tmp_path / METRICS).write_text("\n".join(rows) + "\n")
    leave_out_weights(tmp_path)
    assert (tmp_path / METRICS).read_text().splitlines() == rows[kept]


def test_a_compact_agent_is_half_the_size_and_nearly_the_same(tmp_path):
    agent = saved(tmp_path)
    (tmp_path / "trainer").mkdir()
    before, after = compact_agent(tmp_path)
    assert after < 0.6 * before
    assert not (tmp_path / "trainer").exists()
    small, whole = load_agent(tmp_path).state_dict(), agent.state_dict()
    for name, value in whole.items():
        assert small[name].dtype == value.dtype
        torch.testing.assert_close(small[name], value, rtol=1e-3, atol=1e-4)


def test_a_weight_too_large_for_16_bits_is_refused_and_nothing_is_lost(tmp_path):
    agent = saved(tmp_path)
    with torch.no_grad():
        agent.world_model.rssm.gru.weight[0, 0] = 1e6
    save_agent(tmp_path, agent)
    kept = (tmp_path / WEIGHTS).read_bytes()
    with pytest.raises(CheckpointError, match=r"rssm\.gru\.weight.* holds 1e\+06"):
        compact_agent(tmp_path)
    assert (tmp_path / WEIGHTS).read_bytes() == kept


def edit_config(folder, change):
    data = json.loads((folder / CONFIG).read_text())
    change(data)
    (folder / CONFIG).write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda f: (f / CONFIG).unlink(), "is not a checkpoint: it holds no config.json"),
        (lambda f: (f / CONFIG).write_text("{"), "is not valid JSON"),
        (lambda f: (f / CONFIG).write_bytes(b"\xff\xfe\x00"), "is not UTF-8 text"),
        (lambda f: (f / CONFIG).write_text("[]"), "has no 'schema'"),
        (lambda f: edit_config(f, lambda d: d.update(schema=99)), f"has schema 99; .* reads schemas 1 to {SCHEMA}"),
        (lambda f: edit_config(f, lambda d: d.pop("seed")), "lacks field 'seed'"),
        (lambda f: edit_config(f, lambda d: d["train"].update(extra=1)), "has the unknown field 'extra'"),
        (lambda f: edit_config(f, lambda d: d["model"].update(deter=-4)), "'deter' is -4"),
        (lambda f: edit_config(f, lambda d: d.update(env="moon")), "Unknown environment 'moon'"),
        (lambda f: edit_config(f, lambda d: d.update(method_name="best")), "Unknown method 'best'"),
        (lambda f: edit_config(f, lambda d: d["model"].update(deter=16)), "has shape"),
        (lambda f: (f / WEIGHTS).unlink(), "holds no model.safetensors"),
        (lambda f: (f / WEIGHTS).write_bytes(b"not tensors at all"), "cannot be read as safetensors"),
        (lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:2000]), "cannot be read as safetensors"),
    ],
)
def test_damage_is_told_in_one_sentence(damage, expected, tmp_path):
    saved(tmp_path)
    damage(tmp_path)
    with pytest.raises(CheckpointError, match=expected) as caught:
        load_agent(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match="There is no checkpoint folder"):
        load_agent(tmp_path / "nothing")
    assert list_runs(tmp_path / "nothing") == []


def test_listing_and_configuration_round_trip(tmp_path):
    agent = saved(tmp_path / "b")
    saved(tmp_path / "a", "dreamer_dr")
    (tmp_path / "not a run").mkdir()
    assert [p.name for p in list_runs(tmp_path)] == ["a", "b"]
    assert load_config(tmp_path / "b") == agent.config


def test_the_digest_names_the_weights(tmp_path):
    agent = saved(tmp_path)
    before = digest(tmp_path)
    save_agent(tmp_path, agent)
    assert digest(tmp_path) == before
    agent.behavior.actor.out.bias.data += 1
    save_agent(tmp_path, agent)
    assert digest(tmp_path) != before


def test_loading_draws_no_weights_and_leaves_none_out(tmp_path):
    agent = saved(tmp_path)
    before = torch.random.get_rng_state()
    loaded = load_agent(tmp_path)
    assert torch.equal(torch.random.get_rng_state(), before)
    found, wanted = (dict([*a.named_parameters(), *a.named_buffers()]) for a in (loaded, agent))
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert torch.equal(found[name], value), name
