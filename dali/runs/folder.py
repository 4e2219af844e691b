"""The files of a run's folder: their names, the configuration, and the digest of what figures are made from.

Lists of runs need no more, and importing this takes no torch.
"""

import errno
import hashlib
import os
import re
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from dali.config import RunConfig
from dali.errors import CheckpointError
from dali.files.reading import parse_json, read_json, read_object, read_text
from dali.files.text import quote
from dali.files.writing import reason
from dali.runs.schema import parse_config

CONFIG, WEIGHTS = "config.json", "model.safetensors"
METRICS, RECORD, CARD = "metrics.jsonl", "training.json", "README.md"  # of training, and the card on it
EPISODES_FILE, ANALYSIS_FILE, EVAL_FILE = "latents.npz", "analysis.json", "eval.json"  # made from the weights
LEFT_OUT = "model.sha256"  # in place of the weights, where only the figures of a run are shipped: their digest
TRAINER_STATE = Path("trainer") / "state.safetensors"
FILMS = "films"  # of dreams on the way, by training
CACHE = "cache"  # maps, tests, logs: may be deleted at any time
TRAINING_LOCK, SWEEP_LOCK = Path(CACHE) / "train.lock", Path(CACHE) / "sweep.lock"
ANALYSIS_LOCK = Path(CACHE) / "analysis.lock"


def list_runs(folder: Path) -> list[Path]:
    """Folders below ``folder`` that hold a config.json, by name; an absent folder gives none.

    What cannot be looked into, such as another user's folder, is in the list: opening it says why.

    Raises:
        CheckpointError: ``folder`` itself cannot be read.
    """
    try:
        return sorted(child for child in folder.iterdir() if exists(child / CONFIG))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be read: {reason(error)}.") from error


def check_folder(folder: Path) -> None:
    """Raises CheckpointError where a folder of runs is none, or cannot be read; says in one sentence what was found."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        raise CheckpointError(f"There is no folder {folder}.") from None
    except NotADirectoryError:
        raise CheckpointError(f"{folder} is a file; expected the folder that holds the runs' folders.") from None
    except (OSError, ValueError) as error:
        said = reason(error) if isinstance(error, OSError) else str(error)
        raise CheckpointError(f"{folder} cannot be read: {said}.") from error
    if CONFIG in names:
        raise CheckpointError(f"{folder} is itself a run; expected the folder that holds it, {folder.parent}.")


def exists(path: Path) -> bool:
    """True where there is something at a path, whatever it is: reading it says what is wrong with it.

    Unlike ``Path.exists``, which raises where a folder may not be entered and says no to a link that leads nowhere.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        return error.errno != errno.ENAMETOOLONG  # of which there can be none
    return True


def load_config(folder: Path) -> RunConfig:
    """The run's configuration.

    Raises:
        CheckpointError: no such folder, not a checkpoint, or one of another schema.
    """
    path = folder / CONFIG
    try:
        data = read_json(path)
    except FileNotFoundError:
        if exists(folder):
            raise CheckpointError(f"{folder} is not a checkpoint: it holds no {CONFIG}.") from None
        raise CheckpointError(f"There is no checkpoint folder {folder}.") from None
    return parse_config(data, str(path))


def trainer_numbers(folder: Path) -> dict[str, Any]:
    """What a run's trainer has saved besides tensors: its configuration, and how far it is.

    Raises:
        CheckpointError: there is none, or it cannot be read.
    """
    path = folder / TRAINER_STATE
    if not path.is_file():
        raise CheckpointError(f"{folder} cannot be resumed: it holds no {TRAINER_STATE}.")
    try:
        with safe_open(path, framework="numpy") as file:
            numbers = parse_json(file.metadata()["state"], str(path))
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}.") from error
    if not isinstance(numbers, dict):
        raise CheckpointError(f"{path} does not hold the state of this training: expected fields, found no object.")
    return numbers


def digest(folder: Path) -> str:
    """SHA-256 of the weights and the configuration: what a figure or film was made from.

    Where the weights were left out, it is the digest of what they were.

    Raises:
        CheckpointError: one of them is missing, or cannot be read.
    """
    if weights_name(folder) == LEFT_OUT:
        return _left_out_digest(folder / LEFT_OUT)
    sha = hashlib.sha256()
    for name in (CONFIG, WEIGHTS):
        path = folder / name
        if not path.is_file():
            raise missing(folder, name)
        try:
            with path.open("rb") as file:
                while block := file.read(2**20):
                    sha.update(block)
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {reason(error)}.") from error
    return sha.hexdigest()


def weights_name(folder: Path) -> str:
    """The file that tells which weights figures are of: the weights, or the digest of those that were left out."""
    return LEFT_OUT if exists(folder / LEFT_OUT) and not exists(folder / WEIGHTS) else WEIGHTS


def missing(folder: Path, name: str) -> CheckpointError:
    """Why a run lacks one of the files that serving needs, and where it is known, what makes it."""
    if name == WEIGHTS and exists(folder / LEFT_OUT):
        command = f" Train it anew: {_command(folder)}" if exists(folder / RECORD) else ""
        return CheckpointError(f"{folder} came with its figures, but without its weights ({WEIGHTS}).{command}")
    return CheckpointError(f"{folder} holds no {name}: the run has not been saved yet.")


def made_from(folder: Path, weights: str | None) -> str:
    """The digest that figures are saved under.

    Args:
        weights: the digest before the agent was loaded that they are of; None where they are of the present weights.

    Raises:
        CheckpointError: the weights have changed since, as where the run trains on.
    """
    present = digest(folder)
    if weights not in (None, present):
        raise CheckpointError(
            f"The weights in {folder} changed while figures were made from them; these are not saved. Make them anew."
        )
    return present


def analysis_command(folder: Path, summary: dict[str, Any] | None) -> str:
    """The command that computes the figures of a folder: contexts and seed as a summary was made with."""
    command = f"python -m dali analyse {folder}"
    if summary is None:
        return command
    return f"{command} --contexts {summary['contexts']['interpolation']} --seed {summary['seed']}"


def _command(folder: Path) -> str:
    """The command that a run was trained by."""
    return str(read_object(folder / RECORD).get("command", ""))


def _left_out_digest(path: Path) -> str:
    text = read_text(path, 100).strip()
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise CheckpointError(f"{path} holds {quote(text)}; expected a SHA-256 of 64 hexadecimal digits.")
    return text
