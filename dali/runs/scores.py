"""The evaluation beside a checkpoint's weights: eval.json, and the reference scores that ship with the package."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from dali.envs import catalogue
from dali.errors import CheckpointError
from dali.returns.play import EARLY_COLUMNS, LABELS, RESULTS, Evaluation, Memory
from dali.runs.checkpoint import write_text
from dali.runs.folder import digest, load_config

EVAL_FILE = "eval.json"
FILES: dict[Memory, str] = {"kept": EVAL_FILE, "none": "eval-no-memory.json"}
SCHEMA = 1

# Column of the table -> field of the file; returns of the first steps are absent from files of older versions.
_FIELDS = {"start_seed": "seed", "return": "return", "steps": "length", "random_return": "random_return"}


def save_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Writes every episode that was played, one context a line."""
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
        "weights": digest(folder),
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
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["schema"] != SCHEMA:
            raise CheckpointError(f"{path} has schema {record['schema']!r}; this version reads schema {SCHEMA}.")
        weights, evaluation = record["weights"], _parse(record, load_config(folder).env, memory)
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise CheckpointError(f"{path} does not hold an evaluation: {error!r}.") from error
    if weights != digest(folder):
        raise CheckpointError(f"{path} is of other weights; make it anew with: {command}")
    return evaluation


def _parse(record: dict, env: str, memory: Memory) -> Evaluation:
    features = tuple(f.name for f in catalogue.spec(env).features)
    parts = []
    for row in record["contexts"]:
        episodes = [int(number) for number in row["episode"]]
        kinds = {column: int if column == "start_seed" else float for column in _FIELDS}
        results = {column: np.array(row[field], kinds[column]) for column, field in _FIELDS.items()}
        early = {name: np.array(row.get(name, [np.nan] * len(episodes)), float) for name in EARLY_COLUMNS}
        labels = {"regime": row["regime"], "grid": row["grid"], "episode": episodes}
        physics = {name: float(row["context"][name]) for name in features}
        parts.append(pd.DataFrame({**physics, **labels, **results, **early}))
    columns = [*features, *LABELS, *RESULTS]
    table = pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)
    if record.get("memory", "kept") != memory:
        raise ValueError(f"its memory is {record['memory']!r}, expected {memory!r}")
    return Evaluation(features, table, int(record["seed"]), memory)
