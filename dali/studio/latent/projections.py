"""Maps of a run's codes: PCA at once, UMAP and t-SNE by a job that leaves them in the checkpoint's cache."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from dali.codes.points import Points
from dali.codes.projection import NEIGHBOURS, Axes, Method, Projection, place, principal_axes
from dali.episodes import Episodes
from dali.runs.artifacts import EPISODES_FILE
from dali.runs.cache import CACHE, MapRequest, load_map, map_path
from dali.studio import jobs
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
        """(T, k) of an episode's records."""
        return self.place(episodes.code[episode, : episodes.length[episode] + 1])

    def place(self, codes: np.ndarray) -> np.ndarray:
        """(N, k) where codes (N, Z) lie; on UMAP and t-SNE, where their nearest fitted neighbours do."""
        if self.principal is not None:
            return self.principal.project(codes)
        return place(codes, self.codes[self.fitted], self.points[self.fitted])


def find_map(run: Run, points: Points, method: Method, dimensions: int) -> Map | None:
    """The map of a run's points by a method of `MAP_TITLES`. Where it must be computed first, starts a job, shows its
    progress, and returns None until it is there.

    Raises:
        DaliError: the job cannot be started.
    """
    if method == "pca":
        return _principal(stamp(run.folder, EPISODES_FILE), dimensions, points.means, points)
    request = MapRequest(method, dimensions, points.means)
    path = map_path(run.folder, request)
    if path.exists():
        projection = _stored(stamp(path.parent, path.name), stamp(run.folder, EPISODES_FILE), request, points)
        if projection is not None:
            return _neighbourhoods(projection, points)
    _compute(run, request)
    return None


def _compute(run: Run, request: MapRequest) -> None:
    """The job that makes a map: started at first sight, then by a button only."""
    status = run.folder / CACHE / f"map-{request.name}.status.json"
    title = MAP_TITLES[request.method]
    arguments = ["embed", str(run.folder), "--method", request.method, "--dimensions", str(request.dimensions)]
    arguments += ["--status", str(status), *(["--means"] if request.means else [])]
    found = jobs.read(status)
    if found is None or found.state == "done":  # done for other codes than those here
        jobs.start(arguments, status)
    if jobs.running(status, f"{title} map", f"The {title} map failed: "):
        st.caption("About a minute on one core. It goes on while you look at other maps and pages, and is kept.")
        return
    st.button(f"Compute the {title} map", on_click=jobs.start, args=(arguments, status), icon=":material/play_arrow:")


def _neighbourhoods(projection: Projection, points: Points) -> Map:
    title = MAP_TITLES[projection.method]
    note = f"{title} keeps neighbourhoods, not distances (seed 0)."
    if not projection.fitted.all():
        note += (
            f" Fitted on {projection.fitted.sum():,} points; the others lie at the mean of their {NEIGHBOURS} nearest."
        )
    axes = tuple(f"{title} {i + 1} (no unit)" for i in range(projection.points.shape[1]))
    return Map(projection.points, points.code, axes, note, None, projection.fitted)


@st.cache_resource(max_entries=8, show_spinner="Finding principal axes …")
def _principal(files: Stamp, dimensions: int, means: bool, _points: Points) -> Map:
    principal = principal_axes(_points.code, dimensions)
    # Axes of a cube have room for few letters.
    title, of = ("PC", "") if dimensions == 3 else ("principal component", " of the variance")
    axes = tuple(f"{title} {i + 1} ({share:.0%}{of})" for i, share in enumerate(principal.explained))
    note = f"These components hold {principal.explained.sum():.0%} of the codes' variance."
    everything = np.ones(len(_points.code), bool)
    return Map(principal.project(_points.code), _points.code, axes, note, principal, everything)


@st.cache_resource(max_entries=8, show_spinner=False)
def _stored(file: Stamp, episodes: Stamp, request: MapRequest, _points: Points) -> Projection | None:
    return load_map(Path(file[0][0]).parents[1], request, _points)
