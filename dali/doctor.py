"""What an installation can do: its versions, its environments, its film encoder, and its checkpoints.

Each check gives one Finding; a problem says what is wrong in one line, and what to do.
"""

import importlib.metadata
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dali.envs import catalogue
from dali.errors import CheckpointError, DaliError
from dali.runs.run import Run, open_runs
from dali.train.precision import multiplies_bfloat16

PYTHON = (3, 11)  # the oldest that the project runs on
REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements.txt"
PACKAGES = ("torch", "numpy", "mujoco", "dm_control", "streamlit", "plotly")
STEPS = 5  # that an environment is tried for


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    what: str
    text: str
    problem: bool = False


def examine(checkpoints: Path) -> Iterator[Finding]:
    """All checks, one by one.

    Args:
        checkpoints: the folder of runs.
    """
    yield from versions()
    yield machine()
    yield encoder()
    for name in catalogue.names():
        yield environment(name)
    runs, unreadable = open_runs(checkpoints)
    if not runs and not unreadable:
        yield Finding("checkpoints", f"none in {checkpoints}")
    for run in runs:
        yield checkpoint(run)
    for item in unreadable:
        yield Finding(item.folder.name, item.reason, True)


def versions() -> Iterator[Finding]:
    """Python and the packages that decide most, held against requirements.txt where it is at hand."""
    old = sys.version_info[:2] < PYTHON
    wanted = f"; {'.'.join(map(str, PYTHON))} or newer is needed" if old else ""
    yield Finding("Python", platform.python_version() + wanted, old)
    pins = _pins()
    for name in PACKAGES:
        try:
            found = importlib.metadata.version(name).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "is not installed: python -m pip install -r requirements.txt", True)
            continue
        other = name in pins and pins[name] != found
        yield Finding(name, f"{found}; requirements.txt asks for {pins[name]}" if other else found, other)


def machine() -> Finding:
    """What networks run on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    tiles = ", AMX" if multiplies_bfloat16() else ""
    return Finding(
        "device", f"{gpu}; {torch.get_num_threads()} CPU threads ({torch.backends.cpu.get_cpu_capability()}{tiles})"
    )


def encoder() -> Finding:
    """The ffmpeg that films are encoded by."""
    try:
        import imageio_ffmpeg

        path = imageio_ffmpeg.get_ffmpeg_exe()
        first = subprocess.run([path, "-version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (ImportError, RuntimeError, OSError, subprocess.CalledProcessError) as error:
        return Finding("ffmpeg", f"films cannot be encoded: {error}", True)
    return Finding("ffmpeg", first.removeprefix("ffmpeg version ").split(" ")[0])


def environment(name: str) -> Finding:
    """Whether an environment steps."""
    spec = catalogue.spec(name)
    try:
        simulator = catalogue.make(name, 2)
    except (DaliError, OSError, ImportError, ValueError) as error:
        return Finding(name, f"cannot be made: {error}", True)
    simulator.reset(np.arange(2), np.tile(spec.default_context, (2, 1)))
    action = np.zeros((2, spec.action_dim))
    action[:, 0] = 1.0
    for _ in range(STEPS):
        step = simulator.step(action)
    if not (np.isfinite(step.observation).all() and np.isfinite(step.reward).all()):
        return Finding(name, "gives values that are not finite", True)
    return Finding(name, f"steps ({spec.obs_dim} observations, {spec.action_dim} actions)")


def checkpoint(run: Run) -> Finding:
    """Whether a checkpoint loads, and whether the figures beside it are of its present weights."""
    try:
        agent = run.agent()
        parts = [f"{agent.spec.name}, {agent.method.title}, {sum(p.numel() for p in agent.parameters()):,} parameters"]
        if run.analysis():
            if not run.analysis_is_current():
                raise CheckpointError(f"its figures are of other weights: python -m dali analyse {run.folder}")
            parts.append("analysis current")
        elif agent.method.infers_context:
            parts.append("not analysed")
        parts.append("not evaluated" if run.evaluation() is None else "evaluation current")
    except DaliError as error:
        return Finding(run.name, str(error), True)
    return Finding(run.name, "; ".join(parts))


def _pins() -> dict[str, str]:
    if not REQUIREMENTS.is_file():
        return {}
    lines = (line.split("#")[0].strip() for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines())
    return dict(line.split("==") for line in lines if "==" in line)
