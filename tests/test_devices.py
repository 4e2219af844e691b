"""Every tensor is made on the agent's device, checked without a second one.

Under FakeTensorMode tensors have a shape and a device and no numbers, and an operation on tensors of two devices fails
as it would on a GPU. The second device is "meta": torch slices fake tensors of "cuda" only where it is built for CUDA.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from dali.config import make_config
from dali.envs import catalogue
from dali.model.agent import Agent
from dali.model.batch import Batch
from dali.train.learner import Learner
from dali.train.trainer import Trainer

DEVICE = torch.device("meta")


class Answers(TorchDispatchMode):
    """What depends on numbers that fake tensors do not have: a scalar is 1, and a mask holds everywhere."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        args = tree_map_only(torch.Tensor, faked, args)
        if func is torch.ops.aten._local_scalar_dense.default:
            return 1.0
        if func is torch.ops.aten.nonzero.default:
            return args[0].new_zeros((args[0].numel(), args[0].dim()), dtype=torch.long)
        return func(*args, **(kwargs or {}))


def faked(tensor: torch.Tensor) -> torch.Tensor:
    """Tensors of "meta" that are made of numbers in a list come out real."""
    if isinstance(tensor, FakeTensor) or not tensor.is_meta:
        return tensor
    return torch.empty(tensor.shape, dtype=tensor.dtype, device=DEVICE)


@contextmanager
def second_device() -> Iterator[FakeTensorMode]:
    """Everything within is made of fake tensors."""
    with FakeTensorMode() as mode, Answers():
        yield mode


def there(agent: Agent) -> Agent:
    """The agent with all its tensors on the second device, as ``to`` leaves it."""
    for module in agent.modules():
        for name, value in module.named_parameters(recurse=False):
            tensor = torch.empty(value.shape, dtype=value.dtype, device=DEVICE)
            setattr(module, name, torch.nn.Parameter(tensor, requires_grad=value.requires_grad))
        for name, value in module.named_buffers(recurse=False):
            setattr(module, name, torch.empty(value.shape, dtype=value.dtype, device=DEVICE))
    return agent


def real_batch(config, folder) -> Batch:
    made = Trainer(config, folder)
    for _ in range(240 // config.train.envs):
        made.collector.step(True, made.noise)
    return made.replay.sample()


CASES = [
    ("pendulum", "dali_d_chi", {}),
    ("pendulum", "dali_d_chi", {"latents": "draws"}),
    ("cartpole", "dali_s_chi", {"expectation": False, "pairing": "same"}),
    ("pendulum", "crssm_d", {"context_tokens": "innovations"}),
    ("pendulum", "dreamer_dr", {"dream_steps": 0}),
]


@pytest.mark.parametrize(("env", "method", "changes"), CASES)
def test_all_updates_stay_on_one_device(env, method, changes, tmp_path, monkeypatch):
    adam = sys.modules[torch.optim.Adam.__module__]
    monkeypatch.setattr(adam, "_device_dtype_check_for_fused", lambda p: None)  # it does not know "meta"
    changes = {"context_warmup": 1, "ensemble_updates": 1, **changes}
    config, spec = make_config(env, method, "tiny", 0, 600, **changes), catalogue.spec(env)
    batch, agent = real_batch(config, tmp_path), Agent(config, spec)
    with second_device() as mode:
        agent = there(agent)
        fake = Batch(**{f.name: mode.from_tensor(getattr(batch, f.name)) for f in fields(batch)})
        learner = Learner(agent, config.train, 10, torch.Generator())
        seen = set()
        for _ in range(4):  # the code alone, the ensemble alone, everything
            metrics = learner.update(fake)
            seen |= metrics.keys()
            assert {value.device for value in metrics.values()} == {DEVICE}
        assert "loss/actor" in seen
        assert {p.device for p in agent.parameters()} == {b.device for b in agent.buffers()} == {DEVICE}
        assert all(value.device == DEVICE for value in learner.state().values() if value.dim())


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize(("env", "method", "changes"), CASES)
def test_acting_stays_on_one_device(env, method, changes, frozen):
    config, spec = make_config(env, method, "tiny", 0, 600, **changes), catalogue.spec(env)
    agent = Agent(config, spec)
    with second_device():
        agent = there(agent)
        state = agent.initial(3, frozen)
        obs, context = torch.zeros(3, agent.obs_dim, device=DEVICE), torch.zeros(3, spec.context_dim, device=DEVICE)
        for first in (True, False):
            flags = torch.full((3,), first, device=DEVICE)
            action, state, _ = agent.act(obs, flags, state, context, None)
            assert action.device == DEVICE


def test_a_tensor_of_another_device_is_found():
    """The check itself can fail."""
    with second_device(), pytest.raises(RuntimeError, match="on the same device"):
        torch.zeros(2, device=DEVICE) + torch.zeros(2)
