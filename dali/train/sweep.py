"""One training of a sweep: its command, how its folder stands, and running it to its end in a process of its own."""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from dali.errors import CheckpointError, DaliError
from dali.runs.folder import CONFIG, TRAINER_STATE, load_config
from dali.train.asked import asked_config, differences
from dali.train.log import read_metrics
from dali.train.record import RECORD

State = Literal["waiting", "running", "done", "failed"]
LOCK, LOG = Path("cache") / "sweep.lock", Path("cache") / "train.log"  # what git ignores
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

    def arguments(self) -> list[str]:
        """Of ``python -m dali``; goes on from the folder's last checkpoint if there is one."""
        words = ["train", "--env", self.env, "--method", self.method, "--seed", str(self.seed)]
        words += ["--output", str(self.folder), *self.options]
        return [*words, "--resume"] if (self.folder / TRAINER_STATE).exists() else words


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    state: Literal["done", "failed"]
    seconds: float
    text: str = ""


@dataclass(frozen=True)
class Progress:
    """How far a folder is, in environment steps."""

    done: int
    total: int  # 0: not begun
    training: bool  # a process is at work in it now

    @property
    def share(self) -> float:
        """0 to 1; 0 before the first checkpoint, which alone tells the total."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def complete(self) -> bool:
        return self.total > 0 and self.done >= self.total


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


def progress(folder: Path) -> Progress:
    """Reads a run's folder; one that is absent, or not written yet, has not begun."""
    try:
        total = load_config(folder).train.steps
        done = json.loads((folder / RECORD).read_text(encoding="utf-8"))["env_steps"]
    except (CheckpointError, FileNotFoundError, json.JSONDecodeError, KeyError):
        total = done = 0
    if rows := read_metrics(folder):
        done = max(done, int(rows[-1]["env_steps"]))
    return Progress(done, total, _locked(folder))


def conflict(job: Job) -> str | None:
    """In what the run that is in a job's folder differs from the one asked for; None where there is none, or the same.

    Raises:
        DaliError: the job asks for what no run can be.
    """
    if not (job.folder / CONFIG).is_file():
        return None
    try:
        found = differences(load_config(job.folder), asked_config(job.env, job.method, job.seed, job.options))
    except CheckpointError as error:
        return str(error)
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
    try:
        reason = conflict(job)
    except DaliError as error:
        reason = str(error)
    if reason is not None:
        return Outcome("failed", 0.0, reason)
    (job.folder / LOCK).parent.mkdir(parents=True, exist_ok=True)
    with _lock(job.folder) as lock:
        if not progress(job.folder).complete:
            for attempt in range(ATTEMPTS):
                code, text = _execute(job.arguments(), job.folder, lock, append=attempt > 0)
                if code >= 0:
                    break
            if code != 0:
                return Outcome("failed", time.monotonic() - began, text)
        if not progress(job.folder).complete:
            return Outcome("failed", time.monotonic() - began, "it stopped before its last step")
        if job.grid is not None:
            code, text = _execute(["evaluate", str(job.folder), "--grid", job.grid], job.folder, lock, append=True)
            if code != 0:
                return Outcome("failed", time.monotonic() - began, text)
    return Outcome("done", time.monotonic() - began)


def _execute(arguments: list[str], folder: Path, lock: IO, append: bool) -> tuple[int, str]:
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
            pass_fds=(lock.fileno(),),
        )
        lock.truncate(0)
        lock.write(str(process.pid).encode())
        lock.flush()
        try:
            code = process.wait()
        finally:  # no training may outlive its sweep, whatever ends that
            if process.poll() is None:
                process.terminate()  # the trainer saves, then ends
                process.wait()
    printed = (folder / LOG).read_text(encoding="utf-8", errors="replace").strip()
    return code, printed.splitlines()[-1] if printed else f"it ended with status {code}"


@contextmanager
def _lock(folder: Path) -> Iterator[IO]:
    """Holds a run's folder, after waiting for whoever holds it."""
    with (folder / LOCK).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _locked(folder: Path) -> bool:
    if not (folder / LOCK).exists():
        return False
    with (folder / LOCK).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
