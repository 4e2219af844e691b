"""``python -m dali train``."""

import itertools
from pathlib import Path
from typing import Annotated

import typer

from dali.config import MAX_SEED, METHOD, MOST, PRESET, PRESETS, RunConfig
from dali.errors import DaliError
from dali.files.text import quote
from dali.runs.films import COUNT
from dali.runs.folder import LEFT_OUT, TRAINER_STATE, WEIGHTS, exists


def train(
    env: Annotated[
        str | None, typer.Option(help="Environment, such as pendulum, carl:Acrobot or my_module:MyEnv.")
    ] = None,
    method: Annotated[str | None, typer.Option(help=f"Method of the table in the README; {METHOD} by default.")] = None,
    preset: Annotated[
        str | None, typer.Option(help=f"Sizes: tiny (tests), {', '.join(list(PRESETS)[1:])}; {PRESET} by default.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=MAX_SEED, help="Seed of everything random; 0 by default.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Environment steps in all; the environment's own by default.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint folder; checkpoints/ENV-METHOD-sSEED by default, or ...-2 where a finished agent is."
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on from the folder's last checkpoint, with the folder's settings. With more --steps, a run that "
            "was finished or stopped goes on to these; its schedules span the new total.",
        ),
    ] = False,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a config field, as in --set replay_ratio=128; may be repeated."),
    ] = None,
    keep_every: Annotated[
        int,
        typer.Option(min=0, max=MOST, help="Steps between agents kept in OUTPUT/kept/step-N; 0: the last alone."),
    ] = 0,
    films: Annotated[
        int,
        typer.Option(min=0, max=100, help="Films of dream beside truth on the way, for who watches; 0: none."),
    ] = COUNT,
    replay_on_disk: Annotated[
        bool,
        typer.Option(
            "--replay-on-disk",
            help="Keep the replay in files of the folder, where it is larger than memory, until the run has finished.",
        ),
    ] = False,
    extra: Annotated[list[str] | None, typer.Argument(hidden=True, metavar="")] = None,
) -> None:
    """Train an agent; its checkpoint can be opened in the dashboard while it trains."""
    from dali.envs.outside import allow
    from dali.train.asked import asked_config, resumed_config
    from dali.train.checks import check_device, holding

    if extra:
        raise DaliError(
            f"{quote(extra[0])} stands behind no option. --set is repeated for each field: --set a=1 --set b=2."
        )
    if env is not None:
        allow(env)
    if resume and output is not None:
        folder, config = output, resumed_config(output, env, method, preset, seed, steps, change)
    elif env is None:
        raise DaliError("Name an environment with --env, or a folder to go on with: --resume --output FOLDER.")
    else:
        config = asked_config(env, method or METHOD, preset or PRESET, seed or 0, steps, change)
        folder = output or _default_folder(config)
        if resume:
            config = resumed_config(folder, env, method, preset, seed, steps, change)
        else:
            _check_empty(folder)
    with holding(folder):
        if not resume:
            _check_empty(folder)  # again: another training may have ended in it meanwhile
        check_device(config.train.device)
        from dali.train.film import make_films
        from dali.train.precision import slower_than_asked
        from dali.train.trainer import Trainer  # torch takes seconds to import; a wrong option is told at once

        if warning := slower_than_asked(config.train):
            typer.echo(warning, err=True)
        complete = Trainer(config, folder, keep_every, make_films(films), replay_on_disk).run(resume)
    typer.echo(f"{'Done' if complete else 'Interrupted and saved; go on with --resume'}: {folder}")


def _check_empty(folder: Path) -> None:
    if exists(folder / TRAINER_STATE):
        raise DaliError(f"{folder} already holds a run; add --resume to go on with it, or choose another --output.")
    if exists(folder / WEIGHTS) or exists(folder / LEFT_OUT):
        raise DaliError(f"{folder} already holds a trained agent; choose another --output.")


def _default_folder(config: RunConfig) -> Path:
    """The first folder in checkpoints/ that holds no finished agent, which a training would write over."""
    from dali.envs.catalogue import folder_name

    pixels = "-pixels" if config.model.observation == "pixels" else ""
    name = f"{folder_name(config.env)}-{config.method_name}{pixels}-s{config.seed}"
    for number in itertools.count(1):
        folder = Path("checkpoints") / (name if number == 1 else f"{name}-{number}")
        if exists(folder / TRAINER_STATE) or not (exists(folder / WEIGHTS) or exists(folder / LEFT_OUT)):
            break
    return folder
