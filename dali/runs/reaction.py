"""What a checkpoint's policy reacts to, kept beside its weights: reaction.json."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from dali.codes.code_map import CodeMap, fit_steering
from dali.errors import CheckpointError
from dali.files.reading import read_object
from dali.files.writing import write_text
from dali.model.agent import Agent
from dali.returns.sensitivity import Moves, Reaction, given_moves
from dali.runs.artifacts import EPISODES_FILE, load_episodes, load_typical
from dali.runs.folder import digest, made_from

REACTION_FILE = "reaction.json"


def context_moves(agent: Agent, folder: Path) -> Moves:
    """The moves of the context for a change of the physics: exact where it is given, by the code map where inferred.

    Raises:
        CheckpointError: the context is inferred, and no episodes are recorded to fit the code map on.
    """
    if agent.method.source == "given":
        return given_moves(agent.spec)
    episodes = load_episodes(folder / EPISODES_FILE)
    return code_moves(agent, fit_steering(episodes, agent.spec, load_typical(folder)))


def code_moves(agent: Agent, code_map: CodeMap) -> Moves:
    """The code map's moves, as the networks read codes."""
    scale = agent.world_model.code_std.cpu().numpy()
    return lambda c_from, c_to: np.asarray(code_map.shift(c_from, c_to) / scale, np.float32)


def save_reaction(folder: Path, reaction: Reaction, weights: str | None = None) -> None:
    """Writes it, tied to the weights; ``weights`` and errors as of ``dali.runs.artifacts.save_analysis``."""
    record = {"weights": made_from(folder, weights), **reaction.to_dict()}
    write_text(folder / REACTION_FILE, json.dumps(record, indent=1) + "\n")


def load_reaction(folder: Path) -> dict[str, Any]:
    """The record that ``save_reaction`` wrote for the present weights.

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
    if weights != digest(folder):
        raise CheckpointError(f"{path} is of other weights; make it anew with: {command}")
    return record
