"""The context encoder: windowing, causality, episode boundaries, and what its losses may read."""

import pytest
import torch

from dali.config import PRESETS, make_config
from dali.methods import METHODS
from dali.model.context import ContextEncoder, ForwardDynamics
from dali.model.normalizer import Normalizer
from dali.model.world_model import WorldModel

OBS, ACTION, WINDOW = 3, 2, 5


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return ContextEncoder(OBS, ACTION, code=4, window=WINDOW, width=16, heads=1).eval()


@pytest.fixture
def scales():
    normalizer = Normalizer(OBS)
    rng = torch.Generator().manual_seed(1)
    obs = torch.randn(200, OBS, generator=rng) * 3 + 1
    normalizer.update(obs.numpy(), (obs + 0.1 * torch.randn(200, OBS, generator=rng)).numpy())
    return normalizer


def sequence(batch: int, time: int, starts: tuple[int, ...] = (0,)):
    rng = torch.Generator().manual_seed(2)
    first = torch.zeros(batch, time, dtype=torch.bool)
    first[:, list(starts)] = True
    return torch.randn(batch, time, OBS, generator=rng), torch.randn(batch, time, ACTION, generator=rng), first


def codes(encoder, scales, obs, action, first):
    return encoder(encoder.tokens(obs, action, first, scales), first)


@pytest.mark.parametrize("time", [4, 5, 6, 10, 23])
def test_code_of_a_sequence_equals_code_of_its_window(encoder, scales, time):
    obs, action, first = sequence(2, time)
    whole = codes(encoder, scales, obs, action, first)
    for t in range(time):
        begin = max(0, t - WINDOW)  # K transitions need K + 1 observations
        window = codes(encoder, scales, obs[:, begin : t + 1], action[:, begin : t + 1], first[:, begin : t + 1])
        assert torch.allclose(whole[:, t], window[:, -1], atol=1e-5), t


def test_code_sees_neither_the_future_nor_what_is_older_than_its_window(encoder, scales):
    obs, action, first = sequence(1, 20)
    whole = codes(encoder, scales, obs, action, first)
    changed_obs, changed_action = obs.clone(), action.clone()
    changed_obs[:, 12], changed_action[:, 12] = 9.0, -9.0
    changed = codes(encoder, scales, changed_obs, changed_action, first)
    differs = ~torch.isclose(whole, changed, atol=1e-6).all(-1)[0]
    # o_12 takes part in the transitions to records 12 and 13, so in the windows that end at 12 .. 13 + K - 1.
    assert differs.nonzero().flatten().tolist() == list(range(12, 13 + WINDOW))


def test_code_does_not_look_across_an_episode_boundary(encoder, scales):
    obs, action, first = sequence(1, 12, starts=(0, 6))
    whole = codes(encoder, scales, obs, action, first)
    alone = codes(encoder, scales, obs[:, 6:], action[:, 6:], first[:, 6:])
    assert torch.allclose(whole[:, 6:], alone, atol=1e-6)
    obs[:, :6] = 5.0
    assert torch.equal(codes(encoder, scales, obs, action, first)[:, 6:], whole[:, 6:])


@pytest.mark.parametrize("heads", [1, 4])
def test_codes_of_some_steps_are_those_of_all(scales, heads):
    encoder = ContextEncoder(OBS, ACTION, code=4, window=WINDOW, width=16, heads=heads).eval()
    obs, action, first = sequence(2, 17, starts=(0, 6))
    steps = torch.tensor([[0, 5, 6, 16], [7, 3, 11, 12]])
    some = encoder.at(encoder.tokens(obs, action, first, scales), first, steps)
    every = codes(encoder, scales, obs, action, first)
    assert torch.allclose(some, every.gather(1, steps.unsqueeze(-1).expand(-1, -1, 4)), atol=1e-6)


def test_first_code_of_an_episode_says_nothing(encoder, scales):
    obs, action, first = sequence(3, 1)
    value = codes(encoder, scales, obs, action, first)
    assert torch.allclose(value[0], value[1], atol=1e-6)
    assert torch.allclose(value[1], value[2], atol=1e-6)


@pytest.fixture
def surprised(scales):
    """A world model whose context encoder reads innovations."""
    torch.manual_seed(0)
    config = make_config("pendulum", "dali_d", "tiny", 0, 700, context_tokens="innovations", context_window=WINDOW)
    model = WorldModel(config.model, config.method, OBS, ACTION, context_dim=2).eval()
    model.normalizer.load_state_dict(scales.state_dict())
    return model


def test_an_innovation_is_what_the_forward_dynamics_did_not_expect(surprised):
    obs, action, first = sequence(2, 9, starts=(0, 6))
    with torch.no_grad():
        surprised.code_mean.copy_(torch.randn(8, generator=torch.Generator().manual_seed(4)))
        tokens = surprised.tokens(obs, action, first)
        missed = surprised.forward_dynamics.loss(
            obs[:, :-1], action[:, 1:], obs[:, 1:], surprised.code_mean.expand(2, 8, -1), surprised.normalizer
        )
    innovations = tokens[..., 2 * OBS + ACTION : -1]
    inside = ~first[:, 1:]
    assert torch.allclose((innovations[:, 1:] ** 2).mean(-1)[inside], missed[inside], rtol=1e-4)
    assert not innovations[first].any()


def test_codes_of_innovations_come_from_their_window_alone(surprised):
    obs, action, first = sequence(1, 20)
    whole = surprised.codes(obs, action, first)
    for t in (3, 9, 19):
        cut = slice(max(0, t - WINDOW), t + 1)
        alone = surprised.codes_after(obs[:, cut], action[:, cut], first[:, cut])
        assert torch.allclose(whole[:, t], alone, atol=1e-5)
    obs[:, 12] = 9.0
    differs = ~torch.isclose(whole, surprised.codes(obs, action, first), atol=1e-6).all(-1)[0]
    assert differs.nonzero().flatten().tolist() == list(range(12, 13 + WINDOW))


def test_what_the_encoder_reads_trains_no_forward_dynamics(surprised):
    obs, action, first = sequence(2, 9)
    surprised.codes(obs, action, first).sum().backward()
    assert all(p.grad is None for p in surprised.forward_dynamics.parameters())
    assert all(p.grad is not None for p in surprised.context_encoder.parameters())


def test_forward_dynamics_loss_is_the_scaled_error():
    scales = Normalizer(OBS)
    scales.delta_std.copy_(torch.tensor([0.5, 1.0, 2.0]))
    dynamics = ForwardDynamics(OBS, ACTION, code=4, units=8, norm=True)
    torch.nn.init.zeros_(dynamics.net.out.weight)  # predicts no change
    obs, following = torch.zeros(1, OBS), torch.tensor([[1.0, 1.0, 1.0]])
    loss = dynamics.loss(obs, torch.zeros(1, ACTION), following, torch.zeros(1, 4), scales)
    assert loss.item() == pytest.approx((4.0 + 1.0 + 0.25) / 3)


def test_methods_are_the_table():
    rows = {m.name: (m.source, m.shallow, m.deep, m.cross_modal) for m in METHODS.values()}
    assert rows == {
        "dreamer_dr": ("none", False, False, False),
        "crssm_s": ("given", True, False, False),
        "crssm_d": ("given", False, True, False),
        "dali_s": ("inferred", True, False, False),
        "dali_s_chi": ("inferred", True, False, True),
        "dali_d": ("inferred", False, True, False),
        "dali_d_chi": ("inferred", False, True, True),
    }


def test_the_papers_preset_has_nothing_of_ours_in_how_its_code_learns():
    model, train = PRESETS["paper"]
    assert (model.deter, model.stoch, model.classes, model.latents, model.ensemble) == (512, 32, 32, "draws", 0)
    assert (train.pairing, train.context_warmup, train.dream_steps, train.context_swap) == ("same", 0, 0, 0.0)
    assert train.context_lr == train.context_lr_final == train.model_lr
