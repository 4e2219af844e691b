"""What a model card needs to know of a training run: its command, time, machine class and versions."""

import dataclasses
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from dali.config import FREE_TO_CHANGE, PRESETS, RunConfig
from dali.runs.checkpoint import write_text
from dali.train.steps import default_steps

RECORD = "training.json"


def write_record(folder: Path, config: RunConfig, wall_seconds: float, **progress: int) -> None:
    """Writes training.json; ``progress`` are the environment steps, updates and parameters so far."""
    record: dict[str, Any] = {
        "command": training_command(config),
        "seed": config.seed,
        **progress,
        "wall_seconds": round(wall_seconds, 1),
        "machine": machine_class(config.train.device),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("torch", "numpy")}},
    }
    write_text(folder / RECORD, json.dumps(record, indent=2) + "\n")


def machine_class(device: str) -> str:
    """The kind of machine, without its name: threads used and instruction set, and the GPU if one trains."""
    cpu = f"{torch.get_num_threads()} CPU thread(s), {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
    return f"{torch.cuda.get_device_name(device)}, {cpu}" if device.startswith("cuda") else cpu


def training_command(config: RunConfig) -> str:
    """The command that repeats a run: what differs from its preset stands behind --set."""
    words = f"python -m dali train --env {config.env} --method {config.method_name} --preset {config.preset}"
    words += f" --seed {config.seed}"
    model, train = PRESETS[config.preset]
    for part, usual in ((config.model, model), (config.train, train)):
        for item in dataclasses.fields(part):
            value = getattr(part, item.name)
            if value != getattr(usual, item.name) and item.name not in (*FREE_TO_CHANGE, "steps"):
                words += f" --set {item.name}={value}"
    if config.train.steps != default_steps(config.env, config.preset):
        words += f" --steps {config.train.steps}"
    return words
