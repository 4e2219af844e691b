"""On a GPU an update does what it does on a CPU, within tolerance: ``pytest -m gpu``; skipped where there is no GPU.

The same comparison of the CPU with itself, by the two ways that one-hot latents are multiplied, runs everywhere.
"""

from collections.abc import Callable

import pytest
import torch

from dali.config import make_config
from dali.envs import catalogue
from dali.model.agent import Agent
from dali.train.learner import Learner
from dali.train.trainer import Trainer

UPDATES = 3
GPU = pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")])
RANDOM = ("rand", "randn", "randint")


def drawn_on_cpu(draw: Callable) -> Callable:
    """A generator of one device draws other numbers than one of another, so that all are drawn on the CPU."""

    def on_cpu(*args, device=None, **kwargs):
        return draw(*args, device="cpu", **kwargs).to(device or "cpu")

    return on_cpu


def learn(config, batches, weights, device: str) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    """Metrics of a few updates from the same start on a device, and the weights after them."""
    agent = Agent(config, catalogue.spec(config.env))
    agent.load_state_dict(weights)
    learner = Learner(agent.to(device), config.train, 100, torch.Generator().manual_seed(0))
    metrics = [{k: float(v) for k, v in learner.update(batch).items()} for batch in batches]
    return metrics, {k: v.cpu() for k, v in agent.state_dict().items()}


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize(
    ("env", "method", "changes"),
    [("pendulum", "dali_d_chi", {}), ("cartpole", "dali_s_chi", {"latents": "draws", "expectation": False})],
)
def test_updates_are_those_of_the_cpu(env, method, changes, device, tmp_path, monkeypatch):
    config = make_config(env, method, "tiny", 0, 600, context_warmup=0, ensemble_updates=0, **changes)
    made = Trainer(config, tmp_path)
    for _ in range(240 // config.train.envs):
        made.collector.step(True, made.noise)
    batches = [made.replay.sample() for _ in range(UPDATES)]
    weights = {k: v.clone() for k, v in made.agent.state_dict().items()}
    for name in RANDOM:
        monkeypatch.setattr(torch, name, drawn_on_cpu(getattr(torch, name)))
    wanted, after = learn(config, batches, weights, "cpu")
    if device == "cpu":
        monkeypatch.setattr("dali.model.rssm.RSSM.picked", lambda self, state: state)
    found, others = learn(config, batches, weights, device)
    for one, other in zip(wanted, found, strict=True):
        assert one == pytest.approx(other, rel=2e-3, abs=1e-4)
    for name, value in after.items():
        torch.testing.assert_close(others[name], value, rtol=2e-3, atol=2e-4, msg=name)
