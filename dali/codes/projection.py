"""Maps of the codes in 2 or 3 dimensions: PCA, UMAP, t-SNE.

PCA is exact. UMAP and t-SNE are seeded and fitted on distinct points, at most LIMITS of them, drawn
without replacement by the seed; every other point is placed at the weighted mean of its nearest fitted neighbours.
Codes are centred, not rescaled: distances are those the world model sees.

Shapes: M points, Z code dimensions, k map dimensions.
"""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from dali.codes.grouped import subsample
from dali.errors import DaliError, unknown_name
from dali.jobs import Report, unreported

Method = Literal["pca", "umap", "tsne"]
METHODS: tuple[str, ...] = ("umap", "tsne")  # of neighbourhoods; PCA is `principal_axes`
LIMITS = {"umap": 10_000, "tsne": 4_000}  # points fitted; the time grows with them, not with M
NEIGHBOURS = 5  # fitted points that place another one
UMAP_NEIGHBOURS = 15
PERPLEXITY = 30.0
FLAT = 1e-3  # range of a start axis, of the 20 that the widest has, below which it says nothing of the codes
MIN_DISTINCT = 8  # fewer distinct points have no neighbourhoods to keep


@dataclass(frozen=True)
class Projection:
    """Points of a map.

    Attributes:
        method: that made it. points: (M, k).
        fitted: (M,) bool, False where a point was placed by its neighbours.
    """

    method: Method
    points: np.ndarray
    fitted: np.ndarray


@dataclass(frozen=True)
class Axes:
    """Principal axes, so that further points (a path z(t), a moved code) can be put on the same map.

    Attributes:
        mean: (Z,). components: (k, Z) orthonormal rows. explained: (k,) shares of the variance.
    """

    mean: np.ndarray
    components: np.ndarray
    explained: np.ndarray

    def project(self, codes: np.ndarray) -> np.ndarray:
        """(..., k) coordinates of codes (..., Z)."""
        return (np.asarray(codes, float) - self.mean) @ self.components.T


def project(
    codes: np.ndarray, method: Method, dimensions: int = 2, seed: int = 0, report: Report = unreported
) -> Projection:
    """Maps codes (M, Z) by UMAP or t-SNE to (M, k), k = `dimensions` of 2 or 3; the same input and seed, the same map.

    Args:
        report: is told, in per cent, how far UMAP and t-SNE are.

    Raises:
        DaliError: unknown method, other dimensions, malformed codes, too few distinct points for UMAP or t-SNE.
    """
    codes = _check(codes, dimensions)
    if method not in METHODS:
        raise unknown_name("projection", method, METHODS)
    distinct, index = np.unique(codes, axis=0, return_inverse=True)
    if len(distinct) < MIN_DISTINCT:
        raise DaliError(f"A {method} map needs at least {MIN_DISTINCT} distinct codes; found {len(distinct)}.")
    chosen = subsample(len(distinct), LIMITS[method], seed)
    embed = _umap if method == "umap" else _tsne
    points = np.empty((len(distinct), dimensions))
    points[chosen] = embed(distinct[chosen] - distinct[chosen].mean(0), dimensions, seed, report)
    lost = int((~np.isfinite(points[chosen])).any(1).sum())
    if lost:
        raise DaliError(f"{method} gave {lost} of {len(chosen)} codes no place on the map; use another projection.")
    report(95, 100, "placing the other points")
    others = np.setdiff1d(np.arange(len(distinct)), chosen)
    points[others] = place(distinct[others], distinct[chosen], points[chosen])
    return Projection(method, points[index], np.isin(index, chosen))


def principal_axes(codes: np.ndarray, dimensions: int = 2) -> Axes:
    """Principal axes of codes (M, Z) by decreasing variance; the largest entry of each axis is positive."""
    codes = _check(codes, dimensions)
    if (np.ptp(codes, axis=0) == 0).all():
        return Axes(codes.mean(0), np.eye(dimensions, codes.shape[1]), np.zeros(dimensions))
    fitted = PCA(dimensions, svd_solver="full").fit(codes)  # it makes the largest entry of each axis positive
    return Axes(fitted.mean_, fitted.components_, fitted.explained_variance_ratio_)


def place(codes: np.ndarray, fitted_codes: np.ndarray, fitted_points: np.ndarray) -> np.ndarray:
    """(M, k) points of codes (M, Z): means of their 5 nearest fitted neighbours, weighted by inverse distance.

    Unlike UMAP's own transform, where a point lands does not depend on the others placed with it.
    """
    codes = np.asarray(codes, float)
    if not len(codes):
        return np.empty((0, fitted_points.shape[1]))
    neighbours = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(fitted_codes))).fit(fitted_codes)
    distance, nearest = neighbours.kneighbors(codes)
    weights = 1.0 / np.maximum(distance, 1e-12)
    weights /= weights.sum(1, keepdims=True)
    return (weights[..., None] * fitted_points[nearest]).sum(1)


def _check(codes: np.ndarray, dimensions: int) -> np.ndarray:
    codes = np.asarray(codes, float)
    if dimensions not in (2, 3):
        raise DaliError(f"A map has 2 or 3 dimensions; found {dimensions}.")
    if codes.ndim != 2 or codes.shape[1] < dimensions or len(codes) < 2:
        raise DaliError(f"Expected codes (M, Z), M at least 2 and Z at least {dimensions}; found shape {codes.shape}.")
    if not np.isfinite(codes).all():
        raise DaliError("Some codes are not finite; all must be.")
    return codes


class _Percent:
    """A file for progress bars, which passes on the percentage that they print as a share of a job."""

    def __init__(self, report: Report, first: int, last: int, text: str) -> None:
        self._report, self._first, self._last, self._text = report, first, last, text
        self._told = first

    def write(self, printed: str) -> None:
        found = re.search(r"(\d+)%", printed)
        if found:
            percent = self._first + int(found[1]) * (self._last - self._first) // 100
            if percent > self._told:
                self._told = percent
                self._report(percent, 100, self._text)

    def flush(self) -> None:
        """Nothing is held back."""


def _umap(codes: np.ndarray, dimensions: int, seed: int, report: Report) -> np.ndarray:
    report(0, 100, "loading UMAP")
    import umap  # takes seconds to import, and only this map needs it

    neighbours = min(UMAP_NEIGHBOURS, len(codes) - 1)
    # The spectral start needs more points than eigenvectors; principal axes serve any number.
    start = principal_axes(codes, dimensions).project(codes)
    start = 10.0 * start / np.abs(start).max()
    # UMAP divides each axis of its start by the axis' range, which codes that vary in fewer dimensions leave at 0.
    flat = np.ptp(start, axis=0) < FLAT
    start[:, flat] = np.random.default_rng(seed).normal(scale=FLAT, size=(len(start), int(flat.sum())))
    report(10, 100, "finding neighbours")
    bar = {"disable": False, "file": _Percent(report, 40, 95, "laying points out"), "mininterval": 0.5}
    start = start.astype(np.float32)
    reducer = umap.UMAP(
        n_components=dimensions, n_neighbors=neighbours, init=start, random_state=seed, n_jobs=1, tqdm_kwds=bar
    )
    return np.asarray(reducer.fit_transform(codes), float)


def _tsne(codes: np.ndarray, dimensions: int, seed: int, report: Report) -> np.ndarray:
    report(10, 100, "laying points out")  # scikit-learn tells no more than that
    perplexity = min(PERPLEXITY, (len(codes) - 1) / 3.0)
    model = TSNE(dimensions, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
    return np.asarray(model.fit_transform(codes), float)
