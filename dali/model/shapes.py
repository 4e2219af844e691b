"""How a signature states a tensor's type and shape: ``Float[Tensor, "B T O"]``, in the letters of docs/architecture.md.

Tests check every call against its annotations (tests/conftest.py): a letter stands for one size within a call, a letter
with a star for any number of axes, ``...`` for axes that are not compared, and ``""`` for a scalar. Elsewhere an
annotation is read by people and mypy alone, and costs a call nothing.
"""

import sys
from typing import TYPE_CHECKING, Any

__all__ = ["Bool", "Float", "Int", "Shaped", "UInt8"]

if TYPE_CHECKING or sys.modules.get("jaxtyping"):  # whoever checks has loaded it, since the import hook is part of it
    from jaxtyping import Bool, Float, Int, Shaped, UInt8
else:
    # Nothing is checked, so jaxtyping need not be installed where one trains or serves, nor be imported where it is:
    # a stand-in leaves of Float[Tensor, "B T O"] the type, Tensor, which any other reader of annotations understands.

    class _TypeAlone:
        def __class_getitem__(cls, described: tuple[Any, str]) -> Any:
            return described[0]

    Bool = Float = Int = Shaped = UInt8 = _TypeAlone
