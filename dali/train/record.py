"""What a model card needs to know of a training run: its command, time, machine class and versions."""

import dataclasses
import json
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from dali import __version__
from dali.config import FREE_TO_CHANGE, PRESETS, RunConfig, change_config
from dali.files.writing import write_text
from dali.runs.folder import RECORD
from dali.train.precision import multiplies_bfloat16
from dali.train.steps import default_steps


@dataclass(frozen=True)
class Part:
    """A part of a run that was extended, as it ended."""

    steps: int  # environment steps that it was to have
    env_steps: int  # those that it had
    complete: bool  # it had ended by itself


def write_record(folder: Path, config: RunConfig, parts: list[Part], wall_seconds: float, **progress: int) -> None:
    """Writes training.json.

    Args:
        parts: of a run that was extended, all but the last.
        progress: the environment steps, updates and parameters so far.
    """
    record: dict[str, Any] = {
        "command": training_commands(config, parts),
        "seed": config.seed,
        **progress,
        "wall_seconds": round(wall_seconds, 1),
        "machine": machine_class(config.train.device),
        "versions": {
            "dali-studio": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy")},
        },
    }
    write_text(folder / RECORD, json.dumps(record, indent=2) + "\n")


def machine_class(device: str) -> str:
    """The kind of machine, without its name: threads used and instruction set, and the GPU if one trains."""
    tiles = ", AMX" if multiplies_bfloat16() else ""
    instructions = f"{torch.backends.cpu.get_cpu_capability()}{tiles}"
    cpu = f"{torch.get_num_threads()} CPU thread(s), {platform.machine()}, {instructions}"
    return f"{torch.cuda.get_device_name(device)}, {cpu}" if device.startswith("cuda") else cpu


def training_commands(config: RunConfig, parts: list[Part]) -> str:
    """The commands that repeat a run, one after another where it was extended.

    A part that was stopped before its end is told as such: it is repeated only by stopping it there again.
    """
    text = ""
    for number, part in enumerate(parts):
        stopped = "" if part.complete else f" (stopped at step {part.env_steps})"
        text += training_command(change_config(config, part.steps), extended=number > 0) + f"{stopped} && "
    return text + training_command(config, extended=bool(parts))


def training_command(config: RunConfig, extended: bool = False) -> str:
    """The command that repeats a run, or its last part: what differs from its preset stands behind --set."""
    words = f"python -m dali train --env {config.env} --method {config.method_name} --preset {config.preset}"
    words += f" --seed {config.seed}"
    model, train = PRESETS[config.preset]
    for part, usual in ((config.model, model), (config.train, train)):
        for item in dataclasses.fields(part):
            value = getattr(part, item.name)
            if value != getattr(usual, item.name) and item.name not in (*FREE_TO_CHANGE, "steps"):
                words += f" --set {item.name}={value}"
    if extended or config.train.steps != default_steps(config.env, config.preset):
        words += f" --steps {config.train.steps}"
    return f"{words} --resume" if extended else words
