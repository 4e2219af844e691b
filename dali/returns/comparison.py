"""Methods side by side: interquartile means by regime, and the chance of each to beat a baseline.

Every figure comes from the episodes of the runs' evaluations, on the contexts that all runs share. Runs compare where
they differ in method and seed alone: `setting` tells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from dali.config import IMMATERIAL, PRESETS, RunConfig
from dali.envs.contexts import REGIMES
from dali.envs.spec import EnvSpec
from dali.errors import DaliError
from dali.methods import METHODS
from dali.returns.estimators import Estimate, aggregate, probability_of_improvement, resampling
from dali.returns.play import Evaluation
from dali.returns.scoring import NORMALISED, Scores, compare

ALL = "all"  # the contexts of all regimes together
MIN_CONTEXTS = 2  # of a regime that figures are given for: what an interval over contexts needs


@dataclass(frozen=True)
class MethodRow:
    """One method. Estimates are by regime, and under ALL over all contexts."""

    method: str
    seeds: tuple[int, ...]  # of its trainings
    iqm: dict[str, Estimate]
    gap: Estimate | None  # optimality gap over all contexts; None where scores are not normalised
    better: dict[str, Estimate]  # probability of improvement over the baseline; empty for the baseline and without one


@dataclass(frozen=True)
class Comparison:
    """Methods on the contexts that all of their runs were evaluated on."""

    env: str
    measure: str
    reference: str | None  # what a score of 1 stands for, in words
    contexts: dict[str, int]  # number by regime, and of ALL
    episodes: tuple[int, int]  # fewest and most of any run in any context
    baseline: str | None
    rows: list[MethodRow]  # in the order of METHODS
    random: dict[str, float]  # IQM of the random policy by regime

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def setting(config: RunConfig) -> RunConfig:
    """The configuration without method, seed and what decides nothing: equal for runs that may be compared."""
    usual = PRESETS[config.preset][1]
    train = replace(config.train, **{name: getattr(usual, name) for name in IMMATERIAL})
    return replace(config, method_name=next(iter(METHODS)), seed=0, train=train)


def _defaults(preset: str) -> dict[str, Any]:
    """A preset's fields that decide what is learnt, but the number of steps, which environments have of their own."""
    model, train = PRESETS[preset]
    usual = {**asdict(model), **asdict(train)}
    return {name: value for name, value in usual.items() if name not in (*IMMATERIAL, "steps")}


def setting_changes(config: RunConfig) -> list[str]:
    """NAME=VALUE of each field in which a run differs from its preset."""
    own = {**asdict(config.model), **asdict(config.train)}
    return [f"{name}={own[name]}" for name, value in _defaults(config.preset).items() if own[name] != value]


def setting_text(config: RunConfig) -> str:
    """The preset, the steps, and each field in which a run differs from its preset."""
    steps = f"{config.train.steps:,} environment steps"
    return ", ".join([f"preset {config.preset}", steps, *setting_changes(config)])


def compare_methods(
    spec: EnvSpec,
    runs: Mapping[str, Sequence[tuple[int, Evaluation]]],
    baseline: str | None = "dreamer_dr",
    normalised: bool = True,
    draws: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compares methods, each with its runs as (training seed, evaluation).

    Intervals are drawn over runs, stratified by context, where a method (or both of a pair) has several, else over
    contexts; each Estimate tells which.

    Args:
        baseline: method that the others are held against; one that is not among the runs gives no probabilities.
        draws, seed: of the bootstrap.

    Raises:
        DaliError: no runs, two runs of a method with the same training seed, or no regime with enough shared contexts.
    """
    if not runs:
        raise DaliError("There is nothing to compare: no run was given.")
    for name, found in runs.items():
        seeds = [number for number, _ in found]
        if len(set(seeds)) < len(seeds):
            raise DaliError(f"Two runs of {METHODS[name].title} have the same seed; each is one draw of the method.")
    ordered = [name for name in METHODS if name in runs]
    scores = compare(spec, {name: [evaluation for _, evaluation in runs[name]] for name in ordered}, normalised)
    first = scores[ordered[0]]
    where = regime_masks(first)
    if not where:
        raise DaliError(
            f"These runs of {spec.name} share {len(first.contexts)} contexts, too few to compare; evaluate all of them "
            "on the same grid."
        )
    kept = baseline if baseline in scores else None
    options: dict[str, int] = {"draws": draws, "seed": seed}

    def row(name: str) -> MethodRow:
        table = scores[name].runs
        iqm = {r: aggregate(table[:, w], ("iqm",), resampling(table), **options)["iqm"] for r, w in where.items()}
        gap = None
        if first.measure == NORMALISED:
            gap = aggregate(table, ("optimality_gap",), resampling(table), **options)["optimality_gap"]
        better = {} if kept in (None, name) else improvement(scores[name], scores[kept], **options)
        return MethodRow(name, tuple(sorted(number for number, _ in runs[name])), iqm, gap, better)

    counts = _episodes([e for found in runs.values() for _, e in found], first.contexts)
    return Comparison(
        env=spec.name,
        measure=first.measure,
        reference=first.reference,
        contexts={r: int(w.sum()) for r, w in where.items()},
        episodes=(int(counts.min()), int(counts.max())),
        baseline=kept,
        rows=[row(name) for name in ordered],
        random={
            r: aggregate(first.random[None, w], ("iqm",), "contexts", draws=1)["iqm"].value for r, w in where.items()
        },
    )


def regime_masks(scores: Scores) -> dict[str, np.ndarray]:
    """Which contexts (M,) belong to each regime that holds enough of them, and last all of them."""
    masks: dict[str, np.ndarray] = {regime: scores.regimes == regime for regime in REGIMES}
    masks[ALL] = np.ones(len(scores.regimes), bool)
    return {name: mask for name, mask in masks.items() if mask.sum() >= MIN_CONTEXTS}


def improvement(x: Scores, y: Scores, draws: int = 2000, seed: int = 0) -> dict[str, Estimate]:
    """Probability of improvement of x over y, scores on the same contexts, by regime."""
    resample = resampling(x.runs, y.runs)
    return {
        regime: probability_of_improvement(x.runs[:, where], y.runs[:, where], resample, draws, seed=seed)
        for regime, where in regime_masks(x).items()
    }


def _episodes(evaluations: Sequence[Evaluation], contexts: np.ndarray) -> np.ndarray:
    """Episodes that each evaluation has in each of the contexts (M, F), all in one row."""
    wanted = set(map(tuple, contexts.tolist()))
    counts = []
    for evaluation in evaluations:
        keep = [tuple(c) in wanted for c in evaluation.contexts.tolist()]
        counts.append((~np.isnan(evaluation.returns[keep])).sum(1))
    return np.concatenate(counts)
