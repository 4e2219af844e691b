"""Errors of a checkpoint's dreams, kept in its cache/ folder; the file may be deleted at any time."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dali.dreams.errors import EVERY, FIRST, HORIZON, DreamErrors, dream_errors
from dali.runs.artifacts import fit_readout, load_typical
from dali.runs.cache import CACHE
from dali.runs.checkpoint import load_agent, write_text
from dali.runs.film_source import find_episodes
from dali.runs.folder import digest

ERRORS_FILE = "dream_errors.json"
_MADE_WITH = {"first": FIRST, "every": EVERY, "horizon": HORIZON}


def load_dream_errors(folder: Path) -> DreamErrors | None:
    """What was stored for the present weights; None where there is none."""
    try:
        record = json.loads((folder / CACHE / ERRORS_FILE).read_text(encoding="utf-8"))
        if record["weights"] != digest(folder) or record["made_with"] != _MADE_WITH:
            return None
        columns = record["columns"]
        return DreamErrors(
            np.array(columns["episode"], int),
            np.array(columns["t"], int),
            np.array(columns["asked"], float),
            np.array(columns["factual"], float),
            np.array(columns["counterfactual"], float),
        )
    except (OSError, json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError):
        return None  # absent, or of another version: it can be made anew


def make_dream_errors(folder: Path, report: Callable[[int, int, str], None]) -> DreamErrors:
    """Judges the dreams of a checkpoint's recorded episodes and stores the errors.

    Raises:
        DaliError: no recorded episodes, none long enough, or nowhere to write.
    """
    agent = load_agent(folder)
    weights = digest(folder)
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
    record = {"weights": weights, "made_with": _MADE_WITH, "columns": columns}
    write_text(folder / CACHE / ERRORS_FILE, json.dumps(record) + "\n")
    return found
