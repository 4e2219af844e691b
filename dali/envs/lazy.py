"""Packages that are imported when something of them is first used, so that an environment can be described without."""

import importlib
from collections.abc import Callable
from typing import Any


class Lazy:
    """Stands for a module, and imports it when a name of it is first asked for.

    Args:
        module: its name. prepare: is handed the module once it is imported.
    """

    def __init__(self, module: str, prepare: Callable[[Any], None] = lambda module: None):
        self._module, self._prepare, self._loaded = module, prepare, False

    def __getattr__(self, name: str) -> Any:
        module = importlib.import_module(self._module)
        if not self._loaded:
            self._loaded = True
            self._prepare(module)
        value = getattr(module, name)
        setattr(self, name, value)  # the next time it is found without this method
        return value
