"""Is a code one that the model has met? Distance of a code to the cloud of the data's codes.

The distance is Mahalanobis' with the shrunk covariance of Ledoit & Wolf (2004); a query is judged by the quantile of
its distance among those of the data themselves. It says nothing about holes inside the cloud.

Shapes: M rows, Z code dimensions.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.covariance import ledoit_wolf

from dali.errors import DaliError

LEVELS = np.linspace(0.0, 1.0, 2001)  # quantile levels of the stored table of distances


@dataclass(frozen=True)
class Verdict:
    """The judgement of one code.

    Attributes:
        distance: Mahalanobis distance to the data's codes. threshold: the largest that counts as inside.
        quantile: share of the data at most as far out. text: one sentence for people.
    """

    distance: float
    quantile: float
    threshold: float
    inside: bool
    text: str

    @property
    def ratio(self) -> float:
        """distance / threshold; above 1 the code is off the support."""
        return self.distance / self.threshold


@dataclass(frozen=True)
class Support:
    """The cloud of the data's codes.

    Attributes:
        mean, std: (Z,). precision: (Z, Z) inverse of the shrunk covariance.
        table: (2001,) quantiles of the data's distances at LEVELS. level: share of the data that counts as inside.
    """

    mean: np.ndarray
    std: np.ndarray
    precision: np.ndarray
    table: np.ndarray
    level: float

    @property
    def threshold(self) -> float:
        """The distance that `level` of the data do not exceed."""
        return float(np.interp(self.level, LEVELS, self.table))

    def distance(self, codes: np.ndarray) -> np.ndarray:
        """Mahalanobis distances (...) of codes (..., Z)."""
        centred = np.asarray(codes, float) - self.mean
        return np.sqrt(np.maximum(np.einsum("...i,ij,...j->...", centred, self.precision, centred), 0.0))

    def quantile(self, codes: np.ndarray) -> np.ndarray:
        """Share (...) of the data at most as far out as codes (..., Z); 1 beyond the farthest of them."""
        return np.interp(self.distance(codes), self.table, LEVELS, left=0.0, right=1.0)

    def verdict(self, code: np.ndarray) -> Verdict:
        """Whether one code (Z,) lies within the data's support, and how far out it is."""
        distance, quantile = float(self.distance(code)), float(self.quantile(code))
        inside = distance <= self.threshold
        if inside:
            text = f"Within the data's codes: {quantile:.0%} of them lie at most as far out."
        else:
            text = (
                f"Off the data's codes: {distance / self.threshold:.1f} times the distance "
                f"that {self.level:.0%} of them keep."
            )
        return Verdict(distance, quantile, self.threshold, inside, text)


def fit_support(codes: np.ndarray, level: float = 0.99) -> Support:
    """Fits the support to codes (M, Z); `level` is the share of them that counts as inside.

    Raises:
        DaliError: fewer rows than dimensions + 2, values that are not finite or all the same, a level outside (0, 1).
    """
    codes = np.asarray(codes, float)
    if codes.ndim != 2 or len(codes) < codes.shape[1] + 2:
        raise DaliError(f"A code support needs codes (M, Z) with M of at least Z + 2; found shape {codes.shape}.")
    if not np.isfinite(codes).all():
        raise DaliError("Some codes are not finite; all must be.")
    if not 0.0 < level < 1.0:
        raise DaliError(f"The level of the support must lie between 0 and 1; found {level}.")
    mean, std = codes.mean(0), codes.std(0)
    if (np.ptp(codes, axis=0) == 0).all():
        raise DaliError(f"All {len(codes)} codes are the same; the encoder has collapsed and there is no support.")
    # A dimension that never moves keeps a tiny scale, so that a move along it counts as far out, but not infinitely.
    scale = np.maximum(std, 1e-3 * std.max())
    covariance, _ = ledoit_wolf((codes - mean) / scale, assume_centered=True)
    precision = np.linalg.inv(covariance) / np.outer(scale, scale)
    support = Support(mean, std, precision, np.zeros(len(LEVELS)), level)
    return Support(mean, std, precision, np.quantile(support.distance(codes), LEVELS), level)
