"""Probes: how well the true physics can be read off the context code, and by how simple a reader.

A probe is fitted inside the train range and judged on contexts that it has never seen, inside and outside that range,
beside the same procedure with contexts shuffled between groups (a control task, Hewitt & Liang 2019, which shows what
the probe's own capacity gives). Each context counts the same, however many rows it has.

Shapes: M rows (steps, or time-averaged episodes), Z code dimensions, F context features, E episodes, T steps.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from dali.codes.grouped import (
    MIN_GROUPS,
    GroupedTable,
    bootstrap_counts,
    check_table,
    group_folds,
    group_weights,
    permute_between_groups,
)
from dali.codes.probe_layers import fit_mlp, fit_ridge
from dali.errors import DaliError, unknown_name

ProbeKind = Literal["ridge", "mlp"]
KINDS: tuple[str, ...] = ("ridge", "mlp")
INSIDE_REGIMES = ("train", "interpolation")
FOLDS = 5
SHUFFLES = 3  # permutations of the control
DRAWS = 1000  # of the bootstrap


@dataclass(frozen=True)
class Probe:
    """A fitted reader of contexts from codes: standardise, dense layers with ReLU between, back to units.

    Attributes:
        kind: "ridge" (one layer) or "mlp" (two).
        code_mean, code_scale: (Z,) of the training rows. context_mean, context_scale: (F,).
        weights, biases: of each layer; the first takes Z inputs, the last gives F outputs, in standardised units.
    """

    kind: ProbeKind
    code_mean: np.ndarray
    code_scale: np.ndarray
    context_mean: np.ndarray
    context_scale: np.ndarray
    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]

    def predict(self, codes: np.ndarray) -> np.ndarray:
        """Contexts (..., F) in their units, read off codes (..., Z)."""
        x = (np.asarray(codes, float) - self.code_mean) / self.code_scale
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = (np.maximum(x, 0.0) if i else x) @ weight + bias
        return x * self.context_scale + self.context_mean


@dataclass(frozen=True)
class FactorScore:
    """How well one context feature is decoded. None where the data cannot say (no such rows, or a constant feature).

    Attributes:
        r2_inside: on held-out contexts inside the train range, with its 95 % interval (bootstrap over contexts).
        r2_outside: on contexts outside it, by the probe fitted inside.
        r2_shuffled: r2_inside of the same procedure with contexts permuted between groups (mean of permutations).
        mae_inside, mae_outside: mean absolute errors, in the feature's unit.
    """

    name: str
    r2_inside: float | None
    r2_interval: tuple[float, float] | None
    r2_outside: float | None
    r2_shuffled: float | None
    mae_inside: float
    mae_outside: float | None


@dataclass(frozen=True)
class ProbeEvaluation:
    """The scores of one kind of probe, and the probe fitted on all inside rows that were not held out."""

    kind: ProbeKind
    factors: tuple[FactorScore, ...]
    probe: Probe
    contexts_fitted: int
    contexts_outside: int

    def factor(self, name: str) -> FactorScore:
        for factor in self.factors:
            if factor.name == name:
                return factor
        raise unknown_name("context feature", name, (f.name for f in self.factors))


def fit_probe(
    codes: np.ndarray, contexts: np.ndarray, groups: np.ndarray, kind: ProbeKind = "ridge", seed: int = 0
) -> Probe:
    """Fits a probe; the penalty is chosen by cross-validation over groups.

    Args:
        codes: (M, Z). contexts: (M, F) in units. groups: (M,) context ids.
        kind: "ridge", or "mlp" (one hidden layer of 32 ReLU units).

    Raises:
        DaliError: unknown kind, malformed table, fewer than 5 groups.
    """
    if kind not in KINDS:
        raise unknown_name("probe", kind, KINDS)
    return _fit(check_table(codes, contexts, groups), kind, np.random.default_rng(seed))


def evaluate_probe(
    codes: np.ndarray,
    contexts: np.ndarray,
    groups: np.ndarray,
    regimes: np.ndarray | None = None,
    held_out: np.ndarray | None = None,
    kind: ProbeKind = "ridge",
    names: tuple[str, ...] | None = None,
    seed: int = 0,
) -> ProbeEvaluation:
    """Scores a kind of probe on held-out contexts inside the train range, outside it, and with shuffled contexts.

    Args:
        codes: (M, Z). contexts: (M, F) in units. groups: (M,) context ids.
        regimes: (M,) strings; rows of "train" and "interpolation" lie inside the train range (default: all rows do).
        held_out: (M,) bool, the inside rows to judge on, whole groups. By default every inside context is held out
            once, in five grouped folds.
        names: of the F features.

    Raises:
        DaliError: malformed input, or fewer than 5 groups to fit on.
    """
    if kind not in KINDS:
        raise unknown_name("probe", kind, KINDS)
    table = check_table(codes, contexts, groups)
    names = tuple(names or (f"factor {i}" for i in range(table.contexts.shape[1])))
    if len(names) != table.contexts.shape[1]:
        raise DaliError(f"Found {len(names)} names for {table.contexts.shape[1]} context features.")
    inside, held_out = _split(table, regimes, held_out)
    fitted, outside = table.rows(inside & ~held_out), table.rows(~inside)
    if fitted.num_groups < MIN_GROUPS:
        raise DaliError(f"Found {fitted.num_groups} contexts to fit a probe on; at least {MIN_GROUPS} are needed.")
    rng = np.random.default_rng(seed)
    probe = _fit(fitted, kind, rng)

    inside_table = table.rows(inside)
    held_inside = held_out[inside] if (held_out & inside).any() else None
    predicted, judged = _held_out_predictions(inside_table, held_inside, kind, rng, probe)
    truth = inside_table.contexts[judged]
    weights = group_weights(inside_table.index)[judged]
    r2 = weighted_r2(truth, predicted, weights)
    intervals = _r2_intervals(truth, predicted, inside_table.index[judged], DRAWS, rng)
    mae = np.average(np.abs(predicted - truth), axis=0, weights=weights)
    control = _control_r2(inside_table, held_inside, kind, rng)
    r2_outside, mae_outside = _outside_scores(outside, probe)
    factors = tuple(
        FactorScore(name, r2[i], intervals[i], r2_outside[i], control[i], float(mae[i]), mae_outside[i])
        for i, name in enumerate(names)
    )
    return ProbeEvaluation(kind, factors, probe, fitted.num_groups, outside.num_groups)


def _split(
    table: GroupedTable, regimes: np.ndarray | None, held_out: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Which rows (M,) lie inside the train range, and which are held out."""
    size = len(table.codes)
    inside = np.ones(size, bool) if regimes is None else np.isin(np.asarray(regimes), INSIDE_REGIMES)
    held_out = np.zeros(size, bool) if held_out is None else np.asarray(held_out, bool)
    if inside.shape != (size,) or held_out.shape != (size,):
        raise DaliError(
            f"Regimes and held_out must have one entry a row ({size}); found {inside.shape} and {held_out.shape}."
        )
    if set(table.index[held_out]) & set(table.index[inside & ~held_out]):
        raise DaliError("A context lies both in the held-out rows and in the rows to fit on; hold out whole contexts.")
    return inside, held_out


def _control_r2(
    table: GroupedTable, held_out: np.ndarray | None, kind: ProbeKind, rng: np.random.Generator
) -> list[float | None]:
    """R² per feature of the same procedure with contexts permuted between groups, the mean of SHUFFLES permutations."""
    found = []
    for _ in range(SHUFFLES):
        contexts = permute_between_groups(table.contexts, table.index, rng)
        shuffled = GroupedTable(table.codes, contexts, table.index, table.num_groups)
        guess, rows = _held_out_predictions(shuffled, held_out, kind, rng)
        found.append(weighted_r2(contexts[rows], guess, group_weights(table.index)[rows]))
    known = [[r2 for r2 in column if r2 is not None] for column in zip(*found, strict=True)]
    return [sum(values) / len(values) if values else None for values in known]


def _outside_scores(table: GroupedTable, probe: Probe) -> tuple[list[float | None], list[float | None]]:
    """R² and mean absolute error per feature of a probe on contexts outside the train range; None without any."""
    if not table.num_groups:
        nothing: list[float | None] = [None] * table.contexts.shape[1]
        return nothing, nothing
    guess = probe.predict(table.codes)
    errors = np.average(np.abs(guess - table.contexts), axis=0, weights=table.weights)
    return weighted_r2(table.contexts, guess, table.weights), [float(e) for e in errors]


def weighted_r2(truth: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> list[float | None]:
    """Per column of (M, F): 1 - residual / total sum of squares under (M,) weights; None for a constant truth."""
    residual = weights @ (truth - predicted) ** 2
    total = weights @ (truth - np.average(truth, axis=0, weights=weights)) ** 2
    constant = np.ptp(truth, axis=0) == 0
    return [None if constant[i] else float(1.0 - residual[i] / total[i]) for i in range(truth.shape[1])]


def error_over_time(probe: Probe, codes: np.ndarray, contexts: np.ndarray) -> np.ndarray:
    """Mean absolute error (T, F), in units, of the probe's reading at each step of episodes.

    Args:
        codes: (E, T, Z). contexts: (E, F).
    """
    return np.abs(probe.predict(codes) - np.asarray(contexts)[:, None]).mean(0)


def identified_after(estimates: np.ndarray, truth: float, tolerance: float) -> int | None:
    """First step from which all later estimates (T,) of one feature stay within ± tolerance of the truth, or None."""
    wrong = np.flatnonzero(np.abs(np.asarray(estimates) - truth) > tolerance)
    first = int(wrong[-1]) + 1 if len(wrong) else 0
    return first if first < len(estimates) else None


def _held_out_predictions(
    table: GroupedTable,
    held_out: np.ndarray | None,
    kind: ProbeKind,
    rng: np.random.Generator,
    probe: Probe | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Predictions (J, F) for the judged rows and their indices (J,); `probe` is the one fitted on ~held_out, if any."""
    if held_out is not None:
        probe = probe or _fit(table.rows(~held_out), kind, rng)
        return probe.predict(table.codes[held_out]), np.flatnonzero(held_out)
    folds = group_folds(table.index, FOLDS, rng)
    predicted = np.empty_like(table.contexts)
    for fold in np.unique(folds):
        predicted[folds == fold] = _fit(table.rows(folds != fold), kind, rng).predict(table.codes[folds == fold])
    return predicted, np.arange(len(predicted))


def _r2_intervals(
    truth: np.ndarray, predicted: np.ndarray, index: np.ndarray, draws: int, rng: np.random.Generator
) -> list[tuple[float, float] | None]:
    """95 % percentile intervals of R² per column, contexts drawn with replacement, predictions kept."""
    _, index = np.unique(index, return_inverse=True)
    weights = group_weights(index)[:, None]
    # Sums per group make each draw a weighted sum over groups: R² needs only Σw, Σy, Σy² and Σ(y - ŷ)².
    shift = truth - truth.mean(0)  # about the mean, against cancellation in Σy² - (Σy)²
    sums = np.zeros((3, index.max() + 1, truth.shape[1]))
    for total, values in zip(sums, (shift, shift**2, (truth - predicted) ** 2), strict=True):
        np.add.at(total, index, weights * values)
    counts = bootstrap_counts(sums.shape[1], draws, rng)
    first, second, residual = (counts @ total for total in sums)  # each (draws, F)
    total = second - first**2 / counts.sum(1, keepdims=True)
    intervals: list[tuple[float, float] | None] = []
    for i in range(truth.shape[1]):
        varied = total[:, i] > 1e-9 * max(sums[1, :, i].sum(), 1e-300)
        if np.ptp(truth[:, i]) == 0 or not varied.any():
            intervals.append(None)
            continue
        low, high = np.quantile(1.0 - residual[varied, i] / total[varied, i], (0.025, 0.975))
        intervals.append((float(low), float(high)))
    return intervals


def _fit(table: GroupedTable, kind: ProbeKind, rng: np.random.Generator) -> Probe:
    """Standardises by the table's own weighted moments, chooses the penalty over grouped folds, refits on all rows."""
    weights = table.weights
    code_mean, code_scale = _moments(table.codes, weights)
    context_mean, context_scale = _moments(table.contexts, weights)
    x = (table.codes - code_mean) / code_scale
    y = (table.contexts - context_mean) / context_scale
    folds = group_folds(table.index, FOLDS, rng)
    layers = fit_mlp(x, y, table.index, folds, rng) if kind == "mlp" else fit_ridge(x, y, weights, folds)
    return Probe(
        kind,
        code_mean,
        code_scale,
        context_mean,
        context_scale,
        weights=tuple(w for w, _ in layers),
        biases=tuple(b for _, b in layers),
    )


def _moments(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and standard deviation of columns; a constant column gets scale 1."""
    mean = np.average(values, axis=0, weights=weights)
    scale = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weights))
    return mean, np.where(scale > 1e-8 * (1.0 + np.abs(mean)), scale, 1.0)
