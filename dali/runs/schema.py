"""Reads a run's configuration, of the present schema or of one before."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from dali.config import SCHEMA, ModelConfig, RunConfig, TrainConfig
from dali.errors import CheckpointError, DaliError
from dali.files.text import quote

# What runs of a schema were, in the words of the next. Of schema 1: agents of vectors, whose code learnt at every
# update. Numbers of parts that an agent of vectors lacks are those of the day on which schema 2 was made.
SINCE: dict[int, dict[str, dict[str, Any]]] = {
    1: {
        "model": {"observation": "vector", "embedding": 32, "conv_depth": 8},
        "train": {"context_every": 1, "sight_updates": 3000, "sight_lr": 1e-3, "straight": 1000.0, "frames": 60,
                  "pixels": 1.0},
    },
    2: {"train": {"explore_steps": 0}},
    3: {"model": {"context_tokens": "changes"}},
    4: {
        "model": {"latents": "draws", "expectation": False, "dynamics_norm": True, "ensemble": 0,
                  "ensemble_units": 384, "ensemble_layers": 3},
        "train": {"dream_steps": 0, "dream": 1.0, "ensemble_updates": 12_000, "ensemble_lr": 1e-3},
    },
    5: {},
    6: {"train": {"matmul_precision": "highest"}},
}  # fmt: skip

# Fields that the schema after has other names for.
RENAMED: dict[int, dict[str, dict[str, str]]] = {
    5: {
        "train": {
            "take_over": "restart",
            "sight_updates": "autoencoder_updates",
            "sight_lr": "autoencoder_lr",
            "straight": "curvature",
        },
    },
}


def parse_config(data: Any, source: str) -> RunConfig:
    """The RunConfig of a config.json, of this schema or of one before.

    Raises:
        CheckpointError: another schema version, a missing or an unknown field; names the file and the field.
    """
    if not isinstance(data, dict) or "schema" not in data:
        raise CheckpointError(f"{source} is not a run's configuration: it has no 'schema'.")
    if not isinstance(data["schema"], int) or data["schema"] not in (*SINCE, SCHEMA):
        raise CheckpointError(f"{source} has schema {quote(data['schema'])}; this version reads schemas 1 to {SCHEMA}.")
    top = {k: v for k, v in data.items() if k != "schema"}
    _check_fields(RunConfig, top, source)
    for schema in range(data["schema"], SCHEMA):
        top = _upgrade(top, schema, source)
    _check_fields(ModelConfig, top["model"], source)
    _check_fields(TrainConfig, top["train"], source)
    try:
        return RunConfig(**{**top, "model": ModelConfig(**top["model"]), "train": TrainConfig(**top["train"])})
    except DaliError as error:
        raise CheckpointError(f"{source}: {error}") from error


def _upgrade(top: dict[str, Any], schema: int, source: str) -> dict[str, Any]:
    """The fields of a RunConfig of a schema as the next one has them; the file stays as it is."""
    upgraded = {name: dict(part) if isinstance(part, dict) else part for name, part in top.items()}
    for part, added in SINCE[schema].items():
        if isinstance(top[part], dict):  # else told by the check of fields
            _check_unknown(top[part], added, schema, source)
            upgraded[part] |= added
    for part, names in RENAMED.get(schema, {}).items():
        if isinstance(top[part], dict):
            _check_unknown(top[part], names.values(), schema, source)
            upgraded[part] = {names.get(name, name): value for name, value in upgraded[part].items()}
    return upgraded


def _check_unknown(fields: dict[str, Any], later: Iterable[str], schema: int, source: str) -> None:
    """Raises CheckpointError for a field that came only after a schema."""
    for name in sorted(set(later) & fields.keys()):
        raise CheckpointError(f"{source} has the unknown field {quote(name)}: schema {schema} did not know it.")


def _check_fields(kind: type[Any], values: Any, source: str) -> None:
    expected = {f.name for f in dataclasses.fields(kind)}
    if not isinstance(values, dict):
        raise CheckpointError(f"{source}: expected the fields of {kind.__name__}, found {quote(values)}.")
    for name in sorted(expected ^ set(values)):
        problem = "lacks" if name in expected else "has the unknown"
        raise CheckpointError(f"{source} {problem} field {quote(name)} of {kind.__name__}.")
