"""Whether arrays are recorded episodes of a run: their shapes, kinds and values, checked once, at loading."""

from functools import lru_cache

import numpy as np

from dali.config import RunConfig
from dali.envs import catalogue
from dali.episodes import ANCHOR
from dali.files.text import quote

REGIMES = ("train", "interpolation", "extrapolation", "mixed")
# E episodes, T steps, V observation of the simulator, A action, S simulator state, Z code, F context features.
SHAPES = {
    "action": "ETA", "obs": "EUV", "reward": "ET", "anchor": "EKS", "code": "EUZ", "length": "E", "context": "EF",
    "group": "E", "regime": "E", "explored": "E",
}  # fmt: skip
DTYPES = {"length": "iu", "group": "iu", "regime": "U", "explored": "b"}  # kinds of NumPy's; the others are "f"


def episodes_problem(arrays: dict[str, np.ndarray], config: RunConfig | None) -> str | None:
    """What keeps arrays from being recorded episodes; None where nothing does.

    Args:
        arrays: by the names of the fields of Episodes.
        config: of the run, where they must fit one.
    """
    sizes = {} if config is None else _sizes(config)
    for name, letters in SHAPES.items():
        array = arrays[name]
        if array.dtype.kind not in DTYPES.get(name, "f"):
            return f"{name} holds values of the kind {array.dtype}"
        if array.ndim != len(letters):
            return f"{name} has shape {array.shape}, expected {len(letters)} dimensions"
        for letter, size in zip(letters, array.shape, strict=True):
            expected = sizes.setdefault(letter, size)
            if size != expected:
                return f"{name} has shape {array.shape}, expected {expected} where it has {size}"
            if letter == "T":  # one record more than steps, and a state at every ANCHOR-th of them
                sizes |= {"U": size + 1, "K": size // ANCHOR + 1}
    if min(sizes["E"], sizes["T"]) == 0:
        return "it has no episode, or none with a step"
    return _value_problem(arrays, config)


def _value_problem(arrays: dict[str, np.ndarray], config: RunConfig | None) -> str | None:
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return f"{name} holds values that are not finite"
    steps = arrays["action"].shape[1]
    if arrays["length"].min() < 1 or arrays["length"].max() > steps:
        return f"an episode has a length outside 1 to {steps}"
    if unknown := set(np.unique(arrays["regime"]).tolist()) - set(REGIMES):
        return f"an episode is of the regime {quote(min(unknown))}"
    if arrays["group"].min() < 0 or arrays["group"].max() >= len(arrays["group"]):
        return "an episode is of a group outside their number"
    if config is not None:
        features = catalogue.spec(config.env).features
        for feature, values in zip(features, arrays["context"].T, strict=True):
            low, high = feature.limits
            if values.min() < low or values.max() > high:
                return f"an episode has {feature.name} outside {low:g} to {high:g} {feature.unit}"
    return None


def _sizes(config: RunConfig) -> dict[str, int]:
    spec = catalogue.spec(config.env)
    code = config.model.code if config.method.infers_context else 0
    return {"V": spec.obs_dim, "A": spec.action_dim, "F": spec.context_dim, "Z": code, "S": _state_size(spec.name)}


@lru_cache
def _state_size(env: str) -> int:
    return catalogue.make(env, 1).get_state().shape[1]
