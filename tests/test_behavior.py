"""The behaviour's loss against its definition, written out one step after the other."""

import pytest
import torch

from dali.config import PRESETS
from dali.model.behavior import Behavior, lambda_return
from dali.model.dists import twohot_loss, twohot_losses, twohot_mean

BATCH, HORIZON, FEATURES, ACTIONS = 6, 5, 24, 2


def make_behavior(discrete: bool) -> Behavior:
    """A behaviour whose critic, which begins at zero, has learnt something."""
    torch.manual_seed(0)
    behavior = Behavior(PRESETS["tiny"][0], FEATURES, ACTIONS, discrete)
    for net in (behavior.critic, behavior.slow_critic, behavior.actor):
        torch.nn.init.normal_(net.out.weight, std=0.3)
    return behavior


def written_out(behavior: Behavior, features, action, reward, cont, train) -> torch.Tensor:
    """The same loss with every network evaluated where the formula names it."""
    with torch.no_grad():
        discount = train.discount * cont
        value = twohot_mean(behavior.critic(features), behavior.support)
        returns = lambda_return(reward, value[:, 1:], discount, train.lambda_)
        weight = torch.cat([torch.ones_like(cont[:, :1]), discount[:, :-1]], 1).cumprod(1)
        scale = behavior._track_return_range(returns, train.return_decay)
        slow = twohot_mean(behavior.slow_critic(features[:, :-1]), behavior.support)
    raw = behavior.actor(features[:, :-1])
    if behavior.discrete:
        probs = torch.softmax(raw, -1) * (1 - behavior.unimix) + behavior.unimix / ACTIONS
        log_prob, entropy = (probs.log() * action).sum(-1), -(probs * probs.log()).sum(-1)
    else:
        normal = torch.distributions.Normal(
            torch.tanh(raw[..., :ACTIONS]), 0.9 * torch.sigmoid(raw[..., ACTIONS:] + 2) + 0.1
        )
        log_prob, entropy = normal.log_prob(action).sum(-1), normal.entropy().sum(-1)
    actor = -(weight * (log_prob * (returns - value[:, :-1]) / scale + train.entropy * entropy)).mean()
    logits = behavior.critic(features[:, :-1])
    critic = twohot_loss(logits, returns, behavior.support) + twohot_loss(logits, slow, behavior.support)
    return actor + (weight * critic).mean()


@pytest.mark.parametrize("discrete", [False, True])
def test_loss_and_gradients_are_those_of_the_formula(discrete):
    behavior, train = make_behavior(discrete), PRESETS["tiny"][1]
    features = torch.randn(BATCH, HORIZON + 1, FEATURES)
    reward, cont = torch.randn(BATCH, HORIZON), torch.rand(BATCH, HORIZON)
    action = torch.randn(BATCH, HORIZON, ACTIONS)
    if discrete:
        action = torch.eye(ACTIONS)[torch.randint(0, ACTIONS, (BATCH, HORIZON))]

    def judged(features, *others) -> torch.Tensor:
        return behavior.loss(features, behavior.actor(features[:, :-1]), *others)[0]

    found = {}
    for name, of in (("loss", judged), ("formula", lambda *a: written_out(behavior, *a))):
        behavior.return_low.zero_(), behavior.return_high.zero_()
        behavior.zero_grad()
        value = of(features, action, reward, cont, train)
        value.backward()
        found[name] = value, [p.grad.clone() for p in behavior.parameters() if p.grad is not None]
    assert (
        len(found["loss"][1]) == len(found["formula"][1]) == len([p for p in behavior.parameters() if p.requires_grad])
    )
    torch.testing.assert_close(*(found[name][0] for name in found))
    for mine, theirs in zip(*(found[name][1] for name in found), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_several_targets_cost_what_each_costs_alone():
    torch.manual_seed(0)
    support = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    logits, targets = torch.randn(4, 3, 5), 3 * torch.randn(4, 3, 2)
    each = torch.stack([twohot_loss(logits, targets[..., i], support) for i in range(2)], -1)
    torch.testing.assert_close(twohot_losses(logits, targets, support), each)
