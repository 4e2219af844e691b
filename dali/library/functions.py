"""Environments, lists of runs, and training."""

import math
from pathlib import Path
from typing import Any

import pandas as pd

from dali.config import make_config
from dali.envs import catalogue, outside
from dali.envs.base import Simulator
from dali.errors import CheckpointError, DaliError, missing_package
from dali.library.run import OpenRun, open_run
from dali.runs.folder import TRAINER_STATE, WEIGHTS, exists, load_config, trainer_numbers, weights_name
from dali.runs.folder import list_runs as run_folders


def list_envs() -> pd.DataFrame:
    """The environments: a row for each quantity of hidden physics.

    Returns:
        Columns ``env``, ``feature`` (its name), ``label``, ``unit`` ("x": a multiple of the model's own value),
        ``default``, and the range that agents are trained on, ``train_low`` and ``train_high``,
        without the open interval from ``gap_low`` to ``gap_high`` (NaN where there is none).
    """
    rows = [
        {
            "env": name,
            "feature": feature.name,
            "label": feature.label,
            "unit": feature.unit,
            "default": feature.default,
            "train_low": feature.train[0],
            "train_high": feature.train[1],
            "gap_low": feature.gap[0] if feature.gap else math.nan,
            "gap_high": feature.gap[1] if feature.gap else math.nan,
        }
        for name in (*catalogue.names(), *outside.names())
        for feature in catalogue.spec(name).features
    ]
    return pd.DataFrame(rows)


def make_env(name: str, copies: int = 1) -> Simulator:
    """An environment: N copies that are stepped together, each under its own physics.

    ``env.reset(seeds, contexts)`` starts episodes with seeds (N,) under physics (N, F), F features in the order of
    ``env.spec.features``; ``env.step(action)`` takes actions (N, A) in [-1, 1] (one-hot where they are discrete);
    ``env.get_state()``, ``env.set_state(state)`` and ``env.set_context(contexts)`` make the same moment go on under
    other physics; ``env.draw(state, context)`` gives a picture.

    Args:
        name: of ``list_envs()``, or of an environment of yours, as in "my_module:MyEnv" (docs/environments.md).
        copies: N.

    Raises:
        DaliError: unknown name, fewer than one copy, or a package that this environment needs is missing.
    """
    outside.allow(name)
    return catalogue.make(name, copies)


def list_runs(folder: str | Path = "checkpoints") -> pd.DataFrame:
    """The runs in a folder, without loading any of them.

    Returns:
        A row a run: ``run`` (its folder), ``env``, ``method``, ``preset``, ``seed``, ``steps`` (of the environment,
        planned) and ``saved`` (whether there are weights to open). Empty where there are none.

    Raises:
        CheckpointError: a configuration cannot be read.
    """
    rows = []
    for path in run_folders(Path(folder)):
        c = load_config(path)
        saved = (path / WEIGHTS).is_file()
        rows.append((str(path), c.env, c.method_name, c.preset, c.seed, c.train.steps, saved))
    return pd.DataFrame(rows, columns=["run", "env", "method", "preset", "seed", "steps", "saved"])


def train_agent(
    env: str,
    folder: str | Path,
    method: str = "dali_d_chi",
    preset: str = "small",
    seed: int = 0,
    steps: int | None = None,
    resume: bool = False,
    **changes: Any,
) -> OpenRun:
    """Trains an agent and returns its run; Ctrl-C saves it and ends the training early.

    Args:
        env: of ``list_envs()``, or of an environment of yours, as in "my_module:MyEnv" (docs/environments.md).
        folder: where the run is written.
        method: a name of dali/methods.py, such as dali_d_chi, crssm_d or dreamer_dr.
        preset: tiny (seconds, for tests), small, pixels or paper.
        steps: of the environment, in all; where None its own number, or that of the run that is resumed.
        resume: goes on from the folder's last checkpoint. With more steps, a run that was finished or stopped goes on
            to these; its schedules span the new total.
        changes: fields of dali/config.py by name, as in ``replay_ratio=128``.

    Raises:
        DaliError: an unknown name, a value that cannot work, a folder that holds another run, or the extra ``train`` is
            not installed.
    """
    try:
        from dali.train.film import make_films
        from dali.train.trainer import Trainer
    except ModuleNotFoundError as error:
        raise missing_package(error) from error
    from dali.train.asked import saved_run
    from dali.train.steps import default_steps

    outside.allow(env)
    path = Path(folder)
    if steps is None:
        steps = saved_run(path, trainer_numbers(path))[0].train.steps if resume else default_steps(env, preset)
    config = make_config(env, method, preset, seed, steps, **changes)
    if not resume and ((path / TRAINER_STATE).exists() or exists(path / weights_name(path))):
        raise DaliError(f"{path} already holds a run; give resume=True to go on with it, or choose another folder.")
    Trainer(config, path, films=make_films()).run(resume)
    if not (path / WEIGHTS).is_file():
        raise CheckpointError(f"{path} holds no {WEIGHTS}: training ended before its first checkpoint.")
    return open_run(path)
