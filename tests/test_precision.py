"""Matrix products of a training in fewer digits: only where and while asked, and nearly the same numbers."""

import pytest
import torch

from dali.config import make_config
from dali.errors import DaliError
from dali.train import learner, precision
from dali.train.precision import matmul_precision, multiplies_bfloat16, slower_than_asked
from dali.train.trainer import Trainer


def trained(folder, asked: str, monkeypatch) -> tuple[list[dict[str, float]], set[str], set[str]]:
    """Metrics of the world model's first updates, and the precisions in which it and all before it were computed."""
    config = make_config(
        "pendulum", "dali_d_chi", "tiny", 0, 600, context_warmup=2, ensemble_updates=2, matmul_precision=asked
    )
    trainer, in_model, before = Trainer(config, folder), set(), set()
    for _ in range(240 // config.train.envs):
        trainer.collector.step(True, trainer.noise)

    def watched(loss, seen):
        def computed(*args):
            seen.add(torch.get_float32_matmul_precision())
            return loss(*args)

        return computed

    for name, seen in (("world_model_loss", in_model), ("context_loss", before), ("ensemble_loss", before)):
        monkeypatch.setattr(learner, name, watched(getattr(learner, name), seen))
    metrics = [{k: float(v) for k, v in trainer.learner.update(trainer.replay.sample()).items()} for _ in range(6)]
    monkeypatch.undo()
    return metrics, in_model, before


def test_only_the_world_model_and_the_policy_learn_in_fewer_digits(tmp_path, monkeypatch):
    exact, in_model, before = trained(tmp_path / "exact", "highest", monkeypatch)
    assert (in_model, before) == ({"highest"}, {"highest"})
    rough, in_model, before = trained(tmp_path / "rough", "medium", monkeypatch)
    assert (in_model, before) == ({"medium"}, {"highest"})
    assert torch.get_float32_matmul_precision() == "highest"
    for one, other in zip(exact, rough, strict=True):
        assert one["loss/total"] == pytest.approx(other["loss/total"], rel=0.02)


def test_the_precision_before_comes_back_after_an_error():
    with pytest.raises(ZeroDivisionError), matmul_precision("medium"):
        _ = 1 / 0
    assert torch.get_float32_matmul_precision() == "highest"


def test_an_unknown_precision_is_refused():
    with pytest.raises(DaliError, match="'matmul_precision' is 'bf16'; expected 'highest', 'high' or 'medium'"):
        make_config("pendulum", "dali_d_chi", "tiny", 0, 600, matmul_precision="bf16")


@pytest.mark.parametrize(
    ("found", "asked", "device", "told"),
    [
        (False, "medium", "cpu", True),
        (False, "highest", "cpu", False),
        (True, "medium", "cpu", False),
        (None, "medium", "cpu", False),
        (False, "medium", "cuda", False),
    ],
)
def test_a_processor_that_would_be_slower_is_told(found, asked, device, told, monkeypatch):
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda: found)
    train = make_config("pendulum", "dali_d", "tiny", 0, 600, matmul_precision=asked, device=device).train
    assert bool(slower_than_asked(train)) == told


def test_a_torch_that_cannot_tell_says_so(monkeypatch):
    assert multiplies_bfloat16() in (True, False)
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert multiplies_bfloat16() is None
