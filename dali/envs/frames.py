"""What an agent is shown of an environment: its observation as numbers, or a small picture drawn from its state.

A picture shows what a camera would: where bodies are and how large, so that physics with a shape (the length of a rod
or a string) can be seen, and physics without one (gravity, motor strength, friction) and velocities cannot. Where
people are shown such physics by a colour (`ContextFeature.cue`), agents see its default's: it is theirs to infer.

Shapes: N copies, S simulator state, F context features, O observation.
"""

import numpy as np

from dali.config import Observation
from dali.envs import catalogue
from dali.envs.base import Simulator
from dali.envs.spec import EnvSpec
from dali.errors import DaliError

FRAME = 64  # pixels a side of the pictures that agents see
SHAPE = (FRAME, FRAME, 3)


def check_observation(spec: EnvSpec, observation: Observation) -> None:
    """Raises DaliError where pictures of an environment do not show its state."""
    if observation == "pixels" and not spec.planar:
        planar = ", ".join(entry.name for entry in catalogue.CATALOGUE.values() if entry.planar)
        raise DaliError(f"{spec.title} moves in three dimensions; pixels are for planar environments: {planar}.")


def draw_frames(spec: EnvSpec, states: np.ndarray, contexts: np.ndarray) -> np.ndarray:
    """(N, 64, 64, 3) uint8 pictures of N states (N, S), each under its own context (N, F)."""
    draw = catalogue.simulator_class(spec.name).draw
    contexts = np.where([f.cue for f in spec.features], spec.default_context, contexts)
    frames = np.empty((len(states), *SHAPE), np.uint8)
    for i, (state, context) in enumerate(zip(states, contexts, strict=True)):
        frames[i] = draw(state, context, FRAME)
    return frames


def shown(observation: Observation, simulator: Simulator, vectors: np.ndarray) -> np.ndarray:
    """What an agent is shown of the copies of a simulator: their ``vectors`` (N, O), or pictures (N, 64, 64, 3)."""
    if observation == "vector":
        return vectors
    return draw_frames(simulator.spec, simulator.get_state(), simulator.contexts)
