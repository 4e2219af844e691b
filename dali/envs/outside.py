"""Environments by names with a colon: "carl:Acrobot", and "my_module:MyEnv" of code outside this package.

Importing a module runs it, and a run's folder names its environment; folders come from anywhere. So a module is
imported only where a person named it: by an option of a command, or in DALI_ENVS. What is allowed is written into
DALI_ENVS too, so that processes that this one starts may import it as well.
"""

import importlib
import os
import re
import sys
from dataclasses import replace

from dali.envs.adapter import AdaptedSimulator, Adapter, simulator_type
from dali.envs.spec import EnvSpec
from dali.errors import DaliError, unknown_name
from dali.files.text import quote

VARIABLE = "DALI_ENVS"  # environments that may be imported, parted by commas
CARL = "carl"
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_known: dict[str, type[AdaptedSimulator]] = {}


def is_outside(name: str) -> bool:
    """True for a name that this module is asked about."""
    return ":" in name


def allow(names: str) -> None:
    """Lets the environments of these names, parted by commas, be imported by this process and those that it starts.

    Names without a colon, and CARL's, need no leave. The present folder is looked in last, as by ``python -m``.

    Raises:
        DaliError: a name of another form.
    """
    allowed = list(_allowed())
    for name in filter(None, (part.strip() for part in names.split(","))):
        if not is_outside(name) or name in allowed or name.startswith(f"{CARL}:"):
            continue
        if not _NAME.fullmatch(name):
            raise DaliError(f"The environment {quote(name)} is not of the form module:Class, as in my_module:MyEnv.")
        allowed.append(name)
    os.environ[VARIABLE] = ",".join(allowed)


def names() -> tuple[str, ...]:
    """The environments that may be used: CARL's, then those that a person named."""
    from dali.envs import carl_classic

    return (*(f"{CARL}:{name}" for name in carl_classic.ADAPTERS), *_allowed())


def simulator(name: str) -> type[AdaptedSimulator]:
    """The simulator of an environment of such a name.

    Raises:
        DaliError: nobody has allowed it, there is no such module or class, or it is no adapter.
    """
    if name not in _known:
        adapter = _carl(name) if name.startswith(f"{CARL}:") else _import(name)
        _known[name] = simulator_type(adapter, replace(adapter.spec, name=name))
    return _known[name]


def spec(name: str) -> EnvSpec:
    """The description of an environment of such a name. Raises as `simulator`."""
    return simulator(name).entry


def _allowed() -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in os.environ.get(VARIABLE, "").split(","))))


def _carl(name: str) -> type[Adapter]:
    from dali.envs import carl_classic

    known = {f"{CARL}:{entry}": adapter for entry, adapter in carl_classic.ADAPTERS.items()}
    if name not in known:
        raise unknown_name("environment", name, known)
    return known[name]


def _import(name: str) -> type[Adapter]:
    if name not in _allowed() or not _NAME.fullmatch(name):
        raise DaliError(
            f"The environment {quote(name)} is code outside this package, which is imported only where you name it: "
            f"start with {VARIABLE}=NAME, or give its name to --env, if you trust it."
        )
    module, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        raise DaliError(f"The environment {name} cannot be imported: there is no module {error.name!r}.") from error
    if not isinstance(found, type) or not issubclass(found, Adapter):
        raise DaliError(f"The environment {name} is no subclass of dali.envs.adapter.Adapter.")
    if not isinstance(getattr(found, "spec", None), EnvSpec):
        raise DaliError(f"The environment {name} has no attribute spec, made by dali.envs.adapter.describe.")
    return found
