"""Errors of a checkpoint's dreams, kept in its cache/ folder; the file may be deleted at any time."""

import hashlib
import json
from pathlib import Path

import numpy as np

from dali.dreams.errors import EVERY, FIRST, HORIZON, DreamErrors, dream_errors
from dali.envs import catalogue
from dali.errors import CheckpointError
from dali.files.arrays import MAX_BYTES
from dali.files.reading import read_bytes, read_object
from dali.files.writing import write_text
from dali.jobs import Report
from dali.runs.artifacts import fit_readout, load_typical
from dali.runs.checkpoint import load_agent
from dali.runs.film_source import find_episodes
from dali.runs.folder import CACHE, EPISODES_FILE, digest, load_config

ERRORS_FILE = "dream_errors.json"
_MADE_WITH = {"first": FIRST, "every": EVERY, "horizon": HORIZON}


def load_dream_errors(folder: Path) -> DreamErrors | None:
    """What was stored for the present weights; None where there is none."""
    try:
        record = read_object(folder / CACHE / ERRORS_FILE)
        if record["weights"] != digest(folder) or record["made_with"] != _MADE_WITH:
            return None
        if record["episodes"] != _episodes_digest(folder):
            return None
        features = len(catalogue.spec(load_config(folder).env).features)
        columns = record["columns"]
        kinds: dict[str, type] = {"episode": int, "t": int, "asked": float, "factual": float, "counterfactual": float}
        arrays: dict[str, np.ndarray] = {name: np.array(columns[name], kind) for name, kind in kinds.items()}
    except (FileNotFoundError, CheckpointError, KeyError, TypeError, ValueError, OverflowError):
        return None  # absent, or of another version: it can be made anew
    count = len(arrays["t"]) if arrays["t"].ndim == 1 else 0
    whole = count and all(a.shape == ((count, features) if n == "asked" else (count,)) for n, a in arrays.items())
    whole = whole and arrays["episode"].min() >= 0 and arrays["t"].min() >= 0
    return DreamErrors(**arrays) if whole and all(np.isfinite(a).all() for a in arrays.values()) else None


def make_dream_errors(folder: Path, report: Report) -> DreamErrors:
    """Judges the dreams of a checkpoint's recorded episodes and stores the errors.

    Raises:
        DaliError: no recorded episodes, none long enough, or nowhere to write.
    """
    weights, recorded = digest(folder), _episodes_digest(folder)
    agent = load_agent(folder)
    episodes = find_episodes(folder, agent)
    code_map = fit_readout(episodes, agent.spec, load_typical(folder)).code_map if agent.method.infers_context else None
    found = dream_errors(agent, episodes, code_map, report)
    columns = {
        "episode": found.episode.tolist(),
        "t": found.t.tolist(),
        "asked": found.asked.tolist(),
        "factual": found.factual.round(5).tolist(),
        "counterfactual": found.counterfactual.round(5).tolist(),
    }
    record = {"weights": weights, "episodes": recorded, "made_with": _MADE_WITH, "columns": columns}
    write_text(folder / CACHE / ERRORS_FILE, json.dumps(record) + "\n")
    return found


def _episodes_digest(folder: Path) -> str:
    """Of the recorded episodes that the starts are in; empty where none are recorded, since these are always the same.

    Raises:
        CheckpointError: they cannot be read.
    """
    try:
        return hashlib.sha256(read_bytes(folder / EPISODES_FILE, MAX_BYTES)).hexdigest()
    except FileNotFoundError:
        return ""
