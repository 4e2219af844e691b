"""Long work in a process of its own, watched by its status file: started, followed and cancelled from a page."""

import atexit
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import streamlit as st

import dali
from dali.errors import DaliError
from dali.files.text import markdown, plain
from dali.jobs import Status, read_status, write_status

REFRESH = 0.5  # seconds between looks at a running job
PATIENCE = 3.0  # seconds from asking a process to end to ending it

LOCAL = ("127.0.0.1", "localhost", "::1")
ALLOW = "DALI_ALLOW_JOBS"  # environment variable of whoever starts a server that others reach
AT_ONCE = 2  # jobs of all sessions

# By status file; of this server, whose sessions are threads.
_processes: dict[Path, subprocess.Popen[bytes]] = {}
_waiting: dict[Path, list[str]] = {}  # arguments, in the order of asking
_refused: dict[Path, Status] = {}
_runs: dict[Path, str] = {}  # what each job works on
_lock = threading.RLock()


def allowed() -> bool:
    """True where visitors may start processes: only this machine reaches the server, or who started it allows it."""
    return st.get_option("server.address") in LOCAL or os.environ.get(ALLOW) == "1"


def start(arguments: Sequence[str], status: Path) -> None:
    """Runs ``python -m dali ARGUMENTS`` in the background; a job that runs under the same status file is cancelled.

    At most two jobs of all sessions run at once, and one that works on the same run; more wait for their turn. Where
    jobs are not allowed, the job has failed at once, and says how it can be run.

    The command itself writes the status file (dali.jobs.reporting); what it prints goes into a .log file beside it.
    """
    cancel(status)
    if not allowed():
        command = shlex.join(["python", "-m", "dali", *arguments])
        text = f"This server starts no jobs for its visitors (its owner can allow them with {ALLOW}=1). Run: {command}"
        with _lock:
            _refused[status] = Status("failed", text=text)
        return
    with _lock:
        _refused.pop(status, None)
        _waiting[status] = list(arguments)
    _begin_waiting()


def read(status: Path) -> Status | None:
    """How the job stands, or None where there was none. A process that died without a word has failed."""
    _begin_waiting()
    with _lock:
        if status in _refused:
            return _refused[status]
        if status in _waiting:
            place = list(_waiting).index(status) + 1
            return Status("running", text=f"waiting for another job to end (number {place} in the queue)")
        process = _processes.get(status)
    ended = process is None or process.poll() is not None  # asked before the file is read, so that none is missed
    found = read_status(status)
    if found is None or found.state != "running" or not ended:
        return found
    lines = _log(status).read_text(errors="replace").strip().splitlines() if _log(status).exists() else []
    return Status("failed", found.done, found.total, plain(lines[-1]) if lines else "The job ended without saying why.")


def _begin_waiting() -> None:
    """Starts the jobs whose turn it is."""
    with _lock:
        for status, arguments in list(_waiting.items()):
            at_work = [other for other, process in _processes.items() if process.poll() is None]
            if len(at_work) >= AT_ONCE:
                return
            if not any(_runs.get(other) == _run_of(arguments) for other in at_work):
                del _waiting[status]
                _runs[status] = _run_of(arguments)
                try:
                    _processes[status] = _launch(arguments, status)
                except DaliError as error:  # its folder cannot be written; whoever waits for other jobs goes on
                    _refused[status] = Status("failed", text=str(error))


def _run_of(arguments: Sequence[str]) -> str:
    """What a job works on: the run that its command names first, or, of a sweep, all of its words."""
    return arguments[1] if len(arguments) > 1 and not arguments[1].startswith("-") else shlex.join(arguments)


def _launch(arguments: Sequence[str], status: Path) -> subprocess.Popen[bytes]:
    write_status(status, Status("running", text="starting"))
    root = str(Path(dali.__file__).resolve().parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
    with _log(status).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "dali", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own, so that its children end with it
        )


def cancel(status: Path) -> None:
    """Ends a running job and all it started, and says so in its status file; a job that has ended is left alone."""
    with _lock:
        if _waiting.pop(status, None) is not None:
            write_status(status, Status("cancelled", text="Cancelled."))
            return
        process = _processes.pop(status, None)
    if process is None or process.poll() is not None:
        return
    _end(process)
    found = read_status(status) or Status("running")
    # It may have been done on the last stretch; a command that handles signals says that it failed, by ours.
    if found.state in ("running", "failed"):
        write_status(status, Status("cancelled", found.done, found.total, "Cancelled."))


def watch(status: Path, label: str) -> Status | None:
    """Shows progress and a Cancel button while the job runs; reruns the page when it ends.

    Returns:
        How it stands, or None where there was none. Its text is safe to show as Markdown: the status file may have come
        with a checkpoint, and an error may quote what did.
    """
    found = read(status)
    if found is None or found.state != "running":
        return found and replace(found, text=markdown(found.text))
    with st.container(horizontal=True, vertical_alignment="center"):
        _follow(status, label)
        st.button("Cancel", icon=":material/stop:", key=f"cancel_{status}", on_click=cancel, args=(status,))
    return found


def running(status: Path, label: str, failed: str = "", icon: str | None = None) -> bool:
    """As ``watch``, and why a job failed behind the words ``failed``; True while it runs."""
    found = watch(status, label)
    if found is not None and found.state == "failed":
        st.error(failed + found.text, icon=icon)
    return found is not None and found.state == "running"


@st.fragment(run_every=REFRESH)
def _follow(status: Path, label: str) -> None:
    found = read(status)
    if found is None or found.state != "running":
        st.rerun()
    else:
        st.progress(found.share, markdown(f"{label}: {found.text}"))


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=PATIENCE)
            return


def _log(status: Path) -> Path:
    return status.with_suffix(".log")


@atexit.register
def _end_all() -> None:
    """No job outlives the server that somebody watched it from."""
    for process in list(_processes.values()):
        if process.poll() is None:
            _end(process)
