"""What a checkpoint's policy reacts to, kept beside its weights: reaction.json."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from dali.codes.code_map import CodeMap, fit_steering
from dali.config import MAX_SEED
from dali.envs import catalogue
from dali.episodes import collect_standard
from dali.errors import CheckpointError
from dali.files.reading import read_object
from dali.files.text import quote
from dali.files.writing import write_text
from dali.model.agent import Agent
from dali.returns.estimators import RESAMPLES, Estimate
from dali.returns.sensitivity import Moves, Reaction, ReturnLost, Sensitivity, given_moves
from dali.runs.artifacts import EPISODES_FILE, load_episodes, load_typical
from dali.runs.folder import digest, exists, load_config, made_from
from dali.runs.run import open_run

REACTION_FILE = "reaction.json"
MOST = 1e12  # of a figure


def context_moves(agent: Agent, folder: Path) -> Moves:
    """The moves of the context for a change of the physics: exact where it is given, by the code map where inferred.

    The code map is fitted on the recorded episodes; where none came with the run, on those that its figures are of,
    played again.

    Raises:
        CheckpointError: the context is inferred, and the run has neither episodes nor figures.
    """
    if agent.method.source == "given":
        return given_moves(agent.spec)
    analysed = open_run(folder).analysed_on()
    if exists(folder / EPISODES_FILE) or analysed is None:
        episodes = load_episodes(folder / EPISODES_FILE)
    else:
        episodes = collect_standard(agent, analysed[1], analysed[0])
    return code_moves(agent, fit_steering(episodes, agent.spec, load_typical(folder)))


def code_moves(agent: Agent, code_map: CodeMap) -> Moves:
    """The code map's moves, as the networks read codes."""
    scale = agent.world_model.code_std.cpu().numpy()
    return lambda c_from, c_to: np.asarray(code_map.shift(c_from, c_to) / scale, np.float32)


def save_reaction(folder: Path, reaction: Reaction, weights: str | None = None) -> None:
    """Writes it, tied to the weights; ``weights`` and errors as of ``dali.runs.artifacts.save_analysis``."""
    record = {"weights": made_from(folder, weights), **asdict(reaction)}
    write_text(folder / REACTION_FILE, json.dumps(record, indent=1) + "\n")


def load_reaction(folder: Path) -> Reaction:
    """What ``save_reaction`` wrote for the present weights.

    Raises:
        CheckpointError: there is none, it is damaged, or of other weights; says how to make it.
    """
    path, command = folder / REACTION_FILE, f"python -m dali react {folder}"
    try:
        record = read_object(path)
        weights = record["weights"]
    except FileNotFoundError:
        raise CheckpointError(f"There is no {path}; make it with: {command}") from None
    except (CheckpointError, KeyError) as error:
        raise CheckpointError(f"{path} does not hold a reaction: {error}. Make it anew with: {command}") from error
    try:
        reaction = _parse(record)
        names = [feature.name for feature in catalogue.spec(load_config(folder).env).features]
        if [found.feature for found in reaction.features] != names:
            raise ValueError(f"its features are not {', '.join(names)}")
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} does not hold a reaction: {quote(error)}. Make it anew with: {command}"
        ) from error
    if weights != digest(folder):
        raise CheckpointError(f"{path} is of other weights; make it anew with: {command}")
    return reaction


def _parse(record: dict[str, Any]) -> Reaction:
    """Raises KeyError, TypeError or ValueError where the record is not that of a ``Reaction``."""
    return Reaction(
        features=tuple(
            Sensitivity(str(f["feature"]), _estimate(f["action"]), _estimate(f["random"]), _number(f["length"]))
            for f in record["features"]
        ),
        lost=tuple(
            ReturnLost(
                str(change["change"]),
                _estimate(change["lost"]),
                None if change["normalised"] is None else _estimate(change["normalised"]),
            )
            for change in record["lost"]
        ),
        **{name: _count(record[name]) for name in ("contexts", "episodes", "states", "seed")},
    )


def _estimate(data: dict[str, Any]) -> Estimate:
    if data["resampled"] not in RESAMPLES:
        raise ValueError(f"an interval is over {quote(data['resampled'])}")
    return Estimate(_number(data["value"]), _number(data["low"]), _number(data["high"]), data["resampled"])


def _number(value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not abs(value) < MOST:
        raise ValueError(f"{quote(value)} is not a figure")
    return float(value)


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_SEED:
        raise ValueError(f"{quote(value)} is not a count")
    return value
