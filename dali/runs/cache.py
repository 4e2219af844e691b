"""What takes long to derive from a checkpoint, kept in its cache/ folder: maps of codes, effects of dimensions.

A file says what it was made from, and is never read for anything else. The folder may be deleted at any time.
"""

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dali.codes.points import Points, episode_points, record_points
from dali.codes.projection import Method, Projection, project
from dali.dreams.effects import DimensionEffect, dimension_effects
from dali.dreams.plausibility import Plausibility
from dali.errors import CheckpointError, DaliError
from dali.files.arrays import read_arrays
from dali.files.reading import read_object
from dali.files.writing import write_atomic, write_text
from dali.jobs import Report
from dali.runs.artifacts import EPISODES_FILE, fit_readout, load_episodes, load_typical
from dali.runs.checkpoint import digest, load_agent
from dali.runs.folder import CACHE as CACHE  # of the interface of the cache

EFFECTS_FILE = "plausibility.json"
MOST_DIMENSIONS = 1024  # of a code
MAX_CACHE = 64 * 2**20  # bytes of a run's maps
MOVE = 2.0  # size of the moves of the plausibility test, in σ


@dataclass(frozen=True)
class MapRequest:
    """Which map of a run's codes: method umap or tsne, 2 or 3 dimensions, of records or of episode means."""

    method: Method
    dimensions: int
    means: bool
    seed: int = 0

    @property
    def name(self) -> str:
        return f"{self.method}-{self.dimensions}d-{'means' if self.means else 'records'}-s{self.seed}"


def points_digest(points: Points) -> str:
    """What a map is made from."""
    return hashlib.sha256(np.ascontiguousarray(points.code).tobytes()).hexdigest()


def map_path(folder: Path, request: MapRequest) -> Path:
    return folder / CACHE / f"map-{request.name}.npz"


def load_map(folder: Path, request: MapRequest, points: Points) -> Projection | None:
    """The stored map of these very points; None where there is none."""
    try:
        arrays = read_arrays(map_path(folder, request), ("points", "fitted", "made_from"))
    except (FileNotFoundError, CheckpointError):
        return None  # absent, or not a map: it can be made anew
    place, fitted = arrays["points"], arrays["fitted"]
    count = len(points.code)
    fits = place.shape == (count, request.dimensions) and place.dtype.kind == "f" and np.isfinite(place).all()
    fits = fits and fitted.shape == (count,) and fitted.dtype.kind == "b" and fitted.any()
    if not fits or str(arrays["made_from"]) != points_digest(points):
        return None
    return Projection(request.method, place, fitted)


def make_map(folder: Path, request: MapRequest, report: Report) -> Path:
    """Computes a map of a run's recorded codes and stores it.

    Raises:
        DaliError: no recorded episodes, no codes in them, or nowhere to write.
    """
    episodes = load_episodes(folder / EPISODES_FILE)
    points = episode_points(episodes) if request.means else record_points(episodes)
    projection = project(points.code, request.method, request.dimensions, request.seed, report)
    path = map_path(folder, request)

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            made_from = np.array(points_digest(points))
            coordinates = projection.points.astype(np.float32)
            np.savez_compressed(file, points=coordinates, fitted=projection.fitted, made_from=made_from)

    write_atomic(path, write)
    _trim(path)
    return path


def _trim(newest: Path) -> None:
    """Deletes the oldest maps of a cache until all take less than 64 MB; the newest stays."""
    found = []
    for path in newest.parent.glob("map-*.npz"):
        with contextlib.suppress(OSError):  # another process may have deleted it
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    size = sum(bytes_ for _, bytes_, _ in found)
    for _, bytes_, path in sorted(found):
        if size <= MAX_CACHE:
            return
        if path != newest:
            size -= bytes_
            with contextlib.suppress(OSError):
                path.unlink()


def load_effects(folder: Path) -> list[DimensionEffect] | None:
    """The stored plausibility test of the present weights; None where there is none."""
    try:
        record = read_object(folder / CACHE / EFFECTS_FILE)
        if record["weights"] != digest(folder) or record["move"] != MOVE:
            return None
        return [_effect(e) for e in record["effects"]]
    except (FileNotFoundError, CheckpointError, KeyError, TypeError):
        return None  # absent, or of another version: it can be made anew


def _effect(record: dict[str, Any]) -> DimensionEffect:
    """Raises KeyError or TypeError where it is none."""
    test = Plausibility(**record["test"])
    if type(record["dimension"]) is not int or not 0 <= record["dimension"] < MOST_DIMENSIONS:
        raise TypeError("no number of a dimension")
    if not all(isinstance(value, (int, float)) for value in (record["shift"], *asdict(test).values())):
        raise TypeError("no number")
    return DimensionEffect(record["dimension"], record["shift"], test)


def make_effects(folder: Path, report: Report, seed: int = 0) -> list[DimensionEffect]:
    """Tests every code dimension of a run by plausibility, and stores the result.

    Raises:
        DaliError: no recorded episodes, no code to move, or nowhere to write.
    """
    weights = digest(folder)  # before the agent: of a run that trains on, figures are rather of none than of others
    agent = load_agent(folder)
    if not agent.method.infers_context:
        raise DaliError(f"{agent.method.title} infers no context code, so it has no dimensions to move.")
    episodes = load_episodes(folder / EPISODES_FILE)
    sigma = fit_readout(episodes, agent.spec, load_typical(folder)).code_std
    effects = dimension_effects(agent, episodes, sigma, MOVE, seed, report=report)
    record = {"weights": weights, "move": MOVE, "seed": seed, "effects": [asdict(e) for e in effects]}
    write_text(folder / CACHE / EFFECTS_FILE, json.dumps(record, indent=1) + "\n")
    return effects
