"""Long work in a process of its own, watched by its status file: started, followed and cancelled from a page."""

import atexit
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

import dali
from dali.jobs import Status, read_status, write_status

REFRESH = 0.5  # seconds between looks at a running job
PATIENCE = 3.0  # seconds from asking a process to end to ending it

_processes: dict[Path, subprocess.Popen] = {}  # by status file; of this server


def start(arguments: Sequence[str], status: Path) -> None:
    """Runs ``python -m dali ARGUMENTS`` in the background; a job that runs under the same status file is cancelled.

    The command itself writes the status file (dali.jobs.reporting); what it prints goes into a .log file beside it.
    """
    cancel(status)
    status.parent.mkdir(parents=True, exist_ok=True)
    write_status(status, Status("running", text="starting"))
    root = str(Path(dali.__file__).resolve().parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
    with _log(status).open("wb") as log:
        _processes[status] = subprocess.Popen(
            [sys.executable, "-m", "dali", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own, so that its children end with it
        )


def read(status: Path) -> Status | None:
    """How the job stands, or None where there was none. A process that died without a word has failed."""
    process = _processes.get(status)
    ended = process is None or process.poll() is not None  # asked before the file is read, so that none is missed
    found = read_status(status)
    if found is None or found.state != "running" or not ended:
        return found
    lines = _log(status).read_text(errors="replace").strip().splitlines() if _log(status).exists() else []
    return Status("failed", found.done, found.total, lines[-1] if lines else "The job ended without saying why.")


def cancel(status: Path) -> None:
    """Ends a running job and all it started, and says so in its status file; a job that has ended is left alone."""
    process = _processes.pop(status, None)
    if process is None or process.poll() is not None:
        return
    _end(process)
    found = read_status(status) or Status("running")
    if found.state == "running":  # it may have ended by itself on the last stretch
        write_status(status, Status("cancelled", found.done, found.total, "Cancelled."))


def watch(status: Path, label: str) -> Status | None:
    """Shows progress and a Cancel button while the job runs; reruns the page when it ends. Returns how it stands."""
    found = read(status)
    if found is None or found.state != "running":
        return found
    with st.container(horizontal=True, vertical_alignment="center"):
        _follow(status, label)
        st.button("Cancel", icon=":material/stop:", key=f"cancel_{status}", on_click=cancel, args=(status,))
    return found


@st.fragment(run_every=REFRESH)
def _follow(status: Path, label: str) -> None:
    found = read(status)
    if found is None or found.state != "running":
        st.rerun()
    else:
        st.progress(found.share, f"{label}: {found.text}")


def _end(process: subprocess.Popen) -> None:
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
    for process in _processes.values():
        if process.poll() is None:
            _end(process)
