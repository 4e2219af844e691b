"""``python -m dali train``."""

import itertools
from pathlib import Path
from typing import Annotated

import typer

from dali.config import RunConfig, make_config
from dali.envs import catalogue
from dali.envs.frames import check_observation
from dali.errors import DaliError
from dali.runs.folder import TRAINER_STATE, WEIGHTS
from dali.train.asked import parse_changes
from dali.train.steps import default_steps


def train(
    env: Annotated[str, typer.Option(help="Environment of the catalogue, such as pendulum.")],
    method: Annotated[str, typer.Option(help="Method of the table in the README.")] = "dali_d_chi",
    preset: Annotated[str, typer.Option(help="Sizes: tiny (tests), small (a laptop), pixels, paper.")] = "small",
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Environment steps; the environment's own by default.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint folder; checkpoints/ENV-METHOD-sSEED by default, or ...-2 where a finished agent is."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the folder's last checkpoint.")] = False,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="Change a config field, as in --set replay_ratio=128.")
    ] = None,
) -> None:
    """Train an agent; its checkpoint can be opened in the dashboard while it trains."""
    usual = default_steps(env, preset)
    config = make_config(env, method, preset, seed, steps or usual, **parse_changes(change or []))
    folder = output or _default_folder(config)
    if not resume and (folder / TRAINER_STATE).exists():
        raise DaliError(f"{folder} already holds a run; add --resume to go on with it, or choose another --output.")
    if not resume and (folder / WEIGHTS).exists():
        raise DaliError(f"{folder} already holds a trained agent; choose another --output.")
    check_observation(catalogue.spec(env), config.model.observation)
    from dali.train.trainer import Trainer  # torch takes seconds to import; a wrong option is told at once

    complete = Trainer(config, folder).run(resume)
    typer.echo(f"{'Done' if complete else 'Interrupted and saved; go on with --resume'}: {folder}")


def _default_folder(config: RunConfig) -> Path:
    """The first folder in checkpoints/ that holds no finished agent, which a training would write over."""
    pixels = "-pixels" if config.model.observation == "pixels" else ""
    name = f"{config.env}-{config.method_name}{pixels}-s{config.seed}"
    for number in itertools.count(1):
        folder = Path("checkpoints") / (name if number == 1 else f"{name}-{number}")
        if (folder / TRAINER_STATE).exists() or not (folder / WEIGHTS).exists():
            break
    return folder
