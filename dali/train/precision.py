"""What matrix products of a training are computed in: float32, or faster with fewer digits where hardware allows."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from dali.config import TrainConfig


@contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    """Multiplies float32 matrices as told, in torch's words, and afterwards as before.

    Attention is made of such products then: the fused one of a CPU takes six times as long in bfloat16.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        with nullcontext() if precision == "highest" else sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def slower_than_asked(train: TrainConfig) -> str | None:
    """A sentence where a training asks for a precision that makes it slower on this processor."""
    if train.device != "cpu" or train.matmul_precision == "highest" or multiplies_bfloat16() is not False:
        return None
    return f"matmul_precision={train.matmul_precision} may be slower than highest on this processor, which has no AMX."


def multiplies_bfloat16() -> bool | None:
    """Whether this processor has units for products of bfloat16 (AMX); None where this torch can't tell.

    A processor that has instructions for them, but no such units, is slower in bfloat16 than in float32.
    """
    if not hasattr(torch.cpu, "get_capabilities"):  # older versions lack it
        return None
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))
