"""Which physics is trained on and which is held out: samplers, regimes and grids of the evaluation protocol.

Protocol (arXiv 2508.20294, appendix C): training contexts are uniform in the box of train ranges. A context is
"interpolation" if every feature lies inside its train range, bounds included; "extrapolation" if every feature that
differs from its default lies outside; "mixed" if one changed feature lies inside and another outside. Ours: a gap in a
train range lies outside of it.
"""

import itertools
from typing import Literal

import numpy as np

from dali.envs.spec import EnvSpec
from dali.errors import DaliError, unknown_name

Regime = Literal["interpolation", "extrapolation", "mixed"]
REGIMES: tuple[Regime, ...] = ("interpolation", "extrapolation", "mixed")

_TRAIN_STREAM, _HELD_OUT_STREAM = 1, 2  # part training from held-out draws of the same seed
_TOLERANCE = 1e-6  # relative; lets a limit that went through float32 pass


def check_contexts(spec: EnvSpec, contexts: np.ndarray, num: int | None = None) -> np.ndarray:
    """Returns contexts as (N, F) float64, clipped to the limits where rounding alone left them.

    Raises:
        DaliError: wrong shape, or a value that is not finite or lies outside its feature's limits; names the feature,
            the value and the limits.
    """
    contexts = np.array(contexts, dtype=np.float64)
    rows = "N" if num is None else num
    if contexts.ndim != 2 or contexts.shape[1] != spec.context_dim or (num is not None and len(contexts) != num):
        expected = ", ".join(f.name for f in spec.features)
        raise DaliError(
            f"Contexts of {spec.name} have shape {contexts.shape}; expected ({rows}, {spec.context_dim}): {expected}."
        )
    low, high = np.array([f.limits for f in spec.features]).T
    slack = _TOLERANCE * (high - low)
    bad = ~((contexts >= low - slack) & (contexts <= high + slack))  # also true for NaN
    if bad.any():
        row, column = np.argwhere(bad)[0]
        feature = spec.features[column]
        raise DaliError(
            f"Context feature {feature.name!r} of {spec.name} is {contexts[row, column]:g} {feature.unit}; "
            f"expected {feature.limits[0]:g} to {feature.limits[1]:g} {feature.unit}."
        )
    return np.clip(contexts, low, high)


def sample_contexts(spec: EnvSpec, n: int, seed: int) -> np.ndarray:
    """(n, F) training contexts, uniform in the box of train ranges; the same for the same seed."""
    unit = np.random.default_rng((_TRAIN_STREAM, seed)).random((n, spec.context_dim))
    return np.stack([f.at_share(u) for f, u in zip(spec.features, unit.T, strict=True)], axis=1)


def held_out_contexts(spec: EnvSpec, n: int, seed: int, regime: Regime = "interpolation") -> np.ndarray:
    """(n, F) contexts for evaluation, uniform over all of the limits' box that belongs to the regime.

    Drawn from another random stream than the training contexts of the same seed.
    """
    if regime not in REGIMES:
        raise unknown_name("regime", regime, REGIMES)
    if regime == "mixed" and spec.context_dim < 2:
        raise DaliError(f"Environment {spec.name} has one context feature, so no context is 'mixed'.")
    rng = np.random.default_rng((_HELD_OUT_STREAM, REGIMES.index(regime), seed))
    low, high = np.array([f.limits for f in spec.features]).T
    kept = np.empty((0, spec.context_dim))
    while len(kept) < n:
        drawn = rng.uniform(low, high, size=(max(64, 4 * n), spec.context_dim))
        inside = _inside(spec, drawn).sum(axis=1)  # a draw never hits a default, so every feature counts as changed
        wanted = {
            "interpolation": inside == spec.context_dim,
            "extrapolation": inside == 0,
            "mixed": (inside > 0) & (inside < spec.context_dim),
        }[regime]
        kept = np.concatenate([kept, drawn[wanted]])
    return kept[:n]


def regime_of(spec: EnvSpec, contexts: np.ndarray) -> list[Regime]:
    """The regime of each of (N, F) contexts; features at their default do not count as changed."""
    inside = _inside(spec, contexts)
    outside_changed = ~inside & ~_at_default(spec, contexts)
    inside_changed = inside & ~_at_default(spec, contexts)
    regimes: list[Regime] = []
    for any_outside, any_inside in zip(outside_changed.any(axis=1), inside_changed.any(axis=1), strict=True):
        regimes.append("interpolation" if not any_outside else "mixed" if any_inside else "extrapolation")
    return regimes


def evaluation_grid(
    spec: EnvSpec, size: Literal["paper", "quick"] = "paper"
) -> tuple[np.ndarray, list[Regime], list[str]]:
    """The contexts that agents are compared on.

    "paper": each feature alone over its single lists with the others at their default, and the product of the double
    lists without the rows that hold a default, so that the default context occurs once. "quick": of that grid, about
    a dozen contexts spread evenly over each regime.

    Returns:
        contexts (M, F), regimes (list of M), grids (list of M): the name of the feature varied, or "a x b".
    """
    if size not in ("paper", "quick"):
        raise unknown_name("evaluation grid", size, ("paper", "quick"))
    default = spec.default_context
    rows, grids = [], []
    for i, feature in enumerate(spec.features):
        for value in sorted((*feature.interpolate_single, *feature.extrapolate_single)):
            if value == feature.default and i > 0:
                continue
            row = default.copy()
            row[i] = value
            rows.append(row)
            grids.append(feature.name)
    for i, j in itertools.combinations(range(spec.context_dim), 2):
        first, second = spec.features[i], spec.features[j]
        for a in sorted((*first.interpolate_double, *first.extrapolate_double)):
            for b in sorted((*second.interpolate_double, *second.extrapolate_double)):
                if a == first.default or b == second.default:
                    continue
                row = default.copy()
                row[i], row[j] = a, b
                rows.append(row)
                grids.append(f"{first.name} x {second.name}")
    contexts = np.array(rows)
    regimes = regime_of(spec, contexts)
    if size == "paper":
        return contexts, regimes, grids
    keep = []
    for regime in REGIMES:
        members = [k for k, r in enumerate(regimes) if r == regime]
        keep += [members[k] for k in np.unique(np.linspace(0, len(members) - 1, 4).round().astype(int))]
    keep.sort()
    return contexts[keep], [regimes[k] for k in keep], [grids[k] for k in keep]


def check_held_out(spec: EnvSpec, evaluation: np.ndarray, training: np.ndarray) -> None:
    """Raises DaliError if any of the (M, F) evaluation contexts is one of the (N, F) training contexts."""
    low, high = np.array([f.limits for f in spec.features]).T
    gap = np.abs(np.asarray(evaluation)[:, None] - np.asarray(training)[None]) / (high - low)  # (M, N, F)
    same = (gap < _TOLERANCE).all(axis=2)
    if same.any():
        row = int(np.argwhere(same)[0, 0])
        values = ", ".join(f"{f.name} {v:g}" for f, v in zip(spec.features, evaluation[row], strict=True))
        raise DaliError(f"Evaluation context ({values}) of {spec.name} is one of the training contexts.")


def _inside(spec: EnvSpec, contexts: np.ndarray) -> np.ndarray:
    """(N, F) bool: the value lies in the train range, bounds included, and not in its gap."""
    contexts = np.asarray(contexts)
    inside = np.zeros(contexts.shape, dtype=bool)
    for column, feature in enumerate(spec.features):
        slack = _TOLERANCE * (feature.train[1] - feature.train[0])
        for low, high in feature.train_intervals:
            inside[:, column] |= (contexts[:, column] >= low - slack) & (contexts[:, column] <= high + slack)
    return inside


def _at_default(spec: EnvSpec, contexts: np.ndarray) -> np.ndarray:
    """(N, F) bool."""
    return np.isclose(contexts, spec.default_context, rtol=0.0, atol=1e-9)
