"""The fits behind the probes: linear and one-hidden-layer readers, penalties chosen over folds of whole groups.

Shapes: M rows, Z standardised code dimensions, F standardised context features.
"""

import warnings

import numpy as np

Layers = list[tuple[np.ndarray, np.ndarray]]  # weight (in, out) and bias (out,) of each layer, ReLU between

RIDGE_ALPHAS = np.logspace(-4, 3, 15)
MLP_ALPHAS = (0.3, 10.0)  # penalties on the scale of one context, as those of the ridge
MLP_UNITS = 32
MLP_ROWS = 1500  # rows an MLP is fitted on at most, drawn evenly from the groups
MLP_ITERATIONS = 150


def fit_ridge(x: np.ndarray, y: np.ndarray, weights: np.ndarray, folds: np.ndarray) -> Layers:
    """The layer fitted on all rows with the penalty of least cross-validated squared error.

    Minimises Σ w (xW + b - y)² + alpha |W|². Weights sum to 1 in a group, so alpha is on the scale of one context.
    Everything comes from the second moments of each fold, so that rows are read once whatever the number of penalties.
    """
    design = np.column_stack([x, np.ones(len(x))])
    moments = []
    for fold in np.unique(folds):
        rows = folds == fold
        weighted = design[rows] * weights[rows, None]
        moments.append((weighted.T @ design[rows], weighted.T @ y[rows]))
    gram, cross = sum(g for g, _ in moments), sum(c for _, c in moments)
    penalty = np.diag([1.0] * x.shape[1] + [0.0])  # the bias goes free
    errors = np.zeros(len(RIDGE_ALPHAS))
    for i, alpha in enumerate(RIDGE_ALPHAS):
        for fold_gram, fold_cross in moments:
            layer = np.linalg.solve(gram - fold_gram + alpha * penalty, cross - fold_cross)
            # Σ w (design @ layer - y)² over the fold, less Σ w y², which is the same for all penalties
            errors[i] += (layer * (fold_gram @ layer - 2.0 * fold_cross)).sum()
    alpha = RIDGE_ALPHAS[np.argmin(errors)]
    layer = np.linalg.solve(gram + alpha * penalty, cross)
    return [(layer[:-1], layer[-1])]


def fit_mlp(x: np.ndarray, y: np.ndarray, index: np.ndarray, folds: np.ndarray, rng: np.random.Generator) -> Layers:
    """The two layers fitted on rows drawn evenly from the groups, with the penalty of least error on one fold."""
    # Only this fit needs scikit-learn: the ridge probe, and predictions of either, run on NumPy alone.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    # Rows are drawn evenly from the groups in place of weights: fewer rows, and no group counts more than another.
    per_group = max(1, min(MLP_ROWS // (index.max() + 1), int(np.bincount(index).max())))
    rows = np.concatenate([_draw(np.flatnonzero(index == g), per_group, rng) for g in range(index.max() + 1)])
    x, y, folds = x[rows], y[rows], folds[rows]
    state = int(rng.integers(2**31))

    def layers(where: np.ndarray, alpha: float) -> Layers:
        model = MLPRegressor(
            hidden_layer_sizes=(MLP_UNITS,),
            alpha=alpha * per_group,
            solver="lbfgs",
            max_iter=MLP_ITERATIONS,
            random_state=state,
        )
        with warnings.catch_warnings():
            # The number of iterations is part of the regularisation here; stopping there is intended.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(x[where], y[where] if y.shape[1] > 1 else y[where, 0])
        return list(zip(model.coefs_, model.intercepts_, strict=True))

    train, test = folds != 0, folds == 0  # one grouped fold decides: a full cross-validation costs five times more
    errors = []
    for alpha in MLP_ALPHAS:
        (w0, b0), (w1, b1) = layers(train, alpha)
        errors.append(((np.maximum(x[test] @ w0 + b0, 0.0) @ w1 + b1 - y[test]) ** 2).sum())
    return layers(np.ones(len(x), bool), MLP_ALPHAS[int(np.argmin(errors))])


def _draw(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(rows, count, replace=len(rows) < count)
