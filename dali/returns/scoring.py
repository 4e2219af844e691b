"""Scores of evaluations: normalised by the references where they ship, and aggregated by regime.

Shapes: M contexts, R runs (seeds).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dali.envs.contexts import evaluation_grid
from dali.envs.spec import EnvSpec
from dali.returns.estimators import normalise
from dali.returns.evaluation import Evaluation
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


def compare(spec: EnvSpec, methods: Mapping[str, Sequence[Evaluation]], normalised: bool = True) -> dict[str, Scores]:
    """Scores of several methods, each with its runs, on the contexts that all runs of all of them share.

    Args:
        normalised: False, or references missing for a context, leaves returns as they are.
    """
    table = context_table(spec, methods, normalised)
    names = [f.name for f in spec.features]
    out = {}
    for method, evaluations in methods.items():
        rows = table[table["method"] == method]
        first = rows[rows["run"] == 0]
        of_run = [rows[rows["run"] == run] for run in range(len(evaluations))]
        out[method] = Scores(
            contexts=first[names].to_numpy(float).reshape(len(first), len(names)),
            regimes=np.array(first["regime"].tolist(), str),
            grids=first["grid"].tolist(),
            runs=np.array([r["score"] for r in of_run]).reshape(len(evaluations), len(first)),
            random=np.mean([r["random_score"] for r in of_run], 0),
            measure=table.attrs["measure"],
            reference=table.attrs["reference"],
        )
    return out


def score(spec: EnvSpec, evaluations: Sequence[Evaluation], normalised: bool = True) -> Scores:
    """Scores of runs of one method, on the contexts that they share; as ``compare``."""
    return compare(spec, {"": evaluations}, normalised)[""]


def context_table(spec: EnvSpec, methods: Mapping[str, Sequence[Evaluation]], normalised: bool = True) -> pd.DataFrame:
    """A row for each context of each run, where every run was evaluated: in the protocol's order, whatever was first.

    Columns: method, run (0, 1, ... of its method), the context features, and Evaluation.by_context's, then ``score``
    and ``random_score``. ``attrs`` tells the measure of scores and what a score of 1 stands for.
    """
    names = [f.name for f in spec.features]
    parts = [
        evaluation.by_context.assign(method=method, run=run)
        for method, evaluations in methods.items()
        for run, evaluation in enumerate(evaluations)
    ]
    table = pd.concat(parts, ignore_index=True)
    table = table[table.groupby(names)["run"].transform("size") == len(parts)].reset_index(drop=True)
    grid = {tuple(c): i for i, c in enumerate(evaluation_grid(spec)[0].tolist())}
    first = table.groupby(names, sort=False).ngroup()
    contexts = table[names].to_numpy(float)
    place = [grid.get(tuple(c), len(grid)) for c in contexts.tolist()]
    order = np.lexsort((first, place))
    table, contexts = table.iloc[order], contexts[order]
    table = table.assign(score=table["return"], random_score=table["random_return"])
    table.attrs = {"measure": RETURN, "reference": None}
    references = load_references(spec.name) if normalised else None
    if references is not None:
        low, high = references.at(contexts)
        if not np.isnan(low).any():
            for column in ("score", "random_score"):
                table[column] = normalise(table[column].to_numpy()[None], low, high)[0]
            table.attrs = {"measure": NORMALISED, "reference": references.expert_kind}
    return table.reset_index(drop=True)


def single_grid(spec: EnvSpec, contexts: np.ndarray, feature: int) -> np.ndarray:
    """Indices of the contexts (M, F) in which at most that feature differs from its default, by its value."""
    others = np.delete(contexts == spec.default_context, feature, axis=1).all(1)
    rows = np.flatnonzero(others)
    return rows[np.argsort(contexts[rows, feature], kind="stable")]
