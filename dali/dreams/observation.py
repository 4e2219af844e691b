"""What an agent observes of a simulator, and what its dreams are as numbers and as pictures.

An agent of vectors observes the simulator's numbers, and its dreams are held against them number by number. One of
pixels observes pictures of the simulator's states through its autoencoder. From the pictures that it dreams no state
can be read exactly, so they are compared with the simulator's, drawn at the same 64 x 64, pixel by pixel. Drawing costs
more than simulating: where physics are sought that look like a dream, fewer values are tried, and fewer steps of each
are drawn.

Shapes: E episodes, T records, H = T - 1 steps, O observation of the agent, V observation of the simulator, S simulator
state, A action, F context features, P = 64 * 64 * 3 values of a picture.
"""

from dataclasses import dataclass

import numpy as np
import torch

from dali.envs import catalogue
from dali.envs.frames import SHAPE, draw_frames
from dali.episodes import ANCHOR, Episodes, recorded_states
from dali.model.agent import Agent

SAMPLE = 512  # records that the standard deviation of pixels is measured on


@dataclass(frozen=True)
class Rollout:
    """One run of H steps, real or dreamed; index 0 is the start.

    Runs that an agent of pixels is compared with or dreams have pictures. Its dreams have nothing else: numbers and
    states cannot be read from them exactly, so none are given.
    """

    action: np.ndarray  # (H, A)
    obs: np.ndarray | None  # (H + 1, V)
    state: np.ndarray | None  # (H + 1, S) to draw
    reward: np.ndarray | None = None  # (H,) expected by the world model; None for real runs
    frames: np.ndarray | None = None  # (H + 1, 64, 64, 3) uint8
    spread: np.ndarray | None = None  # (H + 1, V) of the members of a dynamics ensemble; None of all else

    @property
    def compared(self) -> np.ndarray:
        """(H + 1, .) what errors are measured on."""
        if self.frames is not None:
            return self.frames.reshape(len(self.frames), -1)
        assert self.obs is not None
        return self.obs


class Observer:
    """How an agent of vectors observes, and what its rollouts are compared on: the simulator's own numbers.

    Attributes:
        pictures: the agent is shown pictures, in which physics can be seen, and dreams no numbers.
        known: records of a run until what is observed tells of that run alone.
        candidates: physics values that a dream is compared with, over a feature's limits.
        every: steps from one compared step to the next, where physics are sought.
        episodes: at most so many are steered for figures.
    """

    pictures, known, candidates, every, episodes = False, 1, 41, 1, 1000

    def __init__(self, agent: Agent):
        self.agent, self.spec = agent, agent.spec

    def observations(
        self, episodes: Episodes, begin: int, end: int, shown_under: np.ndarray | None = None
    ) -> np.ndarray:
        """(E, end - begin, O): what the agent observes at records begin to end - 1.

        Args:
            shown_under: (E, F) physics that pictures of the recorded states are drawn under; the episodes' own by
                default.
        """
        return episodes.obs[:, begin:end]

    def watch(self, run: Rollout) -> np.ndarray:
        """(H + 1, O) what the agent observes of a real run."""
        return np.asarray(run.obs, np.float32)

    def real(self, obs: np.ndarray, state: np.ndarray, contexts: np.ndarray) -> np.ndarray:
        """Real runs as they are compared, (E, T, V or P), of (E, T, V), (E, T, S) and (E, F)."""
        return obs

    def dreamed(self, obs: np.ndarray) -> np.ndarray:
        """Dreams (E, T, O) as they are compared, (E, T, V or P)."""
        return obs

    def real_run(self, action: np.ndarray, obs: np.ndarray, state: np.ndarray, context: np.ndarray) -> Rollout:
        """The run of (H, A), (H + 1, V) and (H + 1, S) under physics (F,), or (H + 1, F) by record."""
        return Rollout(action, obs, state)

    def dreamed_run(
        self,
        action: np.ndarray,
        obs: np.ndarray,
        reward: np.ndarray | None = None,
        spread: np.ndarray | None = None,
        first: int = 0,
    ) -> Rollout:
        """A dream (H + 1, O), of which records from ``first`` on are shown."""
        # Some states add up what is observed, so all records before are read.
        states = catalogue.simulator_class(self.spec.name).states_from_observations(obs)
        return Rollout(action, obs[first:], states[first:], reward, spread=spread)

    def scale(self, episodes: Episodes) -> np.ndarray:
        """Standard deviation of the data, (V,) by dimension, or () of all pixels."""
        return np.maximum(episodes.obs[episodes.alive()].std(0), 1e-6)  # records that are not padding

    def dream_scale(self, episodes: Episodes) -> np.ndarray:
        """(O,) standard deviation of each dimension that the agent observes, and so dreams."""
        return self.scale(episodes)


class PixelObserver(Observer):
    """How an agent of pixels observes: through its autoencoder. Uint8 pictures are compared, drawn and decoded."""

    pictures, known, candidates, every, episodes = True, 2, 21, 5, 40

    def __init__(self, agent: Agent):
        super().__init__(agent)
        assert agent.world_model.autoencoder is not None
        self._autoencoder = agent.world_model.autoencoder

    def observations(
        self, episodes: Episodes, begin: int, end: int, shown_under: np.ndarray | None = None
    ) -> np.ndarray:
        earliest = max(0, begin - 1)  # for the change that led to the first
        state = recorded_states(catalogue.make(self.spec.name, len(episodes.obs)), episodes, earliest, end)
        frames = self.real(episodes.obs, state, episodes.context if shown_under is None else shown_under)
        seen = self._autoencoder.watch(torch.from_numpy(frames.reshape(*state.shape[:2], *SHAPE)))
        return seen[:, begin - earliest :].numpy()

    def watch(self, run: Rollout) -> np.ndarray:
        assert run.frames is not None
        return self._autoencoder.watch(torch.from_numpy(run.frames)[None])[0].numpy()

    def real(self, obs: np.ndarray, state: np.ndarray, contexts: np.ndarray) -> np.ndarray:
        frames = draw_frames(self.spec, state.reshape(-1, state.shape[-1]), contexts.repeat(state.shape[1], 0))
        return frames.reshape(*state.shape[:2], -1)

    def dreamed(self, obs: np.ndarray) -> np.ndarray:
        pictures = self._autoencoder.picture(torch.from_numpy(obs[..., : self._autoencoder.embedding]))
        return pictures.numpy().reshape(*obs.shape[:2], -1)

    def real_run(self, action: np.ndarray, obs: np.ndarray, state: np.ndarray, context: np.ndarray) -> Rollout:
        frames = draw_frames(self.spec, state, np.broadcast_to(context, (len(state), context.shape[-1])))
        return Rollout(action, obs, state, frames=frames)

    def dreamed_run(
        self,
        action: np.ndarray,
        obs: np.ndarray,
        reward: np.ndarray | None = None,
        spread: np.ndarray | None = None,
        first: int = 0,
    ) -> Rollout:
        return Rollout(action, None, None, reward, self.dreamed(obs[None, first:])[0].reshape(-1, *SHAPE))

    def scale(self, episodes: Episodes) -> np.ndarray:
        """Root mean square, over pixels, of their deviation over anchors; 1 is as wrong as the mean picture."""
        episode, anchor = np.nonzero(episodes.alive()[:, ::ANCHOR])
        rng = np.random.default_rng(0)
        chosen = rng.choice(len(episode), min(SAMPLE, len(episode)), replace=False)
        states, contexts = episodes.anchor[episode[chosen], anchor[chosen]], episodes.context[episode[chosen]]
        frames = draw_frames(self.spec, states, contexts)
        return np.sqrt(frames.reshape(len(frames), -1).var(0, dtype=np.float64).mean())

    def dream_scale(self, episodes: Episodes) -> np.ndarray:
        return self.agent.world_model.normalizer.obs_std.numpy()


def observer_of(agent: Agent) -> Observer:
    """How an agent observes."""
    return Observer(agent) if agent.world_model.autoencoder is None else PixelObserver(agent)


@dataclass(frozen=True)
class Metric:
    """How an agent's rollouts are compared: as it observes, in standard deviations of the data."""

    observer: Observer
    scale: np.ndarray  # (V,) by dimension, or one number for all pixels


def make_metric(agent: Agent, episodes: Episodes) -> Metric:
    """The metric for an agent's dreams, its scale taken from recorded episodes."""
    observer = observer_of(agent)
    return Metric(observer, observer.scale(episodes))
