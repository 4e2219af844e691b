"""Real episodes of an agent, with the codes it infers on the way.

Shapes: E episodes, T steps, V observation of the simulator, O observation of the agent, A action, F context features, S
simulator state, Z code. Pictures are never kept: they are drawn from the states where they are wanted.
Episodes are kept at full length T + 1 (records 0..T); those that ended early are padded with their last record.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from dali.envs import catalogue
from dali.envs.base import Simulator
from dali.envs.contexts import check_held_out, held_out_contexts, sample_contexts
from dali.envs.frames import shown
from dali.envs.trajectory import Trajectory, alive, previous_actions, replay_actions, rollout
from dali.model.agent import Agent

STEPS = 200  # of an episode that are kept; enough for every window, and it bounds the file
ANCHOR = 25  # records between the simulator's states that are kept; it makes those between anew, bit for bit
NOISE_MEMORY = 0.9


@dataclass(frozen=True)
class Episodes:
    """Real episodes under known physics."""

    obs: np.ndarray  # (E, T + 1, V) float32, the simulator's; an agent of vectors observes the same
    action: np.ndarray  # (E, T, A) float32
    reward: np.ndarray  # (E, T) float32
    anchor: np.ndarray  # (E, T // ANCHOR + 1, S) float64, the simulator's state at every ANCHOR-th record
    code: np.ndarray  # (E, T + 1, Z) float32 of half precision, as files keep it; Z is 0 for methods that infer none
    length: np.ndarray  # (E,) steps before the episode ended
    context: np.ndarray  # (E, F) true physics, in the catalogue's units
    group: np.ndarray  # (E,) context id
    regime: np.ndarray  # (E,) "train", "interpolation", "extrapolation" or "mixed"
    explored: np.ndarray  # (E,) bool: acted by smooth noise, not by the policy

    def subset(self, where: np.ndarray) -> "Episodes":
        """Episodes at an index or mask (E,)."""
        return Episodes(**{f.name: getattr(self, f.name)[where] for f in fields(self)})

    def alive(self) -> np.ndarray:
        """(E, T + 1) bool: records that are not padding."""
        return alive(self.length, self.action.shape[1])

    def prev_action(self, begin: int, end: int) -> np.ndarray:
        """(E, end - begin, A): the actions that led to records begin to end - 1, as ``previous_actions`` gives them."""
        return previous_actions(self.action)[:, begin:end]


def exploratory_actions(rng: np.random.Generator, num: int, steps: int, actions: int, discrete: bool) -> np.ndarray:
    """(num, steps, A) smooth noise, as in training: an autoregressive walk, or choices kept for a while."""
    if discrete:
        kept = rng.random((num, steps)) < NOISE_MEMORY
        kept[:, 0] = False
        choices = rng.integers(0, actions, (num, steps))
        source = np.maximum.accumulate(np.where(kept, 0, np.arange(steps)), axis=1)
        return np.eye(actions, dtype=np.float32)[np.take_along_axis(choices, source, 1)]
    drawn = rng.standard_normal((num, steps, actions))
    out, value = np.empty_like(drawn), drawn[:, 0]
    for t in range(steps):
        value = NOISE_MEMORY * value + np.sqrt(1 - NOISE_MEMORY**2) * drawn[:, t] if t else value
        out[:, t] = value
    return out.clip(-1.0, 1.0).astype(np.float32)


def collect(
    agent: Agent,
    contexts: np.ndarray,
    regime: np.ndarray,
    seed: int,
    explored: np.ndarray,
    steps: int,
    progress: Callable[[int, int], None] | None = None,
) -> Episodes:
    """Runs one episode per context (E, F), all together.

    Args:
        regime: (E,) names. explored: (E,) bool, acted by noise instead of the agent's sampled policy.
        steps: at most this many of each episode.
        progress: told after each step how many are done, and of how many.
    """
    spec = agent.spec
    rng = np.random.default_rng(seed)
    num = len(contexts)
    simulator = catalogue.make(spec.name, num)
    obs = simulator.reset(rng.integers(0, 2**31, num), contexts)
    noise = exploratory_actions(rng, num, steps, spec.action_dim, spec.discrete)
    actor = _Actor(agent, simulator, noise, explored, torch.Generator().manual_seed(seed))
    run = rollout(simulator, obs, actor, steps, get_state=simulator.get_state, progress=progress)
    views = actor.views_with_last(run)
    _, group = np.unique(contexts, axis=0, return_inverse=True)
    return Episodes(
        obs=run.obs,
        action=run.action,
        reward=run.reward,
        anchor=run.state[:, ::ANCHOR],
        code=infer_codes(agent, views, run.action).astype(np.float16).astype(np.float32),
        length=run.length,
        context=contexts,
        group=group.reshape(-1),
        regime=regime,
        explored=explored,
    )


class _Actor:
    """Acts in N episodes by noise (N, T, A) where they explore (N,), else by the agent's sampled policy."""

    def __init__(
        self, agent: Agent, simulator: Simulator, noise: np.ndarray, explored: np.ndarray, generator: torch.Generator
    ):
        self._agent, self._simulator, self._noise, self._explored = agent, simulator, noise, explored
        self._generator, self._scaled = generator, torch.from_numpy(agent.spec.scale_context(simulator.contexts))
        self._memory = agent.initial(simulator.num, frozen=True)
        self._views = [torch.zeros(simulator.num, agent.obs_dim)]

    def __call__(self, t: int, obs: np.ndarray, new: np.ndarray) -> np.ndarray:
        view, first = self._see(obs, new), torch.full((len(obs),), t == 0)
        action = self._noise[:, t]
        if not self._explored.all():  # what the agent would do is asked where it does something
            chosen, memory, _ = self._agent.act(view, first, self._memory, self._scaled, self._generator)
            action = np.where(self._explored[:, None], action, chosen.numpy())
            self._memory = replace(memory, action=torch.from_numpy(action))
        return action

    def views_with_last(self, run: Trajectory) -> np.ndarray:
        """(N, T + 1, O) what the agent observed, the record that the last action led to included."""
        self._see(run.obs[:, -1], alive(run.length, run.action.shape[1])[:, -1])
        return torch.stack(self._views[1:], 1).numpy()

    def _see(self, obs: np.ndarray, new: np.ndarray) -> torch.Tensor:
        before = self._views[-1]
        first = torch.full((len(obs),), len(self._views) == 1)
        seen = self._agent.view(shown(self._agent.config.model.observation, self._simulator, obs), first, before)
        self._views.append(torch.where(torch.from_numpy(new)[:, None], seen, before))
        return self._views[-1]


@torch.inference_mode()
def infer_codes(agent: Agent, obs: np.ndarray, action: np.ndarray) -> np.ndarray:
    """z (E, T + 1, Z) at every record of what the agent observed (E, T + 1, O) under actions (E, T, A)."""
    if not agent.method.infers_context:
        return np.zeros((*obs.shape[:2], 0), np.float32)
    previous = previous_actions(action)
    first = torch.zeros(obs.shape[:2], dtype=torch.bool)
    first[:, 0] = True
    codes = [  # a few episodes at a time: attention scores of all of them at once would take gigabytes
        agent.world_model.codes(
            torch.from_numpy(obs[i : i + 32]), torch.from_numpy(previous[i : i + 32]), first[i : i + 32]
        )
        for i in range(0, len(obs), 32)
    ]
    return torch.cat(codes).numpy()


def collect_standard(
    agent: Agent, seed: int = 0, contexts: int = 100, progress: Callable[[int, int], None] | None = None
) -> Episodes:
    """The dataset that figures are made from: every context twice, by the policy and by exploratory noise.

    ``contexts`` training contexts, as many held-out ones inside the train range, and half as many outside it.
    ``progress`` as in ``collect``.
    """
    spec = agent.spec
    train = sample_contexts(spec, agent.config.train.contexts, agent.config.seed)[:contexts]
    inside = held_out_contexts(spec, contexts, seed, "interpolation")
    outside = held_out_contexts(spec, contexts // 2, seed, "extrapolation")
    for held_out in (inside, outside):
        check_held_out(spec, held_out, train)
    values = np.concatenate([train, inside, outside])
    regime = np.repeat(["train", "interpolation", "extrapolation"], [len(train), len(inside), len(outside)])
    explored = np.repeat([False, True], len(values))
    steps = min(STEPS, spec.episode_steps)
    return collect(agent, np.tile(values, (2, 1)), np.tile(regime, 2), seed, explored, steps, progress)


def collect_exploration(agent: Agent, repeats: int, seed: int) -> Episodes:
    """Exploratory episodes under every training context, ``repeats`` of each."""
    contexts = np.tile(sample_contexts(agent.spec, agent.config.train.contexts, agent.config.seed), (repeats, 1))
    everywhere = np.ones(len(contexts), bool)
    steps = min(STEPS, agent.spec.episode_steps)
    return collect(agent, contexts, np.repeat("train", len(contexts)), seed, everywhere, steps)


def recorded_states(simulator: Simulator, episodes: Episodes, begin: int, end: int) -> np.ndarray:
    """(E, end - begin, S): the simulator's states at records begin to end - 1, made anew from the anchors.

    Args:
        simulator: of E copies.
    """
    from_record = begin // ANCHOR * ANCHOR
    actions = episodes.action[:, from_record : end - 1]
    _, made = replay_actions(simulator, episodes.anchor[:, begin // ANCHOR], episodes.context, actions)
    # What has ended stays at its last record.
    records = np.minimum(np.arange(begin, end), np.maximum(episodes.length, from_record)[:, None])
    return np.take_along_axis(made, (records - from_record)[..., None], 1)
