"""What is written out by hand for speed, against the formula and autograd."""

import pytest
import torch
import torch.nn.functional as F

from dali.config import ModelConfig
from dali.model.dists import draw_at, sample_onehot, unimix_probs
from dali.model.nets import MLP, Evaluation, NormAct, Picked, stack_in_time
from dali.model.recurrence import Plan, Weights, roll
from dali.model.rssm import RSSM, LatentState

BATCH, TIME, OBS = 3, 4, 2
CONFIG = ModelConfig(deter=6, stoch=3, classes=4, hidden=5, units=5, latents="draws", ensemble=0, expectation=False)


def make_rssm(expected: int) -> RSSM:
    torch.manual_seed(0)
    rssm = RSSM(CONFIG, embed=5, action_dim=1, deep=0, shallow=0, expected=expected).double()
    for parameter in rssm.parameters():  # norms begin at 1 and 0, where a wrong gradient of either may not show
        torch.nn.init.normal_(parameter, std=0.7)
    return rssm


def written_out(w: Weights, plan: Plan, given, seen, deter, stoch):
    """The formula at the top of dali.model.recurrence, for autograd."""
    deters, stochs, probs = [], [], []
    for t in range(given.shape[1]):
        before = deter[:, : CONFIG.deter]
        entering = given[:, t] + stoch @ w.stoch.t()
        if plan.expectation is not None:
            expected = plan.expectation(t, deter, stoch).detach()
            entering = entering + expected @ w.expected.t()
        x = F.silu(F.layer_norm(entering, w.norm.shape, w.norm, w.norm_bias, 1e-3))
        parts = F.layer_norm(torch.cat([x, before], -1) @ w.gru.t(), w.gru_norm.shape, w.gru_norm, w.gru_bias, 1e-3)
        reset, candidate, update = parts.chunk(3, -1)
        update = torch.sigmoid(update - 1)
        deter = (1 - update) * before + update * torch.tanh(torch.sigmoid(reset) * candidate)
        if plan.expectation is not None:
            deter = torch.cat([deter, expected], -1)
        head = deter @ w.head.t() + (0 if seen is None else seen[:, t])
        head = F.silu(F.layer_norm(head, w.head_norm.shape, w.head_norm, w.head_bias, 1e-3))
        logits = (head @ w.out.t() + w.out_bias).unflatten(-1, (plan.groups, -1))
        prob = unimix_probs(logits, plan.unimix)
        stoch = sample_onehot(prob, draw_at(plan.noise, t)).flatten(-2)
        for into, value in zip((deters, stochs, probs), (deter, stoch, prob), strict=True):
            into.append(value)
    return tuple(torch.stack(x, 1) for x in (deters, stochs, probs))


@pytest.mark.parametrize("posterior", [True, False])
@pytest.mark.parametrize("expected", [0, OBS])
@pytest.mark.parametrize("drawn", [True, False])
def test_states_and_gradients_are_those_of_the_formula(posterior, expected, drawn):
    rssm = make_rssm(expected)
    weights = rssm._posterior_weights() if posterior else rssm._prior_weights()
    double = {"dtype": torch.float64, "requires_grad": True}
    given, seen = torch.randn(BATCH, TIME, 5, **double), torch.randn(BATCH, TIME, 5, **double)
    deter = torch.randn(BATCH, CONFIG.deter + expected, **double)
    stoch = torch.rand(BATCH, rssm.stoch, **double)
    noise = torch.rand(BATCH, TIME, CONFIG.stoch, dtype=torch.float64) if drawn else "mean"

    def expectation(t, deter, stoch):
        return torch.cos(deter[:, :OBS] + stoch[:, :OBS] + t)

    plan = Plan(CONFIG.stoch, 0.01, noise, expectation if expected else None)
    inputs = [x for x in (given, seen if posterior else None, deter, stoch, *weights) if x is not None]
    found = {}
    for way in (roll, written_out):
        out = way(weights, plan, given, seen if posterior else None, deter, stoch)
        mixture = sum((o * torch.cos(torch.arange(o.numel(), dtype=o.dtype)).view_as(o)).sum() for o in out)
        found[way] = out, torch.autograd.grad(mixture, inputs)
    for mine, theirs in zip(*(found[way][0] for way in found), strict=True):
        torch.testing.assert_close(mine, theirs)
    for mine, theirs in zip(*(found[way][1] for way in found), strict=True):
        assert theirs.abs().max() > 1e-3
        torch.testing.assert_close(mine, theirs)


def test_a_state_with_columns_dreams_the_same_as_one_with_ones():
    rssm = make_rssm(0).float()
    state = LatentState(torch.randn(BATCH, 6), sample_onehot(torch.rand(BATCH, 3, 4), None).flatten(-2))
    picked, action, nothing = rssm.picked(state), torch.randn(BATCH, 1), torch.zeros(BATCH, 0)
    weights = rssm.prior_weights()
    for step in range(3):
        noise = torch.rand(BATCH, CONFIG.stoch)
        state = rssm.imagine_step(state, action, nothing, noise, None, weights)
        picked = rssm.imagine_step(picked, action, nothing, noise, None, weights)
        torch.testing.assert_close(picked.deter, state.deter)
        assert torch.equal(rssm.picked(state).columns, picked.columns), step


def dense(features: Picked) -> torch.Tensor:
    ones = torch.zeros(*features.columns.shape[:-1], 12).scatter_(-1, features.columns, 1.0)
    return torch.cat([features.rest[..., : features.before], ones, features.rest[..., features.before :]], -1)


def make_features() -> Picked:
    torch.manual_seed(1)
    columns = torch.randint(0, 4, (BATCH, TIME, 3)) + torch.arange(3) * 4
    return Picked(torch.randn(BATCH, TIME, 8), columns, before=6)


def gradients(net: MLP, out: torch.Tensor) -> list[torch.Tensor]:
    loss = (out * torch.cos(torch.arange(out.numel())).view_as(out)).sum()
    return list(torch.autograd.grad(loss, list(net.parameters())))


def test_picked_features_give_what_their_ones_would():
    features, net = make_features(), MLP(20, 7, units=9, layers=2)
    mine, theirs = net(features), net(dense(features))
    torch.testing.assert_close(mine, theirs)
    for one, other in zip(gradients(net, mine), gradients(net, theirs), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("picked", [True, False])
def test_a_net_evaluated_in_parts_has_the_gradient_of_the_whole(picked):
    features, net = make_features(), MLP(20, 7, units=9, layers=2)
    features = features if picked else dense(features)
    steps = [features[:, t] for t in range(TIME)]
    evaluation = Evaluation(net, TIME, BATCH)
    said = torch.cat([evaluation.step(t, step) for t, step in enumerate(steps)])
    whole = stack_in_time(steps).transpose(0, 1).flatten(0, 1)
    mine, theirs = evaluation.with_gradient(whole), net(whole)
    assert torch.equal(mine, said)
    torch.testing.assert_close(mine, theirs)
    for one, other in zip(gradients(net, mine), gradients(net, theirs), strict=True):
        torch.testing.assert_close(one, other)


def test_norm_and_activation_are_torchs():
    torch.manual_seed(2)
    net, x = NormAct(6).double(), torch.randn(2, 3, 6, dtype=torch.float64, requires_grad=True)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    torch.testing.assert_close(net(x), F.silu(F.layer_norm(x, (6,), net.weight, net.bias, 1e-3)))
    assert torch.autograd.gradcheck(lambda *a: net(a[0]), (x, net.weight, net.bias))
