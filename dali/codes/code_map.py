"""The code map m(c) = E[z | c]: where the encoder puts each physics, and the move between two of them.

A physics slider moves a code by m(c') - m(c), which follows the curved manifold of codes and leaves alone what else
the code holds. The map is a kernel ridge regression on the mean code of each training context, with the kernel

    k(c, c') = 1 + c·c' + exp(-γ |c - c'|²),   contexts scaled to [-1, 1] over their train range,

whose linear part carries on beyond the range, where a Gaussian kernel alone would fall back to the mean. γ and the
penalty are chosen by leave-one-context-out error in closed form: e_i = a_i / [(K + αI)⁻¹]_ii (Rasmussen & Williams
2006, section 5.4.2). Prediction needs NumPy alone.

Shapes: M rows, Z code dimensions, F context features, G training contexts.
"""

from dataclasses import dataclass

import numpy as np

from dali.codes.grouped import check_table
from dali.codes.probes import Probe
from dali.codes.settled import informative, mean_codes
from dali.codes.typical import TypicalCodes
from dali.envs.spec import EnvSpec
from dali.episodes import Episodes
from dali.errors import DaliError

GAMMAS = (0.03, 0.1, 0.3, 1.0, 3.0)
ALPHAS = np.logspace(-5, 1, 13)


@dataclass(frozen=True)
class CodeMap:
    """A fitted code map.

    Attributes:
        centres: (G, F) training contexts, scaled. coefficients: (G, Z), in standardised codes.
        code_mean: (Z,) centre of the regression. code_std: (Z,) standard deviation of the data's codes, the σ of moves.
        low, high: (F,) train range, in units.
        gamma: as chosen. r2: (Z,) leave-one-context-out R² of each dimension's context means (0 where constant).
    """

    centres: np.ndarray
    coefficients: np.ndarray
    code_mean: np.ndarray
    code_std: np.ndarray
    low: np.ndarray
    high: np.ndarray
    gamma: float
    r2: np.ndarray

    def predict(self, contexts: np.ndarray) -> np.ndarray:
        """Expected codes (..., Z) of contexts (..., F) in units."""
        contexts = np.asarray(contexts, float)
        scaled = 2.0 * (contexts - self.low) / (self.high - self.low) - 1.0
        codes = _kernel(scaled.reshape(-1, len(self.low)), self.centres, self.gamma) @ self.coefficients
        return self.code_mean + codes.reshape(*contexts.shape[:-1], -1)

    def shift(self, c_from: np.ndarray, c_to: np.ndarray) -> np.ndarray:
        """The move (..., Z) of a code when the physics (..., F) goes from c_from to c_to; exactly 0 for no change."""
        return self.predict(c_to) - self.predict(c_from)


def fit_code_map(
    codes: np.ndarray, contexts: np.ndarray, groups: np.ndarray, low: np.ndarray, high: np.ndarray
) -> CodeMap:
    """Fits m(c) to training codes.

    Args:
        codes: (M, Z). contexts: (M, F) in units, constant within a group. groups: (M,) context ids.
        low, high: (F,) bounds of the train range.

    Raises:
        DaliError: malformed table, fewer than 5 contexts, or an empty range.
    """
    table = check_table(codes, contexts, groups)
    low, high = np.asarray(low, float), np.asarray(high, float)
    if low.shape != (table.contexts.shape[1],) or high.shape != low.shape or not (low < high).all():
        raise DaliError(
            f"The train range needs low < high for each of {table.contexts.shape[1]} features; "
            f"found low {low.tolist()}, high {high.tolist()}."
        )
    mean_codes, context = table.group_means()
    scaled = 2.0 * (context - low) / (high - low) - 1.0
    centre, std = mean_codes.mean(0), table.codes.std(0)
    scale = np.where(std > 0, std, 1.0)  # errors of all dimensions count alike, in σ
    target = (mean_codes - centre) / scale

    fits = []
    for gamma in GAMMAS:
        values, vectors = np.linalg.eigh(_kernel(scaled, scaled, gamma))
        rotated = vectors.T @ target
        for alpha in ALPHAS:
            inverse = 1.0 / (np.maximum(values, 0.0) + alpha)
            coefficients = vectors @ (inverse[:, None] * rotated)
            left_out = coefficients / (vectors**2 @ inverse)[:, None]  # (G, Z) leave-one-out residuals
            fits.append((float((left_out**2).sum()), gamma, coefficients, left_out))
    _, gamma, coefficients, left_out = min(fits, key=lambda fit: fit[0])
    spread = (target**2).sum(0)
    r2 = np.where(spread > 0, 1.0 - (left_out**2).sum(0) / np.where(spread > 0, spread, 1.0), 0.0)
    return CodeMap(scaled, coefficients * scale, centre, std, low, high, float(gamma), r2)


def round_trip_error(code_map: CodeMap, probe: Probe, contexts: np.ndarray) -> np.ndarray:
    """probe(m(c)) - c (..., F), in units: how far the map and the probe disagree about a physics."""
    contexts = np.asarray(contexts, float)
    return probe.predict(code_map.predict(contexts)) - contexts


def _kernel(a: np.ndarray, b: np.ndarray, gamma: float) -> np.ndarray:
    """(len(a), len(b)) values of 1 + a·b + exp(-γ |a - b|²)."""
    inner = a @ b.T
    square = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2.0 * inner
    return 1.0 + inner + np.exp(-gamma * np.maximum(square, 0.0))


def fit_steering(episodes: Episodes, spec: EnvSpec, typical: TypicalCodes | None = None) -> CodeMap:
    """The code map, from training contexts alone.

    Args:
        episodes: recorded ones. The informative ones among them serve where ``typical`` is None.
    """
    low, high = np.array([f.train for f in spec.features]).T
    if typical is not None:
        return fit_code_map(typical.code, typical.context, np.arange(len(typical.code)), low, high)
    train = informative(episodes.subset(episodes.regime == "train"))
    return fit_code_map(mean_codes(train), train.context, train.group, low, high)
