"""Checkpoints: a folder a run. What serving needs lies apart from the trainer's own state.

    config.json          RunConfig and schema version
    model.safetensors    weights and buffers
    metrics.jsonl        the log of training
    latents.npz, eval.json, README.md   made from the weights by analysis
    trainer/state.safetensors           optimizer, replay, random generators: only for --resume

Every file is written under a temporary name and renamed, so that a reader never meets half a file.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from dali.envs import catalogue
from dali.errors import CheckpointError, DaliError
from dali.model.agent import Agent
from dali.runs.folder import CONFIG, WEIGHTS, load_config
from dali.runs.folder import TRAINER_STATE as TRAINER_STATE  # of the interface of a checkpoint, like the next two
from dali.runs.folder import digest as digest
from dali.runs.folder import list_runs as list_runs

METRICS = "metrics.jsonl"


def write_atomic(path: Path, write: Callable[[Path], None]) -> None:
    """Calls ``write`` with a temporary path beside ``path`` and renames the result; leaves nothing behind on failure.

    Raises:
        CheckpointError: the disk is full or the folder cannot be written; the file that was there stands.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:  # safetensors wraps a full disk in its own error
        temporary.unlink(missing_ok=True)
        raise CheckpointError(f"Could not write {path}: {error}. What was saved before still stands.") from error


def write_text(path: Path, text: str) -> None:
    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    write_atomic(path, write)


def save_agent(folder: Path, agent: Agent) -> None:
    """Writes what serving needs."""
    write_text(folder / CONFIG, json.dumps(agent.config.to_dict(), indent=2) + "\n")
    tensors = {name: value.detach().cpu().contiguous() for name, value in agent.state_dict().items()}
    write_atomic(folder / WEIGHTS, lambda temporary: save_file(tensors, temporary))


def load_agent(folder: Path, device: str = "cpu") -> Agent:
    """The trained agent, in evaluation mode, whatever device trained it.

    Raises:
        CheckpointError: the folder is not a readable checkpoint of this schema; says which file and why.
    """
    config = load_config(folder)
    path = folder / WEIGHTS
    try:
        spec = catalogue.spec(config.env)
    except DaliError as error:
        raise CheckpointError(f"{folder / CONFIG}: {error}") from error
    agent = Agent(config, spec)
    try:
        tensors = load_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"{folder} holds no {WEIGHTS}: the run has not been saved yet.") from None
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read as safetensors: {error}.") from error
    check_tensors(path, tensors, agent.state_dict())
    agent.load_state_dict(tensors)
    return agent.requires_grad_(False).eval().to(device)


def compact_agent(folder: Path) -> tuple[int, int]:
    """Stores the weights as 16-bit floats and drops the trainer's state; returns bytes of weights before and after.

    Statistics (the normalizer's and the code's scale) keep their bits: they cost nothing. ``load_agent`` widens the
    rest, so that figures made afterwards are of the very weights that are shipped.

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
    shutil.rmtree(folder / TRAINER_STATE.parent, ignore_errors=True)
    return before, path.stat().st_size


def check_tensors(path: Path, found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Raises CheckpointError where names or shapes differ, naming the first."""
    for name in sorted(set(found) ^ set(expected)):
        state = "lacks" if name in expected else "holds an unknown"
        raise CheckpointError(f"{path} does not fit its {CONFIG}: it {state} tensor {name!r}.")
    for name, value in expected.items():
        if found[name].shape != value.shape:
            raise CheckpointError(
                f"{path} does not fit its {CONFIG}: {name!r} has shape {tuple(found[name].shape)}, "
                f"expected {tuple(value.shape)}."
            )


def save_trainer_state(folder: Path, tensors: dict[str, Tensor], numbers: dict) -> None:
    """Writes the trainer's state as one file, so that a kill never leaves halves of two moments."""
    contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    header = {"state": json.dumps(numbers)}
    write_atomic(folder / TRAINER_STATE, lambda temporary: save_file(contiguous, temporary, metadata=header))


def load_trainer_state(folder: Path) -> tuple[dict[str, Tensor], dict]:
    """Tensors and numbers of ``save_trainer_state``.

    Raises:
        CheckpointError: there is none, or it cannot be read.
    """
    path = folder / TRAINER_STATE
    if not path.is_file():
        raise CheckpointError(f"{folder} cannot be resumed: it holds no {TRAINER_STATE}.")
    try:
        with safe_open(path, framework="pt") as file:
            numbers = json.loads(file.metadata()["state"])
            tensors: dict[str, torch.Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}.") from error
    return tensors, numbers
