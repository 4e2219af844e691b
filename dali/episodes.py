"""Real episodes of an agent, with the codes it infers on the way.

Shapes: E episodes, T steps, V observation of the simulator, O observation of the agent, A action, F context features, S
simulator state, Z code. Pictures are never kept: they are drawn from the states where they are wanted.
Episodes are kept at full length T + 1 (records 0..T); those that ended early are padded with their last record.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch

from dali.envs import catalogue
from dali.envs.base import Simulator
from dali.envs.contexts import check_held_out, held_out_contexts, sample_contexts
from dali.envs.frames import shown
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
        return np.arange(self.obs.shape[1]) <= self.length[:, None]

    def prev_action(self, begin: int, end: int) -> np.ndarray:
        """(E, end - begin, A): the actions that led to records begin to end - 1, as ``previous_actions`` gives them."""
        return previous_actions(self.action)[:, begin:end]


def previous_actions(action: np.ndarray) -> np.ndarray:
    """(E, T + 1, A): a_{t-1} at index t of actions (E, T, A), zero before an episode's first record."""
    return np.concatenate([np.zeros_like(action[:, :1]), action], 1)


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
    sees = agent.config.model.observation
    noise = exploratory_actions(rng, num, steps, spec.action_dim, spec.discrete)
    generator = torch.Generator().manual_seed(seed)
    scaled = torch.from_numpy(spec.scale_context(contexts))
    memory, first = agent.initial(num, frozen=True), torch.ones(num, dtype=torch.bool)
    acts = not explored.all()  # what the agent would have done is asked where it does something
    view = agent.view(shown(sees, simulator, obs), first, torch.zeros(num, agent.obs_dim))
    views, observations, states, actions, rewards = [view], [obs], [simulator.get_state()], [], []
    length = np.full(num, steps)
    running = np.ones(num, bool)
    for t in range(steps):
        action = noise[:, t]
        if acts:
            chosen, memory, _ = agent.act(view, first, memory, scaled, generator)
            action = np.where(explored[:, None], action, chosen.numpy())
            memory = agent.took(memory, memory.latent, torch.from_numpy(action))
        first = torch.zeros(num, dtype=torch.bool)
        step = simulator.step(action)
        # What has ended stays at its last record.
        obs = np.where(running[:, None], step.observation, obs)
        seen = agent.view(shown(sees, simulator, step.observation), first, view)
        view = torch.where(torch.from_numpy(running)[:, None], seen, view)
        views.append(view)
        states.append(np.where(running[:, None], simulator.get_state(), states[-1]))
        observations.append(obs)
        actions.append(action)
        rewards.append(step.reward * running)
        ended = running & step.terminated
        length[ended] = t + 1
        running &= ~step.terminated
        if progress is not None:
            progress(t + 1, steps)
        if not running.any():
            break
    action_taken = np.stack(actions, 1)
    _, group = np.unique(contexts, axis=0, return_inverse=True)
    return Episodes(
        obs=np.stack(observations, 1),
        action=action_taken,
        reward=np.stack(rewards, 1),
        anchor=np.stack(states[::ANCHOR], 1),
        code=infer_codes(agent, torch.stack(views, 1).numpy(), action_taken).astype(np.float16).astype(np.float32),
        length=np.minimum(length, len(actions)),
        context=contexts,
        group=group.reshape(-1),
        regime=regime,
        explored=explored,
    )


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


def replay_actions(
    simulator: Simulator, state: np.ndarray, contexts: np.ndarray, actions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The real counterfactual: the same states and actions under other physics.

    Args:
        simulator: of N copies. state: (N, S). contexts: (N, F). actions: (N, H, A).

    Returns:
        Observations (N, H + 1, V) and states (N, H + 1, S), the start included.
    """
    simulator.set_context(contexts)
    observations, states = [simulator.set_state(state)], [state]
    for t in range(actions.shape[1]):
        observations.append(simulator.step(actions[:, t]).observation)
        states.append(simulator.get_state())
    return np.stack(observations, 1), np.stack(states, 1)
