"""Which code dimension tells what, kept in a checkpoint's cache/ folder: forests and their bootstrap take seconds.

The file says which codes it was made from, and is never read for others; it may be deleted at any time.
"""

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from dali.codes.disentanglement import Disentanglement, Score, measure_disentanglement
from dali.codes.settled import informative, mean_codes
from dali.episodes import Episodes
from dali.errors import CheckpointError
from dali.files.reading import read_object
from dali.files.writing import write_text
from dali.runs.folder import CACHE

FILE = "disentanglement.json"
_SCORES = ("disentanglement", "completeness", "informativeness", "mig", "sap")


def load_dimensions(folder: Path, episodes: Episodes) -> Disentanglement | None:
    """What was stored for the codes of these very episodes; None where there is none."""
    try:
        record = read_object(folder / CACHE / FILE)
        if record.pop("made_from") != _made_from(episodes):
            return None
        scores: dict[str, Any] = {name: Score(**record.pop(name)) for name in _SCORES}
        names = tuple(record.pop("names"))
        numbers: dict[str, Any] = {name: record.pop(name) for name in ("contexts", "bins")}
        tables: dict[str, Any] = {name: np.array(values, float) for name, values in record.items()}
        _check(tables, episodes.code.shape[-1], len(names), [*scores.values()])
        return Disentanglement(names=names, **tables, **scores, **numbers)
    except (FileNotFoundError, CheckpointError, KeyError, TypeError, ValueError, OverflowError):
        return None  # absent, or of another version: it can be made anew


def _check(tables: dict[str, np.ndarray], dimensions: int, features: int, scores: list[Score]) -> None:
    """Raises ValueError or TypeError where tables and scores are none of a code's dimensions by features."""
    for name, table in tables.items():
        if table.shape != ((features,) if name == "entropy" else (dimensions, features)):
            raise ValueError(f"{name} has shape {table.shape}")
    figures = [*tables.values(), *(np.array([*asdict(score).values()], float) for score in scores)]
    if not all(np.isfinite(part).all() for part in figures):
        raise ValueError("a figure is not finite")


def make_dimensions(folder: Path, episodes: Episodes, names: tuple[str, ...]) -> Disentanglement:
    """Measures the informative episodes' mean codes, over all of their contexts, and stores the result.

    Raises:
        DaliError: too few contexts, or nowhere to write.
    """
    chosen = informative(episodes)
    found = measure_disentanglement(mean_codes(chosen), chosen.context, chosen.group, names)
    record = {field.name: getattr(found, field.name) for field in fields(found)}
    record = {
        name: value.tolist() if isinstance(value, np.ndarray) else asdict(value) if name in _SCORES else value
        for name, value in record.items()
    }
    write_text(folder / CACHE / FILE, json.dumps({"made_from": _made_from(episodes), **record}) + "\n")
    return found


def _made_from(episodes: Episodes) -> str:
    sha = hashlib.sha256()
    for part in (episodes.code, episodes.context, episodes.length):
        sha.update(np.ascontiguousarray(part).tobytes())
    return sha.hexdigest()
