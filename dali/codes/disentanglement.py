"""How the true physics is laid out over the dimensions of the code.

Per-dimension association (Spearman's rank correlation, mutual information) and three summary scores:

- DCI (Eastwood & Williams 2018, "A framework for the quantitative evaluation of disentangled representations"), with
  the importances of random forests: does a dimension serve one factor (disentanglement), does a factor use one
  dimension (completeness), and is it there at all (informativeness, here out-of-bag R²).
- MIG (Chen et al. 2018, "Isolating sources of disentanglement in VAEs"): gap between the two dimensions of highest
  mutual information with a factor, over the factor's entropy.
- SAP (Kumar et al. 2018, "Variational inference of disentangled latent concepts"): gap between the two dimensions that
  best predict a factor alone, by a line.

Low DCI, MIG or SAP beside a high probe R² means rotated or spread, not absent. Importances are relative: those of a
factor that is not in the code are noise spread over the dimensions, so read them with its informativeness.

All is computed on the mean code of each context, the independent unit. The catalogue's factors are continuous: mutual
information uses equally filled bins, as many as the contexts allow, with the Miller-Madow correction.

Shapes: M rows, G contexts, Z code dimensions, F context features.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from sklearn.ensemble import RandomForestRegressor

from dali.codes.grouped import bootstrap_counts, check_table
from dali.codes.probes import FactorScore, ProbeEvaluation, weighted_r2
from dali.envs.units import number
from dali.errors import DaliError

MIN_CONTEXTS = 20
TREES = 50
RESAMPLE_TREES = 10  # per bootstrap draw: a hundred forests of 50 take 10 s; fewer trees widen the interval a little
DECODABLE, PARTLY = 0.9, 0.5  # R² from which the verdict says "decodable" and "partly decodable"
CARRIED = 0.5  # a factor is "spread over" the dimensions that hold this share of the most that one says about it


@dataclass(frozen=True)
class Score:
    """A summary score and its 95 % interval (contexts drawn with replacement, corrected for the bootstrap's bias)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Disentanglement:
    """Associations and scores; rows are code dimensions, columns the features `names`.

    Attributes:
        spearman: (Z, F) in [-1, 1]. mutual_information: (Z, F) in nats. entropy: (F,) in nats, its upper bound.
        importance: (Z, F) of the random forests; columns sum to 1, or are 0 for a constant feature.
        disentanglement, completeness, informativeness: DCI. mig, sap: gaps averaged over features.
        contexts: G. bins: of the mutual information.
    """

    names: tuple[str, ...]
    spearman: np.ndarray
    mutual_information: np.ndarray
    entropy: np.ndarray
    importance: np.ndarray
    disentanglement: Score
    completeness: Score
    informativeness: Score
    mig: Score
    sap: Score
    contexts: int
    bins: int


def measure_disentanglement(
    codes: np.ndarray,
    contexts: np.ndarray,
    groups: np.ndarray,
    names: tuple[str, ...],
    draws: int = 200,
    seed: int = 0,
) -> Disentanglement:
    """Associations and scores of a table of codes (M, Z), contexts (M, F) and context ids (M,).

    Raises:
        DaliError: malformed table, or fewer than 20 contexts.
    """
    table = check_table(codes, contexts, groups, MIN_CONTEXTS)
    if len(names) != table.contexts.shape[1]:
        raise DaliError(f"Found {len(names)} names for {table.contexts.shape[1]} context features.")
    z, c = table.group_means()
    rng = np.random.default_rng(seed)
    bins = num_bins(len(z))
    state = int(rng.integers(2**31))

    predicted = out_of_bag(z, c, state)
    importance = forest_importance(z, c, state)
    values = _scores(z, c, predicted, importance, bins)
    drawn = []
    for counts in bootstrap_counts(len(z), draws, rng):
        rows = np.repeat(np.arange(len(z)), counts)
        resampled = forest_importance(z[rows], c[rows], state, RESAMPLE_TREES)
        # Out-of-bag predictions stay those of the whole sample: refitted on a resample, a context's own copies would
        # predict it.
        drawn.append(_scores(z[rows], c[rows], predicted[rows], resampled, bins))
    # A resample repeats contexts, which by itself inflates mutual information and correlations: the spread of the
    # draws is kept, their shift against the estimate is not.
    quantiles = np.quantile(drawn, (0.025, 0.975), axis=0)
    low, high = np.clip(quantiles - np.mean(drawn, axis=0) + values, 0.0, 1.0)
    low, high = np.minimum(low, values), np.maximum(high, values)
    dci_d, dci_c, dci_i, mig_score, sap_score = (
        Score(float(v), float(a), float(b)) for v, a, b in zip(values, low, high, strict=True)
    )
    information, entropy = mutual_information(z, c, bins)
    return Disentanglement(
        names=tuple(names),
        spearman=spearman(z, c),
        mutual_information=information,
        entropy=entropy,
        importance=importance,
        disentanglement=dci_d,
        completeness=dci_c,
        informativeness=dci_i,
        mig=mig_score,
        sap=sap_score,
        contexts=len(z),
        bins=bins,
    )


def _scores(z: np.ndarray, c: np.ndarray, predicted: np.ndarray, importance: np.ndarray, bins: int) -> np.ndarray:
    """DCI's three, MIG and SAP of codes (G, Z), contexts and their out-of-bag predictions (G, F)."""
    r2 = [r if r is not None else 0.0 for r in weighted_r2(c, predicted, np.ones(len(c)))]
    return np.array(
        [
            dci_disentanglement(importance),
            dci_completeness(importance),
            np.clip(r2, 0.0, 1.0).mean(),
            mig(*mutual_information(z, c, bins)).mean(),
            sap(z, c).mean(),
        ]
    )


def spearman(codes: np.ndarray, contexts: np.ndarray) -> np.ndarray:
    """(Z, F) rank correlations of codes (G, Z) and contexts (G, F); 0 where either is constant."""
    return _correlation(rankdata(codes, axis=0), rankdata(contexts, axis=0))


def num_bins(contexts: int) -> int:
    """Bins a variable, so that a cell of the joint table expects at least 5 of the contexts; 3 to 20."""
    return int(np.clip(np.sqrt(contexts / 5.0), 3, 20))


def mutual_information(codes: np.ndarray, contexts: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Mutual information (Z, F) of codes (G, Z) and contexts (G, F), and the contexts' entropies (F,), in nats.

    Equally filled bins; each entropy is the plug-in estimate plus (occupied cells - 1) / 2G (Miller 1955).
    """
    z, c = _quantile_bins(codes, bins), _quantile_bins(contexts, bins)
    entropy_z = np.array([_entropy(column) for column in z.T])
    entropy_c = np.array([_entropy(column) for column in c.T])
    joint = np.array([[_entropy(i * bins + j) for j in c.T] for i in z.T])
    return np.maximum(entropy_z[:, None] + entropy_c[None] - joint, 0.0), entropy_c


def mig(information: np.ndarray, entropy: np.ndarray) -> np.ndarray:
    """(F,) gaps between the two largest mutual informations (Z, F) of each factor, over its entropy (F,)."""
    return np.clip(_top_gap(information) / np.where(entropy > 0, entropy, 1.0), 0.0, 1.0)


def sap(codes: np.ndarray, contexts: np.ndarray) -> np.ndarray:
    """(F,) gaps between the two largest R² of a line from one dimension of codes (G, Z) to each of contexts (G, F)."""
    return _top_gap(_correlation(codes, contexts) ** 2)


def forest_importance(codes: np.ndarray, contexts: np.ndarray, seed: int, trees: int = TREES) -> np.ndarray:
    """Importances (Z, F) of random forests from codes (G, Z) to each of contexts (G, F); columns sum to 1 or 0."""
    importance = np.zeros((codes.shape[1], contexts.shape[1]))
    for j, target in enumerate(contexts.T):
        if np.ptp(target) > 0:
            importance[:, j] = _forest(seed, trees).fit(codes, target).feature_importances_
    return importance


def out_of_bag(codes: np.ndarray, contexts: np.ndarray, seed: int) -> np.ndarray:
    """(G, F) predictions of each context by the trees that did not see it."""
    predicted = contexts.astype(float)
    for j, target in enumerate(contexts.T):
        if np.ptp(target) > 0:
            predicted[:, j] = _forest(seed, TREES, oob_score=True).fit(codes, target).oob_prediction_
    return predicted


def dci_disentanglement(importance: np.ndarray) -> float:
    """Σ_i ρ_i (1 - H_F(P_i)): P_i the shares of row i of importances (Z, F), ρ_i the row's share of the total.

    With a single factor, which no dimension can mix with another, it is 1 by convention.
    """
    rows = importance.sum(1)
    if rows.sum() <= 0:
        return 0.0
    return float((rows / rows.sum()) @ (1.0 - _normalised_entropy(importance, axis=1)))


def dci_completeness(importance: np.ndarray) -> float:
    """Mean over factors of 1 - H_Z(P_j), P_j the shares of column j of importances (Z, F); 0 for a column of zeros."""
    used = importance.sum(0) > 0
    return float(np.where(used, 1.0 - _normalised_entropy(importance, axis=0), 0.0).mean())


def carriers(information: np.ndarray) -> list[int]:
    """The dimensions whose mutual information (Z,) with a factor is at least half of the largest, best first.

    Mutual information and not the forests' importance, which picks arbitrarily among dimensions that say the same.
    """
    order = np.argsort(-information, kind="stable")
    return [int(i) for i in order if information[i] > 0 and information[i] >= CARRIED * information[order[0]]]


def verdict(
    linear: FactorScore, information: np.ndarray, nonlinear: FactorScore | None = None, label: str | None = None
) -> str:
    """One plain sentence on one factor: whether it is in the code, how, and in which dimensions.

    Args:
        linear: the ridge probe's score. nonlinear: the MLP probe's, of the same factor.
        information: (Z,) the factor's column of the mutual information.
        label: what the sentence calls the factor; by default its name.
    """
    name = label or linear.name.replace("_", " ")
    subject = name[:1].upper() + name[1:]
    r2 = linear.r2_inside
    if r2 is None:
        return f"{subject} never varies in these data, so nothing can be said about it."
    better = nonlinear.r2_inside if nonlinear is not None and nonlinear.r2_inside is not None else r2
    where = _where(information)
    if r2 >= DECODABLE:
        text = f"{subject} is linearly decodable (R² {number(r2)} on held-out contexts), {where}"
    elif better >= PARTLY and better > r2 + 0.1:
        how = "decodable" if better >= DECODABLE else "partly decodable"
        text = f"{subject} is {how}, but not linearly (R² {number(better)} by an MLP, {number(r2)} by a line), {where}"
    elif r2 >= PARTLY:
        text = f"{subject} is partly decodable (R² {number(r2)} on held-out contexts), {where}"
    elif max(r2, better) > 0.1:
        text = f"{subject} is barely decodable (R² {number(max(r2, better))} on held-out contexts)"
    else:
        return f"{subject} is not decodable (R² {number(max(r2, better))} on held-out contexts)."
    if linear.r2_outside is not None:
        text += f"; outside the training range R² is {number(linear.r2_outside)}"
    return text + "."


def verdicts(
    measured: Disentanglement,
    linear: ProbeEvaluation,
    nonlinear: ProbeEvaluation | None = None,
    labels: tuple[str, ...] | None = None,
) -> tuple[str, ...]:
    """The verdict on each feature, in the order of `measured.names`, which `labels` may word for people."""
    return tuple(
        verdict(
            linear.factor(name),
            measured.mutual_information[:, i],
            nonlinear.factor(name) if nonlinear else None,
            labels[i] if labels else None,
        )
        for i, name in enumerate(measured.names)
    )


def _forest(seed: int, trees: int, oob_score: bool = False) -> RandomForestRegressor:
    return RandomForestRegressor(trees, min_samples_leaf=2, oob_score=oob_score, random_state=seed)


def _where(information: np.ndarray) -> str:
    dims = [f"z{i}" for i in sorted(carriers(information))]
    if not dims:
        return "in no single dimension"
    if len(dims) == 1:
        return f"mostly in {dims[0]}"
    if len(dims) > 4:
        return f"spread over {len(dims)} of {len(information)} dimensions"
    return f"spread over {', '.join(dims[:-1])} and {dims[-1]}"


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(Z, F) Pearson correlations of the columns of (G, Z) and (G, F); 0 where either is constant."""
    a, b = a - a.mean(0), b - b.mean(0)
    norm = np.linalg.norm(a, axis=0)[:, None] * np.linalg.norm(b, axis=0)[None]
    varied = (np.ptp(a, axis=0) > 0)[:, None] & (np.ptp(b, axis=0) > 0)[None] & (norm > 0)
    return np.where(varied, (a.T @ b) / np.where(varied, norm, 1.0), 0.0)


def _quantile_bins(values: np.ndarray, bins: int) -> np.ndarray:
    """(G, n) bin of each value in 0..bins-1; equal values share a bin."""
    ranks = rankdata(values, method="min", axis=0) - 1
    return np.minimum(ranks * bins // len(values), bins - 1).astype(int)


def _entropy(symbols: np.ndarray) -> float:
    """Entropy in nats of a (G,) sample of whole numbers: plug-in with the Miller-Madow correction."""
    counts = np.unique(symbols, return_counts=True)[1]
    share = counts / counts.sum()
    return float(-(share * np.log(share)).sum() + (len(counts) - 1) / (2 * len(symbols)))


def _normalised_entropy(importance: np.ndarray, axis: int) -> np.ndarray:
    """Entropy of the shares along an axis, in units of its maximum; 0 for an axis of length 1 or a sum of 0."""
    size = importance.shape[axis]
    total = importance.sum(axis, keepdims=True)
    share = importance / np.where(total > 0, total, 1.0)
    terms = np.where(share > 0, share * np.log(np.where(share > 0, share, 1.0)), 0.0)
    return -terms.sum(axis) / np.log(size) if size > 1 else np.zeros(terms.shape[1 - axis])


def _top_gap(values: np.ndarray) -> np.ndarray:
    """(F,) largest minus second largest of each column of (Z, F); the second is 0 where Z is 1."""
    ordered = np.sort(np.vstack([np.zeros((1, values.shape[1])), values]), axis=0)
    return ordered[-1] - ordered[-2]
