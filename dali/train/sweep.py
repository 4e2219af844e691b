"""One training of a sweep: its command, how its folder stands, and running it to its end in a process of its own."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Literal

from dali.config import RunConfig
from dali.envs.catalogue import folder_name
from dali.errors import CheckpointError, DaliError
from dali.files import lock
from dali.runs.folder import CACHE, CONFIG, SWEEP_LOCK, exists, load_config
from dali.runs.run import Run
from dali.train.asked import config_of_command, differences

State = Literal["waiting", "running", "done", "failed"]
LOG = Path(CACHE) / "train.log"
MOST_NAMED = 3  # differences that a sentence holds
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

    def config(self) -> RunConfig:
        """What it asks for. Raises DaliError where no run can be that."""
        return config_of_command(self.arguments()[1:])

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
        Job(env, method, seed, output.resolve() / f"{folder_name(env)}-{method}-s{seed}", tuple(options), grid)
        for seed in seeds
        for env in envs
        for method in methods
    ]


_running: set[subprocess.Popen[bytes]] = set()  # trainings and evaluations of this process
_stopping = threading.Event()


def stop_all() -> None:
    """Asks every training of this process to save and end, and lets none begin."""
    _stopping.set()
    for process in list(_running):
        process.terminate()


def end_on_signals() -> None:
    """Ends this process and its trainings on SIGTERM and SIGINT: a training never outlives its sweep."""

    def end(number: int, frame: FrameType | None) -> None:
        stop_all()
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def conflict(job: Job) -> str | None:
    """In what the run that is in a job's folder differs from the one asked for; None where there is none, or the same.

    Raises:
        DaliError: the job asks for what no run can be.
    """
    if not exists(job.folder / CONFIG):
        return None
    try:
        there = load_config(job.folder)
    except CheckpointError as error:
        return str(error)
    found = differences(there, job.config())
    if not found:
        return None
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return "another run is there: " + "; ".join(found[:MOST_NAMED]) + more


def run_job(job: Job) -> Outcome:
    """Trains to the end, going on from a checkpoint; then evaluates, if asked.

    A finished run is left as it is, and a run of other settings is never taken for the one asked. A training that was
    killed from outside is taken up again. Another process that is at work in the folder, such as one whose sweep was
    killed, is waited for.
    """
    began = time.monotonic()
    if _stopping.is_set():
        return Outcome("failed", 0.0, "the sweep was stopped")
    try:
        reason = conflict(job)
    except DaliError as error:
        reason = str(error)
    if reason is not None:
        return Outcome("failed", 0.0, reason)
    with lock.hold(job.folder / SWEEP_LOCK, wait=True) as held:
        if not job.run.progress().complete:
            for attempt in range(ATTEMPTS):
                code, text = _execute(job.arguments(), job.folder, held, append=attempt > 0)
                if code >= 0 or _stopping.is_set():
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


def _execute(arguments: list[str], folder: Path, held: IO[bytes], append: bool) -> tuple[int, str]:
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
        _running.add(process)
        if _stopping.is_set():  # it began while all were being ended
            process.terminate()
        try:
            code = process.wait()
        finally:  # no training may outlive its sweep, whatever ends that
            if process.poll() is None:
                process.terminate()  # the trainer saves, then ends
                process.wait()
            _running.discard(process)
    printed = (folder / LOG).read_text(encoding="utf-8", errors="replace").strip()
    return code, printed.splitlines()[-1] if printed else f"it ended with status {code}"
