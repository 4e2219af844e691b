"""One training of a sweep: its command, how its folder stands, and running it to its end in a process of its own."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from dali.files import lock
from dali.runs.folder import CACHE, SWEEP_LOCK
from dali.runs.run import Run

State = Literal["waiting", "running", "done", "failed"]
LOG = Path(CACHE) / "train.log"
ATTEMPTS = 3  # of a training that a signal ended; an error of its own ends it at once


@dataclass(frozen=True)
class Job:
    """One run of a sweep."""

    env: str
    method: str
    seed: int
    folder: Path
    options: tuple[str, ...] = ()  # further options of the train command
    grid: str | None = None  # evaluation to follow, "paper" or "quick"

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def run(self) -> Run:
        return Run(self.folder)

    def arguments(self) -> list[str]:
        """Of ``python -m dali``; goes on from the folder's last checkpoint if there is one."""
        words = ["train", "--env", self.env, "--method", self.method, "--seed", str(self.seed)]
        words += ["--output", str(self.folder), *self.options]
        return [*words, "--resume"] if self.run.can_resume else words


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    state: Literal["done", "failed"]
    seconds: float
    text: str = ""


def plan(
    envs: list[str], methods: list[str], seeds: list[int], output: Path, options: list[str], grid: str | None
) -> list[Job]:
    """All runs of a sweep, seed by seed, so that every method has its first seed early in every environment."""
    return [
        Job(env, method, seed, output.resolve() / f"{env}-{method}-s{seed}", tuple(options), grid)
        for seed in seeds
        for env in envs
        for method in methods
    ]


def run_job(job: Job) -> Outcome:
    """Trains to the end, going on from a checkpoint; then evaluates, if asked.

    A finished run is left as it is. A training that was killed from outside is taken up again. Another process that
    is at work in the folder, such as one whose sweep was killed, is waited for.
    """
    began = time.monotonic()
    with lock.hold(job.folder / SWEEP_LOCK, wait=True) as held:
        if not job.run.progress().complete:
            for attempt in range(ATTEMPTS):
                code, text = _execute(job.arguments(), job.folder, held, append=attempt > 0)
                if code >= 0:
                    break
            if code != 0:
                return Outcome("failed", time.monotonic() - began, text)
        if not job.run.progress().complete:
            return Outcome("failed", time.monotonic() - began, "it stopped before its last step")
        if job.grid is not None:
            code, text = _execute(["evaluate", str(job.folder), "--grid", job.grid], job.folder, held, append=True)
            if code != 0:
                return Outcome("failed", time.monotonic() - began, text)
    return Outcome("done", time.monotonic() - began)


def _execute(arguments: list[str], folder: Path, held: IO, append: bool) -> tuple[int, str]:
    """Runs ``python -m dali ARGUMENTS`` on one thread; its exit status and the last line it printed."""
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))
    with (folder / LOG).open("ab" if append else "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dali", *arguments],
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # The child holds the lock as well: if this process is killed, the folder is free only when both are gone.
            pass_fds=() if sys.platform == "win32" else (held.fileno(),),
        )
        lock.write_holder(held, process.pid)
        try:
            code = process.wait()
        finally:  # no training may outlive its sweep, whatever ends that
            if process.poll() is None:
                process.terminate()  # the trainer saves, then ends
                process.wait()
    printed = (folder / LOG).read_text(encoding="utf-8", errors="replace").strip()
    return code, printed.splitlines()[-1] if printed else f"it ended with status {code}"
