"""What a run's folder tells without its agent: its configuration, its figures, what they were made from.

Lists of checkpoints need no more, and importing this takes no torch.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from dali.config import RunConfig, parse_config
from dali.errors import CheckpointError

CONFIG, WEIGHTS, ANALYSIS_FILE = "config.json", "model.safetensors", "analysis.json"
TRAINER_STATE = Path("trainer") / "state.safetensors"


def list_runs(folder: Path) -> list[Path]:
    """Folders below ``folder`` that hold a config.json, by name; an absent folder gives none."""
    if not folder.is_dir():
        return []
    return sorted(child for child in folder.iterdir() if (child / CONFIG).is_file())


def load_config(folder: Path) -> RunConfig:
    """The run's configuration.

    Raises:
        CheckpointError: no such folder, not a checkpoint, or one of another schema.
    """
    path = folder / CONFIG
    if not folder.is_dir():
        raise CheckpointError(f"There is no checkpoint folder {folder}.")
    if not path.is_file():
        raise CheckpointError(f"{folder} is not a checkpoint: it holds no {CONFIG}.")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}.") from error
    return parse_config(data, str(path))


def digest(folder: Path) -> str:
    """SHA-256 of the weights and the configuration: what a figure or film was made from."""
    sha = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        sha.update((folder / name).read_bytes())
    return sha.hexdigest()


def load_analysis(folder: Path) -> dict[str, Any]:
    """The record that ``save_analysis`` wrote: ``weights``, ``summary`` and ``scatter``.

    Raises:
        CheckpointError: there is none, or it is not JSON.
    """
    path = folder / ANALYSIS_FILE
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"There is no {path}; make it with: python -m dali analyse {folder}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}.") from error


def analysis_command(folder: Path, summary: dict[str, Any] | None) -> str:
    """The command that computes the figures of a folder: contexts and seed as a summary was made with."""
    command = f"python -m dali analyse {folder}"
    if summary is None:
        return command
    return f"{command} --contexts {summary['contexts']['interpolation']} --seed {summary['seed']}"


def is_current(folder: Path, record: dict[str, Any]) -> bool:
    """False where the weights have changed since the figures were computed."""
    return record.get("weights") == digest(folder)
