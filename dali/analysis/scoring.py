"""Scores of evaluations: normalised by the references where they ship, and aggregated by regime.

Shapes: M contexts, R runs (seeds).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dali.analysis.evaluate import Evaluation
from dali.analysis.generalization import Estimate, aggregate, normalise
from dali.analysis.reference import load_references
from dali.envs.contexts import REGIMES
from dali.envs.spec import EnvSpec

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


def score(spec: EnvSpec, evaluations: Sequence[Evaluation], normalised: bool = True) -> Scores:
    """Scores of runs of one method, on the contexts that they share.

    Args:
        normalised: False, or references missing for a context, leaves returns as they are.
    """
    first = evaluations[0]
    tables = []
    for evaluation in evaluations:
        means = np.stack(evaluation.mean_returns(), 1)  # (M, 2)
        keys = map(tuple, evaluation.contexts.tolist())
        tables.append({key: pair for key, pair in zip(keys, means, strict=True) if not np.isnan(pair).any()})
    keep = [i for i, c in enumerate(map(tuple, first.contexts.tolist())) if all(c in table for table in tables)]
    contexts = first.contexts[keep]
    pairs = np.array([[table[tuple(c)] for c in contexts.tolist()] for table in tables])  # (R, M, 2)
    returns, random = pairs[..., 0], pairs[..., 1].mean(0)
    measure, kind = RETURN, None
    references = load_references(spec.name) if normalised else None
    if references is not None:
        low, high = references.at(contexts)
        if not np.isnan(low).any():
            returns, random = normalise(returns, low, high), normalise(random[None], low, high)[0]
            measure, kind = NORMALISED, references.expert_kind
    regimes = np.array([first.regimes[i] for i in keep])
    return Scores(contexts, regimes, [first.grids[i] for i in keep], returns, random, measure, kind)


def by_regime(scores: Scores, draws: int = 2000) -> list[RegimeScore]:
    """IQM of each regime with its 95 % interval: over runs where there are several, else over contexts alone."""
    out = []
    for regime in REGIMES:
        where = scores.regimes == regime
        if where.sum() < 2:
            continue
        resample = "runs" if len(scores.runs) > 1 else "contexts"
        agent = aggregate(scores.runs[:, where], ("iqm",), resample=resample, draws=draws)["iqm"]
        random = aggregate(scores.random[None, where], ("iqm",), resample="contexts", draws=draws)["iqm"]
        out.append(RegimeScore(regime, int(where.sum()), agent, random))
    return out
