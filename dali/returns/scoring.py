"""Scores of evaluations: normalised by the references where they ship, and aggregated by regime.

Shapes: M contexts, R runs (seeds).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dali.envs.contexts import REGIMES, evaluation_grid
from dali.envs.spec import EnvSpec
from dali.returns.estimators import Estimate, aggregate, normalise, resampling
from dali.returns.play import Evaluation
from dali.returns.reference import load_references

NORMALISED, RETURN = "normalised score", "return"


@dataclass(frozen=True)
class Scores:
    """Mean score of each run in each context that all of the runs were evaluated on."""

    contexts: np.ndarray  # (M, F)
    regimes: np.ndarray  # (M,) names
    grids: list[str]  # M
    runs: np.ndarray  # (R, M)
    random: np.ndarray  # (M,), the random policy: from the references, or played beside the runs
    measure: str  # NORMALISED (0 the random policy, 1 the reference) or RETURN
    reference: str | None  # what 1 stands for, in words


@dataclass(frozen=True)
class RegimeScore:
    """Interquartile means over the contexts of one regime."""

    regime: str
    contexts: int
    agent: Estimate
    random: Estimate


def compare(spec: EnvSpec, methods: Mapping[str, Sequence[Evaluation]], normalised: bool = True) -> dict[str, Scores]:
    """Scores of several methods, each with its runs, on the contexts that all runs of all of them share."""
    tables = [_means(evaluation) for evaluations in methods.values() for evaluation in evaluations]
    shared = {c for c in tables[0] if all(c in table for table in tables)} if tables else set()
    return {name: _score(spec, evaluations, shared, normalised) for name, evaluations in methods.items()}


def score(spec: EnvSpec, evaluations: Sequence[Evaluation], normalised: bool = True) -> Scores:
    """Scores of runs of one method, on the contexts that they share.

    Args:
        normalised: False, or references missing for a context, leaves returns as they are.
    """
    return compare(spec, {"": evaluations}, normalised)[""]


def _means(evaluation: Evaluation) -> dict[tuple[float, ...], np.ndarray]:
    """Context -> mean return of the agent and of the random policy (2,), where episodes were played."""
    keys = map(tuple, evaluation.contexts.tolist())
    pairs = np.stack(evaluation.mean_returns(), 1)  # (M, 2)
    return {key: pair for key, pair in zip(keys, pairs, strict=True) if not np.isnan(pair).any()}


def _score(spec: EnvSpec, evaluations: Sequence[Evaluation], shared: set, normalised: bool) -> Scores:
    first, tables = evaluations[0], [_means(evaluation) for evaluation in evaluations]
    order = _grid_order(spec)
    keep = [i for i, c in enumerate(map(tuple, first.contexts.tolist())) if c in shared]
    keep.sort(key=lambda i: order.get(tuple(first.contexts[i].tolist()), len(order)))
    contexts = first.contexts[keep]
    pairs = np.array([[table[tuple(c)] for c in contexts.tolist()] for table in tables])
    pairs = pairs.reshape(len(tables), len(keep), 2)  # (R, M, agent and random)
    returns, random = pairs[..., 0], pairs[..., 1].mean(0)
    measure, kind = RETURN, None
    references = load_references(spec.name) if normalised else None
    if references is not None:
        low, high = references.at(contexts)
        if not np.isnan(low).any():
            returns, random = normalise(returns, low, high), normalise(random[None], low, high)[0]
            measure, kind = NORMALISED, references.expert_kind
    regimes = np.array([first.regimes[i] for i in keep], dtype=str)
    return Scores(contexts, regimes, [first.grids[i] for i in keep], returns, random, measure, kind)


def _grid_order(spec: EnvSpec) -> dict[tuple[float, ...], int]:
    """Place of each context in the protocol's grid, whatever order it was evaluated in."""
    return {tuple(c): i for i, c in enumerate(evaluation_grid(spec)[0].tolist())}


def single_grid(spec: EnvSpec, contexts: np.ndarray, feature: int) -> np.ndarray:
    """Indices of the contexts (M, F) in which at most that feature differs from its default, by its value."""
    others = np.delete(contexts == spec.default_context, feature, axis=1).all(1)
    rows = np.flatnonzero(others)
    return rows[np.argsort(contexts[rows, feature], kind="stable")]


def by_regime(scores: Scores, draws: int = 2000) -> list[RegimeScore]:
    """IQM of each regime with its 95 % interval: over runs where there are several, else over contexts alone."""
    out = []
    for regime in REGIMES:
        where = scores.regimes == regime
        if where.sum() < 2:
            continue
        agent = aggregate(scores.runs[:, where], ("iqm",), resampling(scores.runs), draws=draws)["iqm"]
        random = aggregate(scores.random[None, where], ("iqm",), resample="contexts", draws=draws)["iqm"]
        out.append(RegimeScore(regime, int(where.sum()), agent, random))
    return out
