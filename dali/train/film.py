"""Films of a training: what its agent dreams of a real episode, beside that episode.

The episode is one of smooth noise under a training context, made by a simulator and random generators of its own, the
same in all films of a run. Training is neither read but for its weights nor changed.

Shapes: H horizon, T = H / EVERY + 1 frames, O observation, F context features.
"""

import sys

import numpy as np
import torch

from dali.dreams.counterfactual import dream, held_context, infer_start, recorded_actions
from dali.dreams.observation import observer_of
from dali.envs import catalogue
from dali.envs.contexts import sample_contexts
from dali.envs.frames import SHAPE, draw_frames
from dali.episodes import Episodes, collect, recorded_states
from dali.files.text import plain, shorten
from dali.model.agent import Agent
from dali.runs.films import COUNT, EVERY, FPS

HORIZON = 50  # H, at most
EPISODES = 4  # the longest of which is filmed, since some end early
SIZE = 128  # pixels a side of a pane, twice what an agent of pixels sees
COLOURS = 64  # of a film; 256 would make it half as large again and look the same


class FilmMaker:
    """Makes films. That one cannot be made is said once, and raises nothing: no training ends for want of a film."""

    def __init__(self, count: int):
        """``count`` is the number of films a run."""
        self.count = count
        self._said = False

    def make(self, agent: Agent) -> bytes | None:
        """A GIF of both panes, captioned; None where none can be made."""
        try:
            return encode(*dream_beside_truth(copy_of(agent)))
        except Exception as error:  # an environment's own drawing may raise anything
            if not self._said:
                reason = shorten(f"{type(error).__name__}: {error}", 200)
                print(plain(f"This training goes on without films of its dreams: {reason}"), file=sys.stderr)
            self._said = True
            return None


def make_films(count: int = COUNT) -> FilmMaker | None:
    """What makes the films of a training; None where none are asked for."""
    return FilmMaker(count) if count else None


def copy_of(agent: Agent) -> Agent:
    """The agent of now, on the CPU and as a saved one is opened; nothing done with it reaches the one that learns."""
    with torch.device("meta"):
        copy = Agent(agent.config, agent.spec)
    state = {name: value.detach().cpu().clone() for name, value in agent.state_dict().items()}
    copy.load_state_dict(state, assign=True)
    return copy.requires_grad_(False).eval()


def dream_beside_truth(agent: Agent) -> tuple[np.ndarray, np.ndarray, str, str]:
    """What is filmed of an agent on the CPU.

    Returns:
        The real run and the dream, both (T, SIZE, SIZE, 3), the physics in words, and how long the agent had watched.

    Raises:
        DaliError: an agent of pixels whose environment cannot be put back into a state, or that cannot be drawn.
    """
    episode = film_episode(agent)
    length = int(episode.length[0])
    window = agent.config.model.context_window
    horizon = min(HORIZON, max(length - window, -(-length // 2)))  # of a short episode half is watched, half dreamed
    t = min(window, length - horizon)
    code = episode.code[:, t] if agent.method.infers_context else None
    context = held_context(agent, episode, code, episode.context)
    given = recorded_actions(episode, t, horizon, "recorded")
    dreamed = dream(agent, infer_start(agent, episode, t, context), context, horizon, given, "mean")
    real, imagined = _draw(agent, episode, np.arange(t, t + horizon + 1, EVERY), dreamed.obs[0, ::EVERY])
    physics = ", ".join(f"{f.name} {c:.3g}" for f, c in zip(agent.spec.features, episode.context[0], strict=True))
    return real, imagined, physics, f"after {t + 1} records"


def film_episode(agent: Agent) -> Episodes:
    """The one episode that all films of a run show, with the codes that the agent infers in it now."""
    config, spec = agent.config, agent.spec
    contexts = sample_contexts(spec, config.train.contexts, config.seed)[:EPISODES]
    steps = min(config.model.context_window + HORIZON, spec.episode_steps)
    explored = np.ones(len(contexts), bool)
    episodes = collect(agent, contexts, np.repeat("train", len(contexts)), config.seed, explored, steps)
    return episodes.subset(np.array([episodes.length.argmax()]))


def _draw(agent: Agent, episode: Episodes, records: np.ndarray, dreamed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Records (T,) of an episode and the dream (T, O) of them, drawn by the same hand or as the agent sees them."""
    from dali.video import enlarge

    spec, context = agent.spec, episode.context[0]
    observer = observer_of(agent)
    if observer.pictures:
        states = recorded_states(catalogue.make(spec.name, 1), episode, 0, records[-1] + 1)[0, records]
        real = draw_frames(spec, states, np.tile(context, (len(states), 1)))
        imagined = observer.dreamed(dreamed[None])[0].reshape(-1, *SHAPE)
        return enlarge(real, SIZE), enlarge(imagined, SIZE)
    simulator = catalogue.simulator_class(spec.name)
    real, imagined = (
        np.stack([simulator.draw(state, context, SIZE) for state in simulator.states_from_observations(obs)])
        for obs in (episode.obs[0, records], dreamed)
    )
    return real, imagined


def encode(real: np.ndarray, imagined: np.ndarray, physics: str, watched: str) -> bytes:
    """The GIF of two panes (T, SIZE, SIZE, 3), the real one on the left."""
    from dali.video import caption, encode_gif, tile

    return encode_gif(tile([caption(real, "Real", physics), caption(imagined, "Dream", watched)]), FPS, COLOURS)
