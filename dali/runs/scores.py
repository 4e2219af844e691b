"""The evaluation beside a checkpoint's weights: eval.json, and the reference scores that ship with the package."""

import json
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dali.envs import catalogue
from dali.envs.contexts import REGIMES
from dali.errors import CheckpointError
from dali.files.reading import read_object
from dali.files.text import quote
from dali.files.writing import write_text
from dali.returns.evaluation import EARLY_COLUMNS, LABELS, RESULTS, Evaluation, Memory
from dali.runs.folder import EVAL_FILE as EVAL_FILE  # of the interface of an evaluation
from dali.runs.folder import digest, load_config, made_from

FILES: dict[Memory, str] = {"kept": EVAL_FILE, "none": "eval-no-memory.json"}
SCHEMA = 1
MOST_EPISODES = 1000  # a context; the paper plays 50

# Column of the table -> field of the file; returns of the first steps are absent from files of older versions.
_FIELDS = {"start_seed": "seed", "return": "return", "steps": "length", "random_return": "random_return"}


def save_evaluation(folder: Path, evaluation: Evaluation, weights: str | None = None) -> None:
    """Writes every episode that was played, one context a line; ``weights`` and errors as of ``save_analysis``."""
    config = load_config(folder)
    rows = []
    for context, played in evaluation.episodes.groupby(list(evaluation.features), sort=False):
        early = {name: name for name in EARLY_COLUMNS if not played[name].isna().any()}
        row = {
            "context": dict(zip(evaluation.features, context, strict=True)),
            "regime": played["regime"].iloc[0],
            "grid": played["grid"].iloc[0],
            "episode": played["episode"].tolist(),
        }
        for column, field in {**_FIELDS, **early}.items():
            row[field] = (played[column].astype(int) if column == "steps" else played[column]).tolist()
        rows.append(row)
    head = {
        "schema": SCHEMA,
        "weights": made_from(folder, weights),
        "env": config.env,
        "method": config.method_name,
        "training_seed": config.seed,
        "seed": evaluation.seed,
        "policy": "mode of latents and actions",
        **({"memory": evaluation.memory} if evaluation.memory != "kept" else {}),
    }
    lines = ",\n".join(json.dumps(row) for row in rows)
    write_text(folder / FILES[evaluation.memory], f'{json.dumps(head)[:-1]}, "contexts": [\n{lines}\n]}}\n')


def load_evaluation(folder: Path, memory: Memory = "kept") -> Evaluation:
    """The evaluation of a checkpoint's present weights.

    Raises:
        CheckpointError: none there, not one, or one of other weights; says how to make it.
    """
    path = folder / FILES[memory]
    command = f"python -m dali evaluate {folder}" + ("" if memory == "kept" else f" --memory {memory}")
    if not path.is_file():
        raise CheckpointError(f"There is no {path}; make it with: {command}")
    try:
        record = read_object(path)
        if record["schema"] != SCHEMA:
            raise CheckpointError(f"{path} has schema {quote(record['schema'])}; this version reads schema {SCHEMA}.")
        weights, evaluation = record["weights"], _parse(record, load_config(folder).env, memory)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CheckpointError(f"{path} does not hold an evaluation: {quote(error)}.") from error
    if weights != digest(folder):
        raise CheckpointError(f"{path} is of other weights; make it anew with: {command}")
    return evaluation


def _parse(record: dict[str, Any], env: str, memory: Memory) -> Evaluation:
    """Raises ValueError, KeyError or TypeError where the record is not one of ``save_evaluation``."""
    features = tuple(f.name for f in catalogue.spec(env).features)
    rows = record["contexts"]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("contexts are not a list of objects")
    if not isinstance(record["seed"], int) or not isinstance(record["weights"], str):
        raise ValueError("it does not tell its seed and its weights")
    if record.get("memory", "kept") != memory:
        raise ValueError(f"its memory is {record['memory']!r}, expected {memory!r}")
    for row in rows:
        _check_row(row, features)
    counts = [len(row["episode"]) for row in rows]
    columns: dict[str, Any] = {f: np.repeat([float(row["context"][f]) for row in rows], counts) for f in features}
    for label in ("regime", "grid"):
        columns[label] = np.repeat(np.array([row[label] for row in rows], object), counts)
    columns["episode"] = list(chain.from_iterable(row["episode"] for row in rows))
    for column, field in _FIELDS.items():
        kind = int if column == "start_seed" else float
        columns[column] = np.array(list(chain.from_iterable(row[field] for row in rows)), kind)
    for name in EARLY_COLUMNS:
        columns[name] = np.concatenate([_early(row, name) for row in rows]) if rows else []
    return Evaluation(features, pd.DataFrame(columns)[[*features, *LABELS, *RESULTS]], record["seed"], memory)


def _early(row: dict[str, Any], name: str) -> np.ndarray:
    """Returns (E,) of the first steps of a context's episodes; NaN where they were not recorded."""
    if name not in row:
        return np.full(len(row["episode"]), np.nan)
    values = np.array(row[name], float)
    if values.shape != (len(row["episode"]),):
        raise ValueError(f"{name!r} is not a list of as many numbers as episodes")
    return values


def _check_row(row: dict[str, Any], names: tuple[str, ...]) -> None:
    """Raises ValueError where a context's episodes, returns or labels are of another kind, length or size."""
    episodes = row["episode"]
    if not isinstance(episodes, list) or not 1 <= len(episodes) <= MOST_EPISODES:
        raise ValueError(f"a context has no list of 1 to {MOST_EPISODES} episodes")
    if not all(type(e) is int and 0 <= e < MOST_EPISODES for e in episodes):
        raise ValueError(f"an episode is not a number from 0 to {MOST_EPISODES - 1}")
    for name in _FIELDS.values():
        values = row[name]
        if not isinstance(values, list) or len(values) != len(episodes) or not all(map(_is_finite, values)):
            raise ValueError(f"{name!r} is not a list of as many numbers as episodes")
    if not all(_is_finite(row["context"][name]) for name in names):
        raise ValueError("a context is not one of numbers")
    if row["regime"] not in REGIMES or not isinstance(row["grid"], str):
        raise ValueError("a context is of no known regime or grid")


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15
