"""The evaluation beside a checkpoint's weights: eval.json, and the reference scores that ship with the package."""

import json
from pathlib import Path

import numpy as np

from dali.envs import catalogue
from dali.errors import CheckpointError
from dali.files.reading import read_object
from dali.files.writing import write_text
from dali.returns.play import Evaluation
from dali.runs.folder import EVAL_FILE as EVAL_FILE  # of the interface of an evaluation
from dali.runs.folder import digest, load_config

SCHEMA = 1


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
            raise CheckpointError(f"{path} has schema {record['schema']!r}; this version reads schema {SCHEMA}.")
        weights, evaluation = record["weights"], _parse(record, load_config(folder).env)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CheckpointError(f"{path} does not hold an evaluation: {error!r}.") from error
    if weights != digest(folder):
        raise CheckpointError(f"{path} is of other weights; make it anew with: python -m dali evaluate {folder}")
    return evaluation


def _parse(record: dict, env: str) -> Evaluation:
    names = [f.name for f in catalogue.spec(env).features]
    rows = record["contexts"]
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
