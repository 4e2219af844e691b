"""``python -m dali sweep``."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dali.cli.options import Status
from dali.errors import DaliError, unknown_name

if TYPE_CHECKING:
    from dali.train.sweep import Job, Outcome


def sweep(
    env: Annotated[str, typer.Option(help="Environments, parted by commas; 'all' for those of this package.")],
    methods: Annotated[str, typer.Option(help="Methods, parted by commas; 'all' for all seven.")],
    seeds: Annotated[str, typer.Option(help="Seeds, parted by commas, or a range such as 0-2.")] = "0",
    workers: Annotated[int | None, typer.Option(min=1, max=256, help="Runs at once; all cores by default.")] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="Run on Ray: local, auto or HOST:PORT. Needs requirements-ray.txt.")
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder that holds the runs' folders.")] = Path("checkpoints"),
    evaluate: Annotated[
        Literal["none", "quick", "paper"], typer.Option(help="Grid that each run is evaluated on when it is trained.")
    ] = "none",
    show: Annotated[bool, typer.Option("--list", help="Only show how the runs stand.")] = False,
    status: Status = None,
    options: Annotated[list[str] | None, typer.Argument(help="After --: further options of the train command.")] = None,
) -> None:
    """Train environments x methods x seeds, several at once, one thread each.

    Run it again to go on: finished runs are kept. A run of other settings under the same name fails; choose another
    seed or --output.
    A failing run does not end the others; the exit status is 1 if any failed. What a run prints: its cache/train.log.
    """
    from dali.envs import catalogue, outside
    from dali.methods import METHODS
    from dali.train.asked import MOST_RUNS, parse_seeds

    outside.allow(env)
    envs = list(catalogue.names()) if env == "all" else [e.strip() for e in env.split(",")]
    for name in envs:
        catalogue.spec(name)
    names = list(METHODS) if methods == "all" else [m.strip() for m in methods.split(",")]
    for name in names:
        if name not in METHODS:
            raise unknown_name("method", name, METHODS)
    numbers = parse_seeds(seeds)
    if len(envs) * len(names) * len(numbers) > MOST_RUNS:
        raise DaliError(f"A sweep of {len(envs) * len(names) * len(numbers):,} runs; expected at most {MOST_RUNS}.")
    from dali.jobs import reporting
    from dali.train.pool import run_here, run_on_ray
    from dali.train.sweep import end_on_signals, plan

    jobs = plan(envs, names, numbers, output, options or [], None if evaluate == "none" else evaluate)
    outcomes: dict[Job, Outcome] = {}
    if show:
        typer.echo(_table(jobs, outcomes))
        return
    for job in jobs:
        job.config()  # what no run can be is told before any begins
    end_on_signals()
    with reporting(status) as report:
        at_once = workers or os.cpu_count() or 1
        runs = run_here(jobs, at_once) if ray_address is None else run_on_ray(jobs, workers or at_once, ray_address)
        for ended in runs:
            if ended is not None:
                job, outcomes[job] = ended
                typer.echo(f"[{len(outcomes)}/{len(jobs)}] {_line(job, outcomes)}")
            stands = [job.run.progress() for job in jobs]
            percent = sum(round(100 * s.share) for s in stands)  # each run counts the same, however long it is
            training = sum(s.training for s in stands)
            report(percent, 100 * len(jobs), f"{training} running, {len(outcomes)} of {len(jobs)} ended")
        typer.echo(_table(jobs, outcomes))
        failed = [job.name for job, outcome in outcomes.items() if outcome.state == "failed"]
        if failed:
            raise DaliError(f"{len(failed)} of {len(jobs)} runs failed: {', '.join(failed)}.")


def _table(jobs: "list[Job]", outcomes: "dict[Job, Outcome]") -> str:
    return "\n".join(_line(job, outcomes) for job in jobs)


def _line(job: "Job", outcomes: "dict[Job, Outcome]") -> str:
    """A run, how it stands, and how far it is."""
    from dali.train.sweep import conflict

    stands = job.run.progress()
    steps = f"{stands.done:>9,} of {stands.total:>9,} steps" if stands.total else "not begun"
    if job in outcomes:
        outcome = outcomes[job]
        text = f"{outcome.seconds / 60:.1f} min" if outcome.state == "done" else outcome.text
        return f"{job.name:36s} {outcome.state:8s} {steps}  {text}"
    if (reason := conflict(job)) is not None:
        return f"{job.name:36s} {'other':8s} {steps}  {reason}"
    state = "running" if stands.training else "done" if stands.complete else "waiting"
    return f"{job.name:36s} {state:8s} {steps}"
