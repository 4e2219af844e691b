"""Checkpoints: a folder a run. What serving needs lies apart from the trainer's own state.

    config.json          RunConfig and schema version
    model.safetensors    weights and buffers
    metrics.jsonl        the log of training
    latents.npz, eval.json, README.md   made from the weights by analysis
    films/step-N.gif     dreams on the way, for whoever watches the training
    trainer/state.safetensors           optimizer, replay, random generators: only for --resume

Every file is written under a temporary name and renamed, so that a reader never meets half a file.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dali.envs import catalogue
from dali.errors import CheckpointError, DaliError
from dali.files.text import quote
from dali.files.writing import reason, write_atomic, write_text
from dali.model.agent import Agent
from dali.runs.folder import CONFIG, FILMS, LEFT_OUT, WEIGHTS, exists, load_config, missing, trainer_numbers
from dali.runs.folder import METRICS as METRICS  # of the interface of a checkpoint, like the next three
from dali.runs.folder import TRAINER_STATE as TRAINER_STATE
from dali.runs.folder import digest as digest
from dali.runs.folder import list_runs as list_runs
from dali.runs.metrics import shorten_log

WIDENED = (torch.float16, torch.bfloat16, torch.float32)  # kinds of numbers that weights may be stored as
# Most rows of the log of a run that is shipped, with its weights and without.
ROWS, ROWS_OF_FIGURES = 200, 100

Shapes = dict[str, tuple[int, ...]]


def save_agent(folder: Path, agent: Agent) -> None:
    """Writes what serving needs."""
    write_text(folder / CONFIG, json.dumps(agent.config.to_dict(), indent=2) + "\n")
    tensors = {name: value.detach().cpu().contiguous() for name, value in agent.state_dict().items()}
    write_atomic(folder / WEIGHTS, lambda temporary: save_file(tensors, temporary))
    (folder / LEFT_OUT).unlink(missing_ok=True)


def load_agent(folder: Path, device: str = "cpu") -> Agent:
    """The trained agent, in evaluation mode, whatever device trained it.

    The sizes that the configuration asks for are compared with those that the weights' header states before anything
    of either is allocated.

    Raises:
        CheckpointError: the folder is not a readable checkpoint of this schema; says which file and why.
    """
    config = load_config(folder)
    path = folder / WEIGHTS
    try:
        spec = catalogue.spec(config.env)
    except DaliError as error:
        raise CheckpointError(f"{folder / CONFIG}: {error}") from error
    with torch.device("meta"):  # shapes alone: to draw weights that are loaded next would take longest
        agent = Agent(config, spec)
    agent.load_state_dict(_read_tensors(path, agent.state_dict()), assign=True)
    return agent.requires_grad_(False).eval().to(device)


def _read_tensors(path: Path, expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a safetensors file, as wide as those they are for.

    Raises:
        CheckpointError: they are not those expected, by name, shape and kind, or hold what is no number.
    """
    if not path.is_file():
        raise missing(path.parent, WEIGHTS)
    try:
        with safe_open(path, framework="pt") as file:
            stored = {present_name(name): name for name in file.keys()}  # noqa: SIM118
            shapes = {name: tuple(file.get_slice(old).get_shape()) for name, old in stored.items()}
            check_shapes(path, shapes, {name: tuple(value.shape) for name, value in expected.items()})
            tensors = {name: file.get_tensor(old) for name, old in stored.items()}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read as safetensors: {reason(error)}.") from error
    for name, value in tensors.items():
        wanted = expected[name].dtype
        if value.dtype != wanted and not (value.dtype in WIDENED and wanted.is_floating_point):
            raise CheckpointError(f"{path} does not fit its {CONFIG}: {name!r} holds {value.dtype}, expected {wanted}.")
        tensors[name] = value.to(wanted, copy=True)  # of its own, not of the file's pages
        if not torch.isfinite(tensors[name]).all():
            raise CheckpointError(f"{path} is damaged: {name!r} holds values that are not finite.")
    return tensors


def present_name(name: str) -> str:
    """What a tensor is called now: up to schema 5 the autoencoder of pictures was called sight."""
    return re.sub(r"\bworld_model\.sight\.", "world_model.autoencoder.", name)


def compact_agent(folder: Path) -> tuple[int, int]:
    """Stores the weights as 16-bit floats, ROWS rows of the log and nothing else that training left.

    Statistics (the normalizer's and the code's scale) keep their bits: they cost nothing. ``load_agent`` widens the
    rest, so that figures made afterwards are of the very weights that are shipped.

    Returns bytes of weights before and after.

    Raises:
        CheckpointError: not a readable checkpoint, or a weight that 16 bits cannot hold.
    """
    path = folder / WEIGHTS
    agent = load_agent(folder)
    weights = {name for name, _ in agent.named_parameters()}
    tensors = {}
    for name, value in agent.state_dict().items():
        tensors[name] = value.half() if name in weights else value
        if not torch.isfinite(tensors[name]).all():
            raise CheckpointError(f"{path}: {name!r} holds {value.abs().max():g}, which a 16-bit float cannot.")
    before = path.stat().st_size
    write_atomic(path, lambda temporary: save_file(tensors, temporary))
    _drop_what_training_left(folder)
    shorten_log(folder, ROWS)
    return before, path.stat().st_size


def leave_out_weights(folder: Path) -> int:
    """Keeps a run's figures alone: in place of weights and trainer's state the digest that the figures are tied to, of
    the log ROWS_OF_FIGURES rows.

    Returns the bytes of weights that are left out. Raises CheckpointError where there are none.
    """
    weights = digest(folder)
    if not exists(folder / WEIGHTS):
        raise missing(folder, WEIGHTS)
    size = (folder / WEIGHTS).stat().st_size
    write_text(folder / LEFT_OUT, weights + "\n")
    (folder / WEIGHTS).unlink()
    _drop_what_training_left(folder)
    shorten_log(folder, ROWS_OF_FIGURES)
    return size


def _drop_what_training_left(folder: Path) -> None:
    for left in (TRAINER_STATE.parent, FILMS):
        shutil.rmtree(folder / left, ignore_errors=True)


def check_shapes(path: Path, found: Shapes, expected: Shapes) -> None:
    """Raises CheckpointError where names or shapes differ, naming the first."""
    for name in sorted(set(found) ^ set(expected)):
        state = "lacks" if name in expected else "holds an unknown"
        raise CheckpointError(f"{path} does not fit its {CONFIG}: it {state} tensor {quote(name)}.")
    for name, shape in expected.items():
        if found[name] != shape:
            raise CheckpointError(
                f"{path} does not fit its {CONFIG}: {name!r} has shape {found[name]}, expected {shape}."
            )


def save_trainer_state(folder: Path, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    """Writes the trainer's state as one file, so that a kill never leaves halves of two moments."""
    contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    header = {"state": json.dumps(numbers)}
    write_atomic(folder / TRAINER_STATE, lambda temporary: save_file(contiguous, temporary, metadata=header))


def load_trainer_state(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and numbers of ``save_trainer_state``.

    Raises:
        CheckpointError: there is none, or it cannot be read.
    """
    numbers, path = trainer_numbers(folder), folder / TRAINER_STATE
    try:
        with safe_open(path, framework="pt") as file:
            tensors: dict[str, torch.Tensor] = {
                present_name(name): file.get_tensor(name)
                for name in file.keys()  # noqa: SIM118
            }
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}.") from error
    return tensors, numbers
