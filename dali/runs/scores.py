"""The evaluation beside a checkpoint's weights: eval.json, and the reference scores that ship with the package."""

import json
from pathlib import Path

import numpy as np

from dali.envs import catalogue
from dali.errors import CheckpointError
from dali.files.reading import read_object
from dali.files.text import quote
from dali.files.writing import write_text
from dali.returns.play import Evaluation
from dali.runs.episodes_check import REGIMES
from dali.runs.folder import EVAL_FILE as EVAL_FILE  # of the interface of an evaluation
from dali.runs.folder import digest, load_config

SCHEMA = 1
MOST_EPISODES = 1000  # a context; the paper plays 50


def save_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Writes every episode that was played, one context a line."""
    config = load_config(folder)
    names = [f.name for f in catalogue.spec(config.env).features]
    rows = []
    for row, context in enumerate(evaluation.contexts.tolist()):
        played = np.flatnonzero(~np.isnan(evaluation.returns[row]))
        if len(played):
            columns = {
                "episode": played,
                "seed": evaluation.seeds[row, played],
                "return": evaluation.returns[row, played],
                "length": evaluation.lengths[row, played],
                "random_return": evaluation.random_returns[row, played],
            }
            labels = {"regime": evaluation.regimes[row], "grid": evaluation.grids[row]}
            numbers = {name: values.tolist() for name, values in columns.items()}
            rows.append({"context": dict(zip(names, context, strict=True)), **labels, **numbers})
    head = {
        "schema": SCHEMA,
        "weights": digest(folder),
        "env": config.env,
        "method": config.method_name,
        "training_seed": config.seed,
        "seed": evaluation.seed,
        "policy": "mode of latents and actions",
    }
    lines = ",\n".join(json.dumps(row) for row in rows)
    write_text(folder / EVAL_FILE, f'{json.dumps(head)[:-1]}, "contexts": [\n{lines}\n]}}\n')


def load_evaluation(folder: Path) -> Evaluation:
    """The evaluation of a checkpoint's present weights.

    Raises:
        CheckpointError: none there, not one, or one of other weights; says how to make it.
    """
    path = folder / EVAL_FILE
    if not path.is_file():
        raise CheckpointError(f"There is no {path}; make it with: python -m dali evaluate {folder}")
    try:
        record = read_object(path)
        if record["schema"] != SCHEMA:
            raise CheckpointError(f"{path} has schema {quote(record['schema'])}; this version reads schema {SCHEMA}.")
        weights, evaluation = record["weights"], _parse(record, load_config(folder).env)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CheckpointError(f"{path} does not hold an evaluation: {quote(error)}.") from error
    if weights != digest(folder):
        raise CheckpointError(f"{path} is of other weights; make it anew with: python -m dali evaluate {folder}")
    return evaluation


def _parse(record: dict, env: str) -> Evaluation:
    """Raises ValueError, KeyError or TypeError where the record is not one of ``save_evaluation``."""
    names = [f.name for f in catalogue.spec(env).features]
    rows = record["contexts"]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("contexts are not a list of objects")
    for row in rows:
        _check_row(row, names)
    if not isinstance(record["seed"], int) or not isinstance(record["weights"], str):
        raise ValueError("it does not tell its seed and its weights")
    episodes = 1 + max((max(row["episode"]) for row in rows), default=0)
    tables = {name: np.full((len(rows), episodes), np.nan) for name in ("return", "length", "random_return")}
    for i, row in enumerate(rows):
        for name, table in tables.items():
            table[i, row["episode"]] = row[name]
    return Evaluation(
        contexts=np.array([[row["context"][n] for n in names] for row in rows]).reshape(len(rows), len(names)),
        regimes=[row["regime"] for row in rows],
        grids=[row["grid"] for row in rows],
        seed=record["seed"],
        returns=tables["return"],
        lengths=np.nan_to_num(tables["length"]).astype(np.int64),
        random_returns=tables["random_return"],
    )


def _check_row(row: dict, names: list[str]) -> None:
    """Raises ValueError where a context's episodes, returns or labels are of another kind, length or size."""
    episodes = row["episode"]
    if not isinstance(episodes, list) or not 1 <= len(episodes) <= MOST_EPISODES:
        raise ValueError(f"a context has no list of 1 to {MOST_EPISODES} episodes")
    if not all(type(e) is int and 0 <= e < MOST_EPISODES for e in episodes):
        raise ValueError(f"an episode is not a number from 0 to {MOST_EPISODES - 1}")
    for name in ("return", "length", "random_return"):
        values = row[name]
        if not isinstance(values, list) or len(values) != len(episodes) or not all(map(_is_finite, values)):
            raise ValueError(f"{name!r} is not a list of as many numbers as episodes")
    if not all(_is_finite(row["context"][name]) for name in names):
        raise ValueError("a context is not one of numbers")
    if row["regime"] not in REGIMES or not isinstance(row["grid"], str):
        raise ValueError("a context is of no known regime or grid")


def _is_finite(value: object) -> bool:
    return type(value) in (int, float) and abs(value) < 1e15  # type: ignore[operator,arg-type]
