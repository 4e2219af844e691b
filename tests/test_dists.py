"""Distributions and returns against numbers worked out by hand."""

import math

import pytest
import torch

from dali.model.behavior import lambda_return
from dali.model.dists import (
    categorical_kl,
    normal_entropy,
    normal_log_prob,
    sample_onehot,
    symexp,
    twohot_bins,
    twohot_loss,
    twohot_mean,
    unimix_probs,
)
from dali.model.rssm import kl_losses


def test_symexp_by_hand():
    assert torch.allclose(symexp(torch.tensor([-1.0, 0.0, 1.0])), torch.tensor([1 - math.e, 0.0, math.e - 1]))


def test_twohot_splits_a_value_between_its_neighbours():
    support = torch.tensor([-1.0, 0.0, 2.0])
    logits = torch.log(torch.tensor([[0.2, 0.5, 0.3]]))
    # 0.5 lies a quarter of the way from 0 to 2.
    expected = -(0.75 * math.log(0.5) + 0.25 * math.log(0.3))
    assert twohot_loss(logits, torch.tensor([0.5]), support).item() == pytest.approx(expected, rel=1e-5)
    # On a bin, all of the weight is there; beyond the support, at its end.
    assert twohot_loss(logits, torch.tensor([2.0]), support).item() == pytest.approx(-math.log(0.3), rel=1e-5)
    assert twohot_loss(logits, torch.tensor([-9.0]), support).item() == pytest.approx(-math.log(0.2), rel=1e-5)


def test_twohot_mean_of_a_uniform_distribution_is_exactly_zero():
    support = twohot_bins(255)
    assert twohot_mean(torch.zeros(4, 255), support).tolist() == [0.0] * 4
    value = torch.tensor([-7.5, 0.3, 120.0])
    above = torch.searchsorted(support, value)
    weight = (value - support[above - 1]) / (support[above] - support[above - 1])
    probs = torch.zeros(3, 255).scatter_(1, above[:, None], weight[:, None])
    probs.scatter_(1, above[:, None] - 1, 1 - weight[:, None])
    assert torch.allclose(twohot_mean(torch.log(probs + 1e-30), support), value, rtol=1e-4)


def test_unimix_keeps_every_class_possible():
    probs = unimix_probs(torch.tensor([[100.0, 0.0, 0.0, 0.0]]), 0.01)
    assert torch.allclose(probs, torch.tensor([[0.9925, 0.0025, 0.0025, 0.0025]]))


def test_samples_follow_the_inverse_distribution_function():
    probs = torch.tensor([0.2, 0.5, 0.3]).expand(4, 3)
    drawn = sample_onehot(probs, torch.tensor([0.0, 0.19, 0.21, 0.71]))
    assert drawn.argmax(-1).tolist() == [0, 0, 1, 2]
    assert sample_onehot(probs, None).argmax(-1).tolist() == [1] * 4
    frequency = sample_onehot(probs[:1].expand(20_000, 3), torch.rand(20_000, generator=torch.manual_seed(0))).mean(0)
    assert torch.allclose(frequency, probs[0], atol=0.015)


def test_sample_passes_gradients_straight_through():
    logits = torch.tensor([[0.3, -0.2, 0.1]], requires_grad=True)
    weight = torch.tensor([[1.0, 2.0, 3.0]])
    (sample_onehot(logits.softmax(-1), torch.tensor([0.5])) * weight).sum().backward()
    expected = torch.autograd.grad((logits.softmax(-1) * weight).sum(), logits)[0]
    assert torch.allclose(logits.grad, expected)


def test_kl_is_summed_over_groups_clipped_and_stops_gradients():
    p = torch.tensor([[[0.5, 0.5], [0.9, 0.1]]], requires_grad=True)
    q = torch.tensor([[[0.25, 0.75], [0.9, 0.1]]], requires_grad=True)
    by_hand = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert categorical_kl(p, q).item() == pytest.approx(by_hand, rel=1e-5)
    dyn, rep = kl_losses(p, q, free_nats=1.0)
    assert dyn.item() == rep.item() == 1.0
    dyn, rep = kl_losses(p, q, free_nats=0.0)
    assert torch.autograd.grad(dyn.sum(), p, allow_unused=True)[0] is None
    dyn, rep = kl_losses(p, q, free_nats=0.0)
    assert torch.autograd.grad(rep.sum(), q, allow_unused=True)[0] is None


def test_normal_matches_torch():
    mean, std, x = torch.tensor([[0.1, -0.4]]), torch.tensor([[0.5, 0.9]]), torch.tensor([[0.3, 0.2]])
    reference = torch.distributions.Independent(torch.distributions.Normal(mean, std), 1)
    assert torch.allclose(normal_log_prob(x, mean, std), reference.log_prob(x))
    assert torch.allclose(normal_entropy(std), reference.entropy())


def test_lambda_return_by_hand():
    reward = torch.tensor([[1.0, 2.0]])
    value = torch.tensor([[10.0, 20.0]])
    discount = torch.tensor([[0.9, 0.5]])
    # R_2 = 2 + 0.5 * 20 = 12, whatever lambda; R_1 = 1 + 0.9 * (0.2 * 10 + 0.8 * 12).
    assert lambda_return(reward, value, discount, 0.8).tolist()[0] == pytest.approx([1 + 0.9 * 11.6, 12.0])
    # An episode that ends returns its reward alone.
    assert lambda_return(reward, value, torch.zeros(1, 2), 0.8).tolist() == [[1.0, 2.0]]


def test_the_mean_of_a_latent_is_its_probabilities():
    probs = torch.tensor([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    assert torch.equal(sample_onehot(probs, "mean"), probs)
    many = torch.stack([sample_onehot(probs, torch.full((2,), u)) for u in torch.linspace(0.0005, 0.9995, 1000)])
    assert torch.allclose(many.mean(0), probs, atol=2e-3)
