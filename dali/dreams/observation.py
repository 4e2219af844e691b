"""What an agent observes of recorded episodes, and what the errors of its dreams are measured on.

The dream of an agent of vectors is compared with the simulator number by number. From the pictures that an agent of
pixels dreams no state can be read exactly, so they are compared with the simulator's, drawn at the same 64 x 64,
pixel by pixel. Drawing costs more than simulating: where physics are sought that look like a dream, fewer values are
tried, and fewer steps of each are drawn.

Shapes: E episodes, T records, O observation of the agent, V observation of the simulator, S simulator state, F context
features, P = 64 * 64 * 3 values of a picture.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch

from dali.envs import catalogue
from dali.envs.frames import draw_frames
from dali.envs.spec import EnvSpec
from dali.episodes import ANCHOR, Episodes, recorded_states
from dali.model.agent import Agent
from dali.model.conv import with_change

SAMPLE = 512  # records that the standard deviation of pixels is measured on


@dataclass(frozen=True)
class Metric(ABC):
    """How rollouts are compared.

    Attributes:
        scale: standard deviation of the data, (V,) by dimension, or one number for all pixels.
        candidates: physics values that a dream is compared with, over a feature's limits.
        every: steps from one compared step to the next, where physics are sought.
        episodes: at most so many are steered for figures.
    """

    spec: EnvSpec
    scale: np.ndarray
    candidates: int
    every: int
    episodes: int

    @abstractmethod
    def real(self, obs: np.ndarray, state: np.ndarray, contexts: np.ndarray) -> np.ndarray:
        """Real runs as they are compared, (E, T, V or P), of (E, T, V), (E, T, S) and (E, F)."""

    @abstractmethod
    def dreamed(self, agent: Agent, obs: np.ndarray) -> np.ndarray:
        """Dreams (E, T, O) as they are compared, (E, T, V or P)."""


class VectorMetric(Metric):
    """Compares observations, dimension by dimension."""

    def real(self, obs, state, contexts):
        return obs

    def dreamed(self, agent, obs):
        return obs


class PixelMetric(Metric):
    """Compares uint8 pictures, drawn and decoded."""

    def real(self, obs, state, contexts):
        frames = draw_frames(self.spec, state.reshape(-1, state.shape[-1]), contexts.repeat(state.shape[1], 0))
        return frames.reshape(*state.shape[:2], -1)

    def dreamed(self, agent, obs):
        return agent.world_model.picture(torch.from_numpy(obs)).numpy().reshape(*obs.shape[:2], -1)


def observation_scale(episodes: Episodes) -> np.ndarray:
    """(V,) standard deviation of each of the simulator's dimensions over all records that are not padding."""
    return np.maximum(episodes.obs[episodes.alive()].std(0), 1e-6)


def pixel_scale(spec: EnvSpec, episodes: Episodes) -> np.ndarray:
    """() root mean square, over pixels, of their standard deviation over anchors; 1 is as wrong as the mean picture."""
    episode, anchor = np.nonzero(episodes.alive()[:, ::ANCHOR])
    rng = np.random.default_rng(0)
    chosen = rng.choice(len(episode), min(SAMPLE, len(episode)), replace=False)
    frames = draw_frames(spec, episodes.anchor[episode[chosen], anchor[chosen]], episodes.context[episode[chosen]])
    return np.sqrt(frames.reshape(len(frames), -1).var(0, dtype=np.float64).mean())


def make_metric(agent: Agent, episodes: Episodes) -> Metric:
    """The metric for an agent's dreams, its scale taken from recorded episodes."""
    if agent.world_model.autoencoder is None:
        return VectorMetric(agent.spec, observation_scale(episodes), candidates=41, every=1, episodes=1000)
    return PixelMetric(agent.spec, pixel_scale(agent.spec, episodes), candidates=21, every=5, episodes=40)


def observations(
    agent: Agent, episodes: Episodes, begin: int, end: int, shown_under: np.ndarray | None = None
) -> np.ndarray:
    """(E, end - begin, O): what the agent observes at records begin to end - 1.

    Args:
        shown_under: (E, F) physics that pictures of the recorded states are drawn under; the episodes' own by default.
    """
    autoencoder = agent.world_model.autoencoder
    if autoencoder is None:
        return episodes.obs[:, begin:end]
    earliest = max(0, begin - 1)  # for the change that led to the first
    count, steps = len(episodes.obs), end - earliest
    state = recorded_states(catalogue.make(agent.spec.name, count), episodes, earliest, end)
    physics = episodes.context if shown_under is None else shown_under
    frames = draw_frames(agent.spec, state.reshape(count * steps, -1), physics.repeat(steps, 0))
    embedding = autoencoder.embed(torch.from_numpy(frames)).unflatten(0, (count, steps))
    first = torch.zeros(count, steps, dtype=torch.bool)
    first[:, 0] = True
    seen = with_change(embedding, embedding.roll(1, 1), first)
    return seen[:, begin - earliest :].numpy()


def dream_scale(agent: Agent, episodes: Episodes) -> np.ndarray:
    """(O,) standard deviation of each dimension that the agent observes, and so dreams."""
    if agent.world_model.autoencoder is None:
        return observation_scale(episodes)
    return agent.world_model.normalizer.obs_std.numpy()
