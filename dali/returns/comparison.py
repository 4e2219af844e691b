"""Methods side by side: interquartile means by regime, and how each stands against a baseline.

Every figure comes from the episodes of the runs' evaluations, on the contexts that all runs share. Runs compare where
they differ in method and seed alone: `setting` tells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from dali.config import IMMATERIAL, PRESETS, RunConfig
from dali.envs.contexts import REGIMES
from dali.envs.spec import EnvSpec
from dali.errors import DaliError
from dali.methods import METHODS
from dali.returns.differences import Difference, paired_difference, unpaired_difference, verdict
from dali.returns.estimators import Estimate, aggregate, probability_of_improvement, resampling
from dali.returns.evaluation import EARLY, EARLY_COLUMNS, Evaluation
from dali.returns.scoring import NORMALISED, Scores, compare, context_table

Runs = Mapping[str, Sequence[tuple[int, Evaluation]]]  # by method: training seed and evaluation
ALL = "all"  # the contexts of all regimes together
PLACES = {
    "interpolation": "inside the training range",
    "extrapolation": "outside it",
    "mixed": "partly outside",
    ALL: "over all contexts",
}
DRAWS = 2000  # of the bootstrap, wherever intervals are told, so that they are told alike
MIN_CONTEXTS = 2  # of a regime that figures are given for: what an interval over contexts needs


@dataclass(frozen=True)
class Versus:
    """A method against the baseline in one regime."""

    improvement: Estimate  # probability of improvement
    paired: Difference | None  # over the training seeds that both have; None where they share none
    unpaired: Difference

    @property
    def told(self) -> Difference:
        """The difference that sentences are made from: the paired one where it leaves no seed out."""
        return self.paired if self.paired and self.paired.seeds == self.unpaired.seeds else self.unpaired


@dataclass(frozen=True)
class MethodRow:
    """One method. Estimates are by regime, and under ALL over all contexts."""

    method: str
    seeds: tuple[int, ...]  # of its trainings
    iqm: dict[str, Estimate]
    gap: Estimate | None  # optimality gap over all contexts; None where scores are not normalised
    early: dict[int, Estimate]  # IQM of the return of the first steps, over all contexts; empty where a file lacks it
    versus: dict[str, Versus]  # against the baseline; empty for the baseline and without one


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

    @property
    def digits(self) -> int:
        """Decimals of differences: of scores, or of returns where there is nothing to normalise by."""
        return 2 if self.reference else 0

    @property
    def sentences(self) -> list[str]:
        """What the differences from the baseline say, a plain sentence for each other method."""
        return [
            sentence(METHODS[row.method].title, METHODS[self.baseline].title, row.versus, self.digits)
            for row in self.rows
            if self.baseline and row.versus
        ]


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
    runs: Runs,
    baseline: str | None = "dreamer_dr",
    normalised: bool = True,
    draws: int = DRAWS,
) -> Comparison:
    """Compares methods, each with its runs as (training seed, evaluation).

    Intervals are drawn over runs, stratified by context, where a method (or both of a pair) has several, else over
    contexts; each Estimate tells which.

    Args:
        baseline: method that the others are held against; one that is not among the runs gives no probabilities.
        draws: of the bootstrap.

    Raises:
        DaliError: no runs, two runs of a method with the same training seed, or no regime with enough shared contexts.
    """
    _check_runs(runs)
    ordered = [name for name in METHODS if name in runs]
    evaluations = {name: [evaluation for _, evaluation in runs[name]] for name in ordered}
    scores = compare(spec, evaluations, normalised)
    first = scores[ordered[0]]
    if not (where := regime_masks(first)):
        raise DaliError(
            f"These runs of {spec.name} share {len(first.contexts)} contexts, too few to compare; evaluate all of them "
            "on the same grid."
        )
    kept = baseline if baseline in scores else None
    table = context_table(spec, evaluations, normalised)
    seeds = {name: tuple(number for number, _ in runs[name]) for name in ordered}

    def row(name: str) -> MethodRow:
        own = scores[name].runs
        gap = aggregate(own, ("optimality_gap",), resampling(own), draws)["optimality_gap"]
        versus = {}
        if kept not in (None, name):
            versus = against(scores[name], seeds[name], scores[kept], seeds[kept], draws)
        return MethodRow(
            method=name,
            seeds=tuple(sorted(seeds[name])),
            iqm=interquartile_means(scores[name], draws),
            gap=gap if first.measure == NORMALISED else None,
            early=_early(table[table["method"] == name], draws),
            versus=versus,
        )

    random = interquartile_means(replace(first, runs=first.random[None]), 1)
    return Comparison(
        env=spec.name,
        measure=first.measure,
        reference=first.reference,
        contexts={r: int(w.sum()) for r, w in where.items()},
        episodes=(int(table["episodes"].min()), int(table["episodes"].max())),
        baseline=kept,
        rows=[row(name) for name in ordered],
        random={r: e.value for r, e in random.items()},
    )


def _check_runs(runs: Runs) -> None:
    """Raises DaliError for no runs, or two of a method with the same training seed."""
    if not runs:
        raise DaliError("There is nothing to compare: no run was given.")
    for name, found in runs.items():
        if len({number for number, _ in found}) < len(found):
            raise DaliError(f"Two runs of {METHODS[name].title} have the same seed; each is one draw of the method.")


def interquartile_means(scores: Scores, draws: int = DRAWS) -> dict[str, Estimate]:
    """IQM by regime with its 95 % interval: over runs where there are several, else over contexts alone."""
    over = resampling(scores.runs)
    return {
        regime: aggregate(scores.runs[:, where], ("iqm",), over, draws)["iqm"]
        for regime, where in regime_masks(scores).items()
    }


def _early(rows: pd.DataFrame, draws: int) -> dict[int, Estimate]:
    """IQM of the return of the first steps of one method's runs, by the number of steps."""
    found = {}
    for steps, column in zip(EARLY, EARLY_COLUMNS, strict=True):
        table = np.array([run[column] for _, run in rows.groupby("run")])
        if not np.isnan(table).any():
            found[steps] = aggregate(table, ("iqm",), resampling(table), draws)["iqm"]
    return found


def regime_masks(scores: Scores) -> dict[str, np.ndarray]:
    """Which contexts (M,) belong to each regime that holds enough of them, and last all of them."""
    masks: dict[str, np.ndarray] = {regime: scores.regimes == regime for regime in REGIMES}
    masks[ALL] = np.ones(len(scores.regimes), bool)
    return {name: mask for name, mask in masks.items() if mask.sum() >= MIN_CONTEXTS}


def improvement(x: Scores, y: Scores, draws: int = DRAWS) -> dict[str, Estimate]:
    """Probability of improvement of x over y, scores on the same contexts, by regime."""
    resample = resampling(x.runs, y.runs)
    return {
        regime: probability_of_improvement(x.runs[:, where], y.runs[:, where], resample, draws)
        for regime, where in regime_masks(x).items()
    }


def against(
    x: Scores, x_seeds: Sequence[int], y: Scores, y_seeds: Sequence[int], draws: int = DRAWS
) -> dict[str, Versus]:
    """A method against another, scores on the same contexts, by regime.

    Args:
        x_seeds, y_seeds: training seed of each run.
    """
    wins = improvement(x, y, draws)
    found = {}
    for regime, where in regime_masks(x).items():
        a, b, strata = x.runs[:, where], y.runs[:, where], x.regimes[where]
        pairs = dict(zip(x_seeds, a, strict=True)), dict(zip(y_seeds, b, strict=True))
        paired = paired_difference(*pairs, strata, draws)
        found[regime] = Versus(wins[regime], paired, unpaired_difference(a, b, strata, draws))
    return found


def sentence(method: str, baseline: str, versus: Mapping[str, Versus], digits: int = 2) -> str:
    """One plain sentence on a method against another, from the intervals of their differences by regime.

    Args:
        method, baseline: titles for people. digits: decimals of the differences.
    """
    parts = [f"{PLACES[regime]} {verdict(found.told, digits)}" for regime, found in versus.items()]
    told = [found.told for found in versus.values()]
    how = "paired by seed" if all(d.paired for d in told) else "seeds not paired"
    return f"{method} against {baseline} ({how}): {'; '.join(parts)}."
