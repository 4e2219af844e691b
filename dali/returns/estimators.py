"""Scores over seeds and contexts: normalised returns, robust aggregates, intervals, comparisons.

Estimators after Agarwal et al. 2021 ("Deep RL at the edge of the statistical precipice"), where a task is here a
context. Intervals are percentile intervals of a bootstrap, and differ by what is drawn anew:

- "runs" (the standard of the field, and the default): each context's runs on their own, stratified by context. It takes
  the scores of one agent on two contexts for independent, and is too narrow as far as they are not.
- "agents": whole runs, each with all of its contexts, because one agent is evaluated on every context. With R runs
  the variance is still short by (R - 1) / R; R = 3 gives only ten different draws.
- "contexts": the contexts, all runs kept; possible with a single run, and says nothing about other seeds.
- "both": contexts, and runs within them.

Simulated coverage of nominal 95 % intervals of a mean over 40 contexts, noise 0.2: with agents alike, 3 runs: 87 %
("runs"), 71 % ("agents"); with agents that differ by 0.1: 40 % and 68 % (10 runs: 46 % and 89 %). So with few
seeds no interval of either kind holds what it promises.

Shapes: R runs (seeds), C contexts, E episodes, B bootstrap draws, K thresholds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dali.envs.units import with_interval
from dali.errors import DaliError, unknown_name

Resample = Literal["runs", "agents", "contexts", "both"]
RESAMPLES: tuple[str, ...] = ("runs", "agents", "contexts", "both")
LEVEL = 0.95  # of the intervals
CHUNK = 2_000_000  # scores held at once while bootstrapping


@dataclass(frozen=True)
class Estimate:
    """A figure with the interval of its bootstrap, and what was resampled for it."""

    value: float
    low: float
    high: float
    resampled: Resample

    def text(self, digits: int, form: str = "") -> str:
        """With its interval, for people (``with_interval``)."""
        return with_interval(self.value, self.low, self.high, digits, form)


@dataclass(frozen=True)
class Profile:
    """Share of runs that score more than each threshold. thresholds, share, low, high: (K,)."""

    thresholds: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray
    resampled: Resample


@dataclass(frozen=True)
class ContextMeans:
    """Mean score of each context over runs and the interval of that mean. mean, low, high: (C,)."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def normalise(returns: np.ndarray, random: np.ndarray, expert: np.ndarray) -> np.ndarray:
    """(returns - random) / (expert - random), context by context: 0 is a random policy, 1 the expert.

    Args:
        returns: (R, C) or (R, C, E). random, expert: (C,) reference returns.

    Raises:
        DaliError: wrong shapes, values that are not finite, or a context whose expert is no better than random.
    """
    returns, random, expert = (np.asarray(a, float) for a in (returns, random, expert))
    if returns.ndim not in (2, 3) or random.shape != returns.shape[1:2] or expert.shape != random.shape:
        raise DaliError(
            f"Expected returns (R, C) or (R, C, E) and references (C,); "
            f"found {returns.shape}, {random.shape} and {expert.shape}."
        )
    for name, values in (("returns", returns), ("random references", random), ("expert references", expert)):
        if not np.isfinite(values).all():
            raise DaliError(f"Some {name} are not finite; a normalised score needs every one.")
    useless = np.flatnonzero(expert <= random)
    if len(useless):
        i = useless[0]
        raise DaliError(
            f"In {len(useless)} of {len(expert)} contexts the expert is no better than the random policy "
            f"(first: context {i}, expert {expert[i]:.4g}, random {random[i]:.4g}); no score is defined there."
        )
    shape = (-1, *[1] * (returns.ndim - 2))
    return (returns - random.reshape(shape)) / (expert - random).reshape(shape)


def iqm(scores: np.ndarray) -> np.ndarray:
    """Interquartile mean over the last two axes (..., R, C): the mean without the lowest and highest quarter."""
    flat = np.sort(np.reshape(scores, (*np.shape(scores)[:-2], -1)), axis=-1)
    cut = int(0.25 * flat.shape[-1])
    return flat[..., cut : flat.shape[-1] - cut].mean(-1)


def mean(scores: np.ndarray) -> np.ndarray:
    """Mean over the last two axes (..., R, C)."""
    return np.mean(scores, axis=(-2, -1))


def median(scores: np.ndarray) -> np.ndarray:
    """Median over contexts of the mean over runs, (..., R, C)."""
    return np.median(np.mean(scores, axis=-2), axis=-1)


def optimality_gap(scores: np.ndarray) -> np.ndarray:
    """Mean shortfall of scores (..., R, C) below 1; what exceeds it earns nothing. Smaller is better."""
    return 1.0 - np.minimum(scores, 1.0).mean((-2, -1))


METRICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "iqm": iqm,
    "mean": mean,
    "median": median,
    "optimality_gap": optimality_gap,
}


def resampling(*scores: np.ndarray) -> Resample:
    """What an interval of these scores (R, C) is drawn over: "runs" where each has two or more, else "contexts"."""
    return "runs" if min(len(s) for s in scores) > 1 else "contexts"


def aggregate(
    scores: np.ndarray,
    metrics: tuple[str, ...] = tuple(METRICS),
    resample: Resample = "runs",
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Aggregates of scores (R, C) with stratified bootstrap intervals; all metrics share the draws.

    Raises:
        DaliError: unknown metric, malformed scores, or fewer than two of what is resampled.
    """
    scores = _check(scores, resample)
    for name in metrics:
        if name not in METRICS:
            raise unknown_name("metric", name, METRICS)
    drawn = _bootstrap(scores, resample, draws, seed, lambda s: np.stack([METRICS[m](s) for m in metrics], axis=-1))
    low, high = _interval(drawn)
    return {
        name: Estimate(float(METRICS[name](scores)), float(low[i]), float(high[i]), resample)
        for i, name in enumerate(metrics)
    }


def performance_profile(
    scores: np.ndarray, thresholds: np.ndarray, resample: Resample = "runs", draws: int = 2000
) -> Profile:
    """Share of (run, context) scores (R, C) above each threshold (K,), with pointwise intervals."""
    scores, thresholds = _check(scores, resample), np.asarray(thresholds, float)
    drawn = _bootstrap(scores, resample, draws, 0, lambda s: _share_above(s, thresholds))
    low, high = _interval(drawn)
    return Profile(thresholds, _share_above(scores, thresholds), low, high, resample)


def probability_of_improvement(
    x: np.ndarray, y: np.ndarray, resample: Resample = "runs", draws: int = 2000
) -> Estimate:
    """P(X > Y) + ½ P(X = Y) for a run of x and a run of y on the same context, averaged over contexts.

    The Mann-Whitney statistic per context (Agarwal et al. 2021, section 4.3). Runs of x and y are drawn independently;
    where contexts are drawn, both methods get the same ones.

    Args:
        x, y: (Rx, C) and (Ry, C) scores on the same contexts in the same order.
    """
    x, y = _check(x, resample), _check(y, resample)
    if x.shape[1] != y.shape[1]:
        raise DaliError(f"Both methods need scores on the same contexts; found {x.shape[1]} and {y.shape[1]} contexts.")
    wins = (x[:, None] > y[None]) + 0.5 * (x[:, None] == y[None])  # (Rx, Ry, C)
    rng = np.random.default_rng(0)
    drawn = []
    for size in _chunks(draws, wins.size):
        x_rows, context = _indices(x, resample, size, rng)
        y_rows, _ = _indices(y, "runs" if resample == "both" else resample, size, rng)
        drawn.append(wins[x_rows[:, :, None], y_rows[:, None], context[:, None]].mean((1, 2, 3)))
    low, high = _interval(np.concatenate(drawn))
    return Estimate(float(wins.mean()), float(low), float(high), resample)


def context_means(scores: np.ndarray) -> ContextMeans:
    """Mean over runs of each context's score (R, C) with its interval: the points of a curve over one feature.

    With one run there is no interval over runs: low and high then equal the mean.
    """
    scores = np.asarray(scores, float)
    if scores.ndim != 2 or not scores.size or not np.isfinite(scores).all():
        raise DaliError(f"Expected finite scores (R, C); found shape {scores.shape}.")
    value = scores.mean(0)
    if len(scores) == 1:
        return ContextMeans(value, value, value)
    low, high = _interval(_bootstrap(scores, "runs", 2000, 0, lambda s: s.mean(-2)))
    return ContextMeans(value, low, high)


def _share_above(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(..., K) shares of scores (..., R, C) strictly above thresholds (K,)."""
    return np.stack([(scores > t).mean((-2, -1)) for t in thresholds], axis=-1)


def _check(scores: np.ndarray, resample: str) -> np.ndarray:
    if resample not in RESAMPLES:
        raise unknown_name("way to resample", resample, RESAMPLES)
    scores = np.asarray(scores, float)
    if scores.ndim != 2 or not scores.size:
        raise DaliError(f"Expected scores (R, C), runs by contexts; found shape {scores.shape}.")
    if not np.isfinite(scores).all():
        raise DaliError(f"{int((~np.isfinite(scores)).sum())} of {scores.size} scores are not finite; all must be.")
    if len(scores) < 2 and resample != "contexts":
        raise DaliError(
            "An interval over runs needs at least 2 runs; found 1. Resample 'contexts', and say so beside the figure."
        )
    if scores.shape[1] < 2 and resample == "contexts":
        raise DaliError("An interval over contexts needs at least 2 contexts; found 1.")
    return scores


def _chunks(draws: int, size: int) -> list[int]:
    """Sizes of successive batches of draws such that one batch holds about CHUNK scores."""
    step = max(1, CHUNK // max(size, 1))
    return [min(step, draws - done) for done in range(0, draws, step)]


def _indices(scores: np.ndarray, resample: str, draws: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Row and column indices, broadcastable to (B, R, C), of the resampled scores (R, C)."""
    runs, contexts = scores.shape
    if resample == "contexts":
        rows = np.broadcast_to(np.arange(runs)[:, None], (draws, runs, 1))
    else:
        rows = rng.integers(runs, size=(draws, runs, 1 if resample == "agents" else contexts))
    if resample in ("runs", "agents"):
        columns = np.arange(contexts)[None, None]
    else:
        columns = rng.integers(contexts, size=(draws, 1, contexts))
    return rows, columns


def _bootstrap(
    scores: np.ndarray, resample: str, draws: int, seed: int, statistic: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """(B, ...) values of a statistic of the last two axes on resampled scores."""
    rng = np.random.default_rng(seed)
    batches = []
    for size in _chunks(draws, scores.size):
        rows, columns = _indices(scores, resample, size, rng)
        batches.append(statistic(scores[rows, columns]))
    return np.concatenate(batches)


def _interval(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.quantile(drawn, ((1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0), axis=0)
    return low, high
