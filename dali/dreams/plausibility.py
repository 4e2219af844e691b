"""The paper's plausibility test: can a classifier tell dreams under z' from dreams under z?

Per code dimension, dreams from the same starts are made with and without a perturbation of that dimension; the better
they can be told apart, the more the world model uses the dimension. Chance is an AUC of 0.5. The AUC is measured on
episodes that the classifier was not fitted on.

The classifier is kernel ridge regression on labels ±1 (a regularised least-squares classifier, Rifkin et al. 2003)
with the kernel u·v / d + exp(-|u - v|² / 2d) on standardised features of d dimensions: the first part sees a shift of
the mean, the second a change of spread or shape, which a perturbation of random sign makes. Its scores are linear in
the labels, so that a permutation test refits it exactly, for all permutations at once, by one product of matrices.

Shapes: N dreams (both kinds together), d features, P permutations, G episodes.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from dali.codes.grouped import bootstrap_counts, group_folds
from dali.errors import DaliError

MIN_EPISODES = 10
PENALTY = 0.1  # ridge of the classifier; fixed before any label is seen, so that permutations are exchangeable


@dataclass(frozen=True)
class Plausibility:
    """How well dreams under z' are told from dreams under z.

    Attributes:
        auc: area under the ROC curve of out-of-fold scores; 0.5 is chance, 1 is perfect.
        low, high: 95 % interval, episodes drawn with replacement.
        p_value: share of label permutations, refitted, that do as well (the identity counted, so never 0).
        episodes: G. dreams: N.
    """

    auc: float
    low: float
    high: float
    p_value: float
    episodes: int
    dreams: int


def plausibility(
    baseline: np.ndarray,
    perturbed: np.ndarray,
    baseline_episodes: np.ndarray,
    perturbed_episodes: np.ndarray,
    folds: int = 5,
    permutations: int = 200,
    draws: int = 1000,
    seed: int = 0,
) -> Plausibility:
    """Cross-validated AUC of a classifier between two kinds of dreams, with its interval and permutation p-value.

    Args:
        baseline, perturbed: (n0, d) and (n1, d) features of the dreams, e.g. flattened observations; larger arrays
            (n, T, O) are flattened.
        baseline_episodes, perturbed_episodes: (n0,), (n1,) the episodes that the dreams start from. All dreams of one
            episode lie in one fold.

    Raises:
        DaliError: shapes that do not match, values that are not finite, fewer than 10 episodes.
    """
    baseline, perturbed = (np.asarray(a, float) for a in (baseline, perturbed))
    baseline, perturbed = (a.reshape(len(a), -1) for a in (baseline, perturbed))
    episodes = np.concatenate([np.asarray(baseline_episodes), np.asarray(perturbed_episodes)])
    if baseline.shape[1] != perturbed.shape[1] or len(episodes) != len(baseline) + len(perturbed):
        raise DaliError(
            f"Both kinds of dreams need the same features and one episode each; found {baseline.shape} and "
            f"{perturbed.shape} with {len(episodes)} episodes."
        )
    features = np.concatenate([baseline, perturbed])
    if not np.isfinite(features).all():
        raise DaliError("Some dreamed features are not finite; all must be.")
    unique, index = np.unique(episodes, return_inverse=True)
    if len(unique) < MIN_EPISODES:
        raise DaliError(f"Found dreams of {len(unique)} episodes; the plausibility test needs at least {MIN_EPISODES}.")

    labels = np.repeat([-1.0, 1.0], [len(baseline), len(perturbed)])
    rng = np.random.default_rng(seed)
    shuffled = np.stack([labels, *(_permute(labels, index, rng) for _ in range(permutations))], axis=1)  # (N, 1 + P)
    scores = _out_of_fold(features, shuffled, group_folds(index, folds, rng))
    aucs = np.array([auc(scores[:, i], shuffled[:, i] > 0) for i in range(shuffled.shape[1])])
    low, high = _interval(scores[:, 0], labels > 0, index, draws, rng)
    p_value = float((aucs >= aucs[0]).mean())
    return Plausibility(float(aucs[0]), low, high, p_value, len(unique), len(features))


def auc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray | None = None) -> float:
    """P(score of a positive > score of a negative), ties counted half: the area under the ROC curve.

    scikit-learn's roc_auc_score gives the same to rounding and takes 20 times as long, of 1,200 calls a test.

    Args:
        scores: (N,). positive: (N,) bool. weights: (N,) whole numbers of copies of each row (default 1).
    """
    if weights is not None:
        scores, positive = np.repeat(scores, weights), np.repeat(positive, weights)
    num_positive = int(positive.sum())
    num_negative = len(positive) - num_positive
    ranks = rankdata(scores)[positive].sum()
    return float((ranks - num_positive * (num_positive + 1) / 2.0) / (num_positive * num_negative))


def _permute(labels: np.ndarray, index: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels shuffled within each episode: dreams of one episode share its start, those of two do not.

    Where no episode holds both kinds, labels of whole rows are shuffled across episodes.
    """
    order = np.lexsort((rng.random(len(labels)), index))
    grouped = np.lexsort((np.arange(len(labels)), index))
    permuted = np.empty_like(labels)
    permuted[grouped] = labels[order]
    total = np.bincount(index, labels)
    paired = np.abs(total) < np.bincount(index)
    return permuted if paired.any() else rng.permutation(labels)


def _out_of_fold(features: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """(N, P) scores of each row by the classifier fitted on the other folds, for labels (N, P)."""
    scores = np.empty_like(labels)
    for fold in np.unique(folds):
        train, test = folds != fold, folds == fold
        mean, std = features[train].mean(0), features[train].std(0)
        varied = std > 1e-12 * (1.0 + np.abs(mean))
        x = (features[:, varied] - mean[varied]) / std[varied]
        x = np.clip(x, -10.0, 10.0)  # a feature almost constant in the other folds must not swamp the distance
        target = labels[train] - labels[train].mean(0)
        kernel = _kernel(x[train], x[train])
        kernel[np.diag_indices_from(kernel)] += PENALTY * train.sum() ** 0.5
        scores[test] = _kernel(x[test], x[train]) @ np.linalg.solve(kernel, target)
    return scores


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(len(a), len(b)) values of u·v / d + exp(-|u - v|² / 2d)."""
    d = max(a.shape[1], 1)
    inner = a @ b.T
    square = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2.0 * inner
    return inner / d + np.exp(-np.maximum(square, 0.0) / (2.0 * d))


def _interval(
    scores: np.ndarray, positive: np.ndarray, index: np.ndarray, draws: int, rng: np.random.Generator
) -> tuple[float, float]:
    values = []
    for counts in bootstrap_counts(int(index.max()) + 1, draws, rng):
        weights = counts[index]
        if weights[positive].any() and weights[~positive].any():
            values.append(auc(scores, positive, weights))
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
