"""The rules of honesty: no true context where none is given, every parameter trained, gradients where they belong."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dali.config import make_config
from dali.envs import catalogue
from dali.methods import METHODS
from dali.model.context_losses import infer_context
from dali.model.losses import _swap_context, dream_loss, ensemble_loss, world_model_loss
from dali.train.trainer import Trainer

NOT_GIVEN = [m.name for m in METHODS.values() if m.source != "given"]
INFERRED = [m.name for m in METHODS.values() if m.infers_context]


def trainer(method: str, folder, steps: int = 400, **changes) -> Trainer:
    """A tiny run whose replay holds random episodes and that has made no update."""
    made = Trainer(
        make_config("pendulum", method, "tiny", 0, steps, **{"context_warmup": 0, "ensemble_updates": 0, **changes}),
        folder,
    )
    while made.env_steps < 240:
        made.collector.step(True, made.noise)
        made.env_steps += made.config.train.envs
    return made


def update(made: Trainer, batch) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    made.noise.manual_seed(7)
    metrics = made.learner.update(batch)
    return {k: float(v) for k, v in metrics.items()}, made.agent.state_dict()


@pytest.mark.parametrize("method", sorted(METHODS))
def test_only_methods_that_are_given_the_true_context_learn_from_it(method, tmp_path):
    first, second = trainer(method, tmp_path), trainer(method, tmp_path)
    batch = first.replay.sample()
    permuted = replace(batch, context=batch.context.roll(1, 0))
    assert not torch.equal(batch.context, permuted.context)
    metrics, weights = update(first, batch)
    other_metrics, other_weights = update(second, permuted)
    same = metrics == other_metrics and all(torch.equal(weights[k], other_weights[k]) for k in weights)
    assert same == (method in NOT_GIVEN)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_only_methods_that_are_given_the_true_context_act_on_it(method, tmp_path):
    made = trainer(method, tmp_path)
    for _ in range(3):
        made.learner.update(made.replay.sample())
    agent, spec = made.agent, catalogue.spec("pendulum")
    obs, context = torch.randn(4, spec.obs_dim), torch.randn(4, spec.context_dim)
    first = torch.ones(4, dtype=torch.bool)
    action, _, _ = agent.act(obs, first, agent.initial(4), context, None)
    other, _, _ = agent.act(obs, first, agent.initial(4), context.roll(1, 0), None)
    assert torch.equal(action, other) == (method in NOT_GIVEN)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_trainable_parameter_changes(method, tmp_path):
    made = trainer(method, tmp_path)
    before = {k: v.clone() for k, v in made.agent.named_parameters() if v.requires_grad}
    for _ in range(12):
        made.learner.update(made.replay.sample())
    still = [k for k, v in made.agent.named_parameters() if v.requires_grad and torch.equal(before[k], v)]
    assert still == []
    optimized = {id(p) for group in made.learner.optimizer.param_groups for p in group["params"]}
    assert optimized == {id(p) for p in made.agent.parameters() if p.requires_grad}


@pytest.mark.parametrize("method", INFERRED)
def test_world_model_does_not_read_the_code_of_its_own_sequence(method, tmp_path):
    """With pairing "across", what the sequence shows never reaches the context that the networks read."""
    made = trainer(method, tmp_path)
    batch, model = made.replay.sample(), made.agent.world_model.eval()  # in training the code's scale moves by itself
    window = batch.window_obs.clone()

    def context(changed):
        return infer_context(model, changed, made.config.train, made.noise.manual_seed(3)).context

    reference = context(batch)
    assert torch.equal(reference, context(replace(batch, obs=batch.obs + 1.0, prev_action=batch.prev_action * 0)))
    assert not torch.equal(reference, context(replace(batch, window_obs=window * 1.1)))
    assert torch.equal(reference, reference[:, :1].expand_as(reference))  # held for the whole sequence


@pytest.mark.parametrize("method", sorted(METHODS))
def test_no_record_under_a_swapped_context_is_learnt_from(method, tmp_path):
    made = trainer(method, tmp_path, context_swap=1.0)
    model, batch = made.agent.world_model, made.replay.sample()
    rows, time = batch.mask.shape
    context = torch.rand(rows, time, max(model.deep, model.shallow))
    whole = torch.ones(rows, time, dtype=torch.bool)
    found, mask = _swap_context(model, context, whole, made.config.train, made.noise)
    if not METHODS[method].deep:
        assert torch.equal(found, context)
        assert torch.equal(mask, whole)
        return
    other = torch.cat([context[-1:], context[:-1]])
    swapped = (~mask).sum(1)
    assert swapped.min() >= 1
    assert swapped.max() <= time // 2
    assert (mask.int().diff(dim=1) >= 0).all()  # they come first
    assert torch.equal(found[mask], context[mask])
    assert torch.equal(found[~mask], other[~mask])
    output = world_model_loss(model, batch, made.learner.carry, made.config.train, made.noise)
    assert not output.mask[:, 0].any()  # so that no dream of the behaviour starts there either


@pytest.mark.parametrize("method", INFERRED)
def test_which_losses_train_the_context_encoder(method, tmp_path):
    made = trainer(method, tmp_path)
    model, train = made.agent.world_model, made.config.train
    encoder = list(model.context_encoder.parameters())
    batch = made.replay.sample()

    def gradient(loss) -> bool:
        found = torch.autograd.grad(loss, encoder, allow_unused=True, retain_graph=True)
        return any(g is not None and bool(g.abs().sum() > 0) for g in found)

    inferred = infer_context(model, batch, train, made.noise)
    context, code = inferred.context, inferred.code
    assert gradient(inferred.loss)
    states, posterior = model.observe(batch.obs, batch.prev_action, context, made.learner.carry, "mean")
    # Deep: detached everywhere but in its own losses. Shallow: it keeps its gradient in the posterior.
    assert gradient(posterior.square().sum()) == METHODS[method].shallow
    if model.cross_modal is not None:
        assert gradient(model.cross_modal.loss(code, states.stoch).mean())
        stoch = states.stoch.detach().requires_grad_()
        grad = torch.autograd.grad(model.cross_modal.loss(code, stoch).mean(), stoch, allow_unused=True)[0]
        assert grad is None
    behavior, _ = made.learner._behavior_loss(states, context, batch.mask)
    assert not gradient(behavior)
    world = [p for n, p in model.named_parameters() if p.requires_grad]
    assert all(g is None for g in torch.autograd.grad(behavior, world, allow_unused=True, retain_graph=True))


def test_the_warm_up_trains_the_code_alone(tmp_path):
    made = trainer("dali_d_chi", tmp_path, context_warmup=5)
    before = {k: v.clone() for k, v in made.agent.named_parameters()}
    for _ in range(5):
        made.learner.update(made.replay.sample())
    changed = {k for k, v in made.agent.named_parameters() if not torch.equal(before[k], v)}
    assert {k.split(".")[1] for k in changed} == {"context_encoder", "forward_dynamics"}
    made.learner.update(made.replay.sample())
    assert any("rssm" in k for k, v in made.agent.named_parameters() if not torch.equal(before[k], v))


@pytest.mark.parametrize("method", ["dali_d_chi", "crssm_d", "dreamer_dr"])
def test_the_ensemble_learns_alone_after_the_code(method, tmp_path):
    made = trainer(method, tmp_path, ensemble_updates=4)
    before = {k: v.clone() for k, v in made.agent.named_parameters()}
    for _ in range(4):
        made.learner.update(made.replay.sample())
    changed = {k for k, v in made.agent.named_parameters() if not torch.equal(before[k], v)}
    assert {k.split(".")[1] for k in changed} == {"ensemble"}


@pytest.mark.parametrize("method", INFERRED)
def test_the_ensemble_trains_no_code_and_the_dream_no_ensemble(method, tmp_path):
    """L_FD of the ensemble reaches its own weights alone; what dreamed steps decode to reaches all but those."""
    made = trainer(method, tmp_path)
    model, train, batch = made.agent.world_model, made.config.train, made.replay.sample()
    names, weights = zip(*((n, p) for n, p in model.named_parameters() if p.requires_grad), strict=True)

    def reached(loss) -> set[str]:
        found = torch.autograd.grad(loss, weights, allow_unused=True, retain_graph=True)
        return {n.split(".")[0] for n, g in zip(names, found, strict=True) if g is not None and bool(g.any())}

    assert reached(ensemble_loss(model, batch)) == {"ensemble"}
    context = infer_context(model, batch, train, made.noise).context.detach()
    torch.nn.init.normal_(model.decoder.out.weight)  # a decoder that corrects an expectation begins at zero
    states, _ = model.observe(batch.obs, batch.prev_action, context, made.learner.carry, "mean")
    dreamed = dream_loss(model, batch, states, context, batch.mask, train, made.noise)
    assert reached(dreamed) == {"encoder", "rssm", "decoder"}


def test_what_a_dream_is_paid_for_is_its_error_against_the_data(tmp_path):
    """A dream whose transition and decoder are perfect costs nothing; one that is off by 2 σ everywhere costs 4 O."""
    made = trainer("dali_d_chi", tmp_path, dream_steps=3)
    model, batch = made.agent.world_model, made.replay.sample()
    context = infer_context(model, batch, made.config.train, made.noise).context.detach()
    states, _ = model.observe(batch.obs, batch.prev_action, context, made.learner.carry, "mean")
    constant = model.normalizer.normalize(torch.full_like(batch.obs, 0.5))[0, 0]
    model.decode_normalized = lambda features: constant.expand(*features.shape[:-1], -1)
    still = replace(batch, obs=torch.full_like(batch.obs, 0.5))

    def paid(changed) -> float:
        return float(dream_loss(model, changed, states, context, batch.mask, made.config.train, made.noise))

    assert paid(still) == pytest.approx(0.0, abs=1e-6)
    off = replace(batch, obs=torch.full_like(batch.obs, 0.5) + 2 * model.normalizer.obs_std)
    assert paid(off) == pytest.approx(4.0 * batch.obs.shape[-1], rel=1e-4)


def test_actor_and_critic_learn_at_every_nth_update_alone(tmp_path):
    made = trainer("dali_d_chi", tmp_path, behavior_every=2, context_every=1)
    learnt = []
    for _ in range(4):
        before = {k: v.clone() for k, v in made.agent.named_parameters()}
        made.learner.update(made.replay.sample())
        learnt.append({k.split(".")[1] for k, v in made.agent.named_parameters() if not torch.equal(before[k], v)})
    behavior, model = {"actor", "critic", "slow_critic"}, {"rssm", "decoder", "context_encoder"}
    assert all(model <= parts for parts in learnt)
    assert [parts & behavior for parts in learnt] == [behavior, set(), behavior, set()]


@pytest.mark.parametrize("method", ["dali_d_chi", "dali_s_chi"])
def test_the_code_learns_at_every_nth_update_alone(tmp_path, method):
    made = trainer(method, tmp_path, context_every=3)
    learnt = []
    for _ in range(made.config.train.context_warmup + 4):
        before = {k: v.clone() for k, v in made.agent.named_parameters()}
        made.learner.update(made.replay.sample())
        learnt.append({k.split(".")[1] for k, v in made.agent.named_parameters() if not torch.equal(before[k], v)})
    code = {"context_encoder", "forward_dynamics", "cross_modal"}
    assert [parts & code for parts in learnt[-4:]] == [code, set(), set(), code]
    assert all("rssm" in parts for parts in learnt[-4:])


def test_learning_rates_by_hand(tmp_path):
    """10 updates of warm-up, then 100: the code's rate has fallen before, and all fall over the last half."""
    made = trainer("dali_d_chi", tmp_path, context_warmup=10, anneal=0.5, anneal_to=0.2)
    learner, train = made.learner, made.config.train
    learner.total_updates = 110
    assert train.ensemble_updates == 0

    def rate(update: int, name: str) -> float:
        learner.update_count = update
        learner._set_rates()
        return next(g["lr"] for g in learner.optimizer.param_groups if g["name"] == name)

    assert rate(0, "context") == pytest.approx(train.context_lr)
    assert rate(5, "context") == pytest.approx((train.context_lr + train.context_lr_final) / 2)
    assert rate(10, "context") == rate(60, "context") == pytest.approx(train.context_lr_final)
    assert rate(60, "model") == pytest.approx(train.model_lr)
    assert rate(85, "model") == pytest.approx(0.6 * train.model_lr)
    assert rate(110, "actor") == pytest.approx(0.2 * train.actor_lr)


def test_a_non_finite_loss_stops_before_any_weight_changes(tmp_path):
    from dali.errors import TrainingError

    made = trainer("dali_d_chi", tmp_path)
    batch = made.replay.sample()
    before = {k: v.clone() for k, v in made.agent.named_parameters()}
    broken = replace(batch, reward=torch.full_like(batch.reward, float("nan")))
    with pytest.raises(TrainingError, match="not finite at update 0"):
        made.learner.update(broken)
    assert all(torch.equal(before[k], v) for k, v in made.agent.named_parameters())


def test_training_contexts_are_visited_evenly(tmp_path):
    made = Trainer(make_config("cartpole", "dreamer_dr", "tiny", 0, 4000, contexts=8), tmp_path)
    seen = list(made.collector.assigned)
    original = made.collector._start

    def spy(where, *rest):
        obs = original(where, *rest)
        seen.extend(made.collector.assigned[where])
        return obs

    made.collector._start = spy
    for _ in range(400):
        made.collector.step(True, made.noise)
    counts = np.bincount(seen[: len(seen) // 8 * 8], minlength=8)
    assert len(seen) > 40
    assert counts.max() - counts.min() <= 1
