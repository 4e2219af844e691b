"""Acting with frozen weights encodes each transition once, and infers what encoding the whole window would."""

from dataclasses import replace

import pytest
import torch

from dali.config import make_config
from dali.envs import catalogue
from dali.methods import METHODS
from dali.model.agent import Agent, AgentState, History
from dali.model.context import Kept

COPIES, STEPS = 5, 30  # more than three windows of the tiny preset


def make_agent(method: str, tokens: str) -> Agent:
    """An agent whose scales and code statistics are not those of the first day."""
    torch.manual_seed(0)
    config = make_config("pendulum", method, "tiny", 0, 600, context_tokens=tokens, context_heads=2)
    agent = Agent(config, catalogue.spec("pendulum")).requires_grad_(False).eval()
    model = agent.world_model
    for buffer in (model.normalizer.obs_mean, model.normalizer.obs_std, model.normalizer.delta_std):
        buffer.copy_(0.5 + torch.rand_like(buffer))
    if agent.method.infers_context:
        model.code_mean.normal_()
        model.code_std.uniform_(0.5, 2.0)
    return agent


def act_through(agent: Agent, state: AgentState) -> torch.Tensor:
    """The contexts (STEPS, N, X) that acting infers over episodes that start at different times."""
    numbers = torch.Generator().manual_seed(1)
    given = torch.randn(COPIES, agent.spec.context_dim, generator=numbers)
    contexts = []
    for t in range(STEPS):
        obs = torch.randn(COPIES, agent.obs_dim, generator=numbers)
        first = torch.rand(COPIES, generator=numbers) < (0.08 if t else 2.0)
        if t == 12:
            first[0] = True  # with a full window behind it
        _, state, context = agent.act(obs, first, state, given, None)
        taken = torch.rand(COPIES, agent.spec.action_dim, generator=numbers)
        state = replace(state, action=taken)
        contexts.append(context)
    return torch.stack(contexts)


@pytest.mark.parametrize("tokens", ["changes", "innovations"])
def test_kept_projections_give_the_codes_of_the_whole_window(tokens):
    agent = make_agent("dali_d_chi", tokens)
    recomputed, kept = agent.initial(COPIES), agent.initial(COPIES, frozen=True)
    assert isinstance(recomputed.window, History)
    assert isinstance(kept.window, Kept)
    expected = act_through(agent, recomputed)
    assert expected.std(0).min() > 1e-3  # codes that would not move would prove nothing
    torch.testing.assert_close(act_through(agent, kept), expected, rtol=1e-5, atol=1e-5)


def test_two_futures_of_one_memory_do_not_disturb_each_other():
    agent = make_agent("dali_d_chi", "changes")
    start, given = agent.initial(COPIES, frozen=True), torch.zeros(COPIES, agent.spec.context_dim)
    obs = torch.randn(3, COPIES, agent.obs_dim, generator=torch.Generator().manual_seed(2))
    nowhere = torch.zeros(COPIES, dtype=torch.bool)
    _, start, _ = agent.act(obs[0], ~nowhere, start, given, None)

    def follow(seen: torch.Tensor) -> tuple[AgentState, torch.Tensor]:
        _, state, _ = agent.act(seen, nowhere, start, given, None)
        return state, agent.act(obs[0], nowhere, state, given, None)[2]

    one, alone = follow(obs[1])
    _, other = follow(obs[2])
    assert not torch.allclose(alone, other)
    assert torch.equal(agent.act(obs[0], nowhere, one, given, None)[2], alone)


def test_memory_of_learning_weights_follows_them():
    agent = make_agent("dali_d_chi", "changes")
    state, given = agent.initial(COPIES), torch.zeros(COPIES, agent.spec.context_dim)
    obs = torch.randn(3, COPIES, agent.obs_dim, generator=torch.Generator().manual_seed(2))
    for t in range(2):
        _, state, _ = agent.act(obs[t], torch.full((COPIES,), t == 0), state, given, None)
    agent.world_model.context_encoder.query_key_value.weight.mul_(2.0)
    _, state, context = agent.act(obs[2], torch.zeros(COPIES, dtype=torch.bool), state, given, None)
    assert isinstance(state.window, History)
    code = agent.world_model.codes_after(state.window.obs, state.window.action, state.window.first)
    torch.testing.assert_close(context, agent.world_model.condition(code))


@pytest.mark.parametrize("method", sorted(METHODS))
def test_only_methods_that_infer_a_code_remember_a_window(method):
    agent = make_agent(method, "changes")
    for frozen in (False, True):
        assert (agent.initial(COPIES, frozen).window is None) is not agent.method.infers_context
        assert act_through(agent, agent.initial(COPIES, frozen)).shape[:2] == (STEPS, COPIES)
