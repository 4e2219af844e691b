"""Where the runs of a sweep are executed: worker threads of this process, or tasks of a Ray cluster.

Both yield each run as it ends, and None now and then while nothing does, so that the caller can report progress.
"""

import os
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from dali.errors import DaliError
from dali.train.sweep import Job, Outcome, run_job

POLL = 1.0  # seconds
TASK_RETRIES = 3  # of a Ray task whose worker died


def run_here(jobs: list[Job], workers: int) -> Iterator[tuple[Job, Outcome] | None]:
    """Runs on this machine, ``workers`` at a time. A failure does not end the others."""
    with ThreadPoolExecutor(workers) as pool:
        pending = {pool.submit(run_job, job): job for job in jobs}
        try:
            while pending:
                finished, _ = wait(pending, POLL, FIRST_COMPLETED)
                for future in finished:
                    yield pending.pop(future), future.result()
                if not finished:
                    yield None
        finally:  # after a signal, or where the caller stops iterating, start nothing more
            pool.shutdown(wait=False, cancel_futures=True)


def run_on_ray(jobs: list[Job], workers: int | None, address: str) -> Iterator[tuple[Job, Outcome] | None]:
    """Runs on a Ray cluster; every machine needs this checkout and the output folder at the same path.

    Args:
        workers: for "local", how many run at once; elsewhere the cluster's own CPUs decide.
        address: "local" starts a cluster on this machine; "auto" or HOST:PORT joins one.

    Raises:
        DaliError: Ray is not installed, or there is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        raise DaliError("--ray-address needs Ray: python -m pip install -r requirements-ray.txt") from error
    root = str(Path(__file__).resolve().parents[2])
    options: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, runtime_env={"env_vars": {"PYTHONPATH": root}}, log_to_driver=False, **options)
    except ConnectionError as error:
        raise DaliError(f"There is no Ray cluster at {address!r}: {error}") from error
    try:
        task = ray.remote(num_cpus=1, max_retries=TASK_RETRIES)(run_job)
        pending = {task.remote(job): job for job in jobs}
        while pending:
            finished, _ = ray.wait(list(pending), timeout=POLL)
            for reference in finished:
                try:
                    outcome = ray.get(reference)
                except ray.exceptions.RayError as error:
                    outcome = Outcome("failed", 0.0, f"Ray: {type(error).__name__}")
                yield pending.pop(reference), outcome
            if not finished:
                yield None
    finally:
        ray.shutdown()
