"""Maps of a run's codes, kept in memory, and on disk where they take long."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from dali.analysis.explore import Points
from dali.analysis.projection import NEIGHBOURS, Axes, place, principal_axes, project
from dali.analysis.rollouts import Episodes
from dali.artifacts import EPISODES_FILE
from dali.studio.loaders import Run, Stamp, stamp

MAP_TITLES = {"pca": "PCA", "umap": "UMAP", "tsne": "t-SNE"}


@dataclass(frozen=True)
class Map:
    """Coordinates of points, and how to put the path of an episode among them.

    Attributes:
        points: (M, k). codes: (M, Z) that they stand for. axes: k titles. note: what a reader must know of it.
        principal: of PCA, else None. fitted: (M,) bool, those that shaped the map.
    """

    points: np.ndarray
    codes: np.ndarray
    axes: tuple[str, ...]
    note: str
    principal: Axes | None
    fitted: np.ndarray

    def path(self, episodes: Episodes, episode: int) -> np.ndarray:
        """(T, k) of an episode's records; on UMAP and t-SNE, where their nearest fitted neighbours lie."""
        codes = episodes.code[episode, : episodes.length[episode] + 1]
        if self.principal is not None:
            return self.principal.project(codes)
        return place(codes, self.codes[self.fitted], self.points[self.fitted])


def load_map(run: Run, episodes: Episodes, points: Points, method: str, dimensions: int) -> Map:
    """The map of a run's points by a method of `MAP_TITLES`, in 2 or 3 dimensions."""
    return _load_map(stamp(run.folder, EPISODES_FILE), method, dimensions, points.means, points)


@st.cache_resource(max_entries=12, show_spinner="Computing the map …")
def _load_map(files: Stamp, method: str, dimensions: int, means: bool, _points: Points) -> Map:
    codes = _points.code
    if method == "pca":
        principal = principal_axes(codes, dimensions)
        titles = tuple(
            f"principal component {i + 1} ({share:.0%} of the variance)" for i, share in enumerate(principal.explained)
        )
        note = f"These components hold {principal.explained.sum():.0%} of the codes' variance."
        return Map(principal.project(codes), codes, titles, note, principal, np.ones(len(codes), bool))
    projected = project(codes, method, dimensions)
    title = MAP_TITLES[method]
    note = f"{title} keeps neighbourhoods, not distances (seed 0)."
    if not projected.fitted.all():
        note += (
            f" Fitted on {projected.fitted.sum():,} points; the others lie at the mean of their {NEIGHBOURS} nearest."
        )
    titles = tuple(f"{title} {i + 1} (no unit)" for i in range(dimensions))
    return Map(projected.points, codes, titles, note, None, projected.fitted)
