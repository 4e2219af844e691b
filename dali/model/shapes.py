"""How a signature states a tensor's type and shape: ``Float[Tensor, "B T O"]``, in the letters of docs/architecture.md.

Tests check every call against its annotations (tests/conftest.py): a letter stands for one size within a call, a letter
with a star for any number of axes, ``...`` for axes that are not compared, and ``""`` for a scalar. Elsewhere an
annotation is read by people and mypy alone, and costs a call nothing.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

__all__ = ["Bool", "Float", "Int", "Shaped", "UInt8"]

if TYPE_CHECKING or find_spec("jaxtyping") is not None:
    from jaxtyping import Bool, Float, Int, Shaped, UInt8
else:
    # jaxtyping checks shapes in tests alone, so what trains or serves need not have it: there a stand-in leaves of
    # Float[Tensor, "B T O"] the type, Tensor, which any other reader of annotations understands.

    class _TypeAlone:
        def __class_getitem__(cls, described: tuple[Any, str]) -> Any:
            return described[0]

    Bool = Float = Int = Shaped = UInt8 = _TypeAlone
