"""What takes long to derive from a checkpoint, kept in its cache/ folder: maps of codes, effects of dimensions.

A file says what it was made from, and is never read for anything else. The folder may be deleted at any time.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from dali.dreams.effects import DimensionEffect, dimension_effects
from dali.codes.points import Points, episode_points, record_points
from dali.dreams.plausibility import Plausibility
from dali.codes.projection import Method, Projection, project
from dali.runs.artifacts import EPISODES_FILE, fit_readout, load_episodes, load_typical
from dali.runs.checkpoint import digest, load_agent, write_atomic, write_text
from dali.errors import DaliError

CACHE = "cache"
EFFECTS_FILE = "plausibility.json"
MOVE = 2.0  # size of the moves of the plausibility test, in σ

Report = Callable[[int, int, str], None]


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
        with map_path(folder, request).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if str(file["made_from"]) != points_digest(points):
                return None
            return Projection(request.method, file["points"], None, file["fitted"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None  # absent, or not a map: it can be made anew


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
    return path


def load_effects(folder: Path) -> list[DimensionEffect] | None:
    """The stored plausibility test of the present weights; None where there is none."""
    try:
        record = json.loads((folder / CACHE / EFFECTS_FILE).read_text(encoding="utf-8"))
        if record["weights"] != digest(folder) or record["move"] != MOVE:
            return None
        return [DimensionEffect(e["dimension"], e["shift"], Plausibility(**e["test"])) for e in record["effects"]]
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        return None  # absent, or of another version: it can be made anew


def make_effects(folder: Path, report: Report, seed: int = 0) -> list[DimensionEffect]:
    """Tests every code dimension of a run by plausibility, and stores the result.

    Raises:
        DaliError: no recorded episodes, no code to move, or nowhere to write.
    """
    agent = load_agent(folder)
    if not agent.method.infers_context:
        raise DaliError(f"{agent.method.title} infers no context code, so it has no dimensions to move.")
    weights = digest(folder)
    episodes = load_episodes(folder / EPISODES_FILE)
    sigma = fit_readout(episodes, agent.spec, load_typical(folder)).code_std
    effects = dimension_effects(agent, episodes, sigma, MOVE, seed, report=report)
    record = {"weights": weights, "move": MOVE, "seed": seed, "effects": [asdict(e) for e in effects]}
    write_text(folder / CACHE / EFFECTS_FILE, json.dumps(record, indent=1) + "\n")
    return effects
