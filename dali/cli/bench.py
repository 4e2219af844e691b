"""``python -m dali bench``: prints JSON."""

import json
from typing import Annotated

import typer

from dali.cli.options import Run

app = typer.Typer(no_args_is_help=True, help="Measure what the engine's parts cost on this machine; prints JSON.")

Env = Annotated[str, typer.Option(help="Environment of the catalogue.")]


@app.command("train")
def train(
    env: Env = "pendulum",
    method: Annotated[str, typer.Option(help="Method of the table in the README.")] = "dali_d_chi",
    preset: Annotated[str, typer.Option(help="tiny, small or paper.")] = "small",
    updates: Annotated[int, typer.Option(min=1, help="Updates timed.")] = 20,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 leaves torch's choice.")] = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Updates a second, time by stage, memory, arithmetic."""
    from dali.config import make_config
    from dali.envs import catalogue

    steps = catalogue.spec(env).train_steps
    config = make_config(env, method, preset, 0, steps, threads=threads, device=device)
    from dali.bench import bench_train  # torch takes seconds to import; a wrong option is told at once

    typer.echo(json.dumps(bench_train(config, updates), indent=2))


@app.command("env")
def env_(copies: Annotated[int, typer.Option(min=1, help="Copies stepped together.")] = 8) -> None:
    """Environment steps a second."""
    from dali.bench import bench_env
    from dali.envs import catalogue

    typer.echo(json.dumps(bench_env(list(catalogue.names()), copies), indent=2))


@app.command("render")
def render(size: Annotated[int, typer.Option(min=16, help="Pixels a side.")] = 256) -> None:
    """Frames drawn a second."""
    from dali.bench import bench_render
    from dali.envs import catalogue

    typer.echo(json.dumps(bench_render(list(catalogue.names()), size), indent=2))


@app.command("imagine")
def imagine(
    run: Run,
    horizon: Annotated[int, typer.Option(min=1, help="Steps dreamed.")] = 50,
) -> None:
    """Milliseconds of a dream."""
    from dali.bench import bench_imagine
    from dali.runs.checkpoint import load_agent

    typer.echo(json.dumps(bench_imagine(load_agent(run), horizon), indent=2))


@app.command("counterfactual")
def counterfactual(
    run: Run,
    horizon: Annotated[int, typer.Option(min=1, max=100, help="Steps dreamed.")] = 50,
    changes: Annotated[int, typer.Option(min=1, help="Slider changes timed.")] = 20,
) -> None:
    """Milliseconds from a slider's change to a new film of four panes."""
    from dali.export.cost import bench_film
    from dali.runs.film_source import open_film_source

    typer.echo(json.dumps(bench_film(open_film_source(run), horizon, changes), indent=2))
