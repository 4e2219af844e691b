"""Whole episodes of an agent under given physics: the returns that generalisation is judged by.

The agent acts by its modes (latent state and action), so that an episode depends on the weights, the context and the
start state alone. Episodes are played in batches, yet each gives the bits that it would give alone: the networks see
always BATCH rows (unused ones are blank) on one thread. With another number of rows, or of threads, matrix products
and vectorised functions round differently, and a policy that takes modes can amplify the last bit to another return.

Shapes: M contexts, E episodes a context, N episodes played together, F context features.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from dali.config import Observation
from dali.envs import catalogue
from dali.envs.contexts import Regime
from dali.envs.frames import shown
from dali.envs.spec import EnvSpec
from dali.errors import DaliError
from dali.model.agent import Agent

BATCH = 64  # rows of every network call, hence episodes played together
RANDOM_STREAM = 1  # parts the actions of the random policy from the start state of the same seed


@dataclass(frozen=True)
class Evaluation:
    """Returns of an agent and of the random policy from the same start states. NaN: an episode not played."""

    contexts: np.ndarray  # (M, F) true physics, in the catalogue's units
    regimes: list[Regime]  # M
    grids: list[str]  # M, the features varied
    seed: int
    returns: np.ndarray  # (M, E) undiscounted sum of rewards
    lengths: np.ndarray  # (M, E) steps; 0: not played
    random_returns: np.ndarray  # (M, E)

    @property
    def seeds(self) -> np.ndarray:
        """(M, E) seed of each episode's start state."""
        return episode_seeds(self.contexts, self.returns.shape[1], self.seed)

    def mean_returns(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean returns (M,) of the agent and of the random policy; NaN for a context never played."""
        played = ~np.isnan(self.returns)
        count = np.where(played.any(1), played.sum(1), np.nan)
        return np.nansum(self.returns, 1) / count, np.nansum(self.random_returns, 1) / count


def evaluate(
    agent: Agent,
    contexts: np.ndarray,
    regimes: list[Regime],
    grids: list[str],
    episodes: int,
    seed: int,
    known: Evaluation | None = None,
    on_batch: Callable[[Evaluation, int, int], None] | None = None,
) -> Evaluation:
    """Plays ``episodes`` episodes of the agent, and of the random policy, in each context (M, F).

    Methods with given context get the true one; all others act on observations alone.

    Args:
        regimes, grids: labels of the M contexts.
        known: episodes played before by the same weights; they are kept and not played again.
        on_batch: called after each batch with the evaluation so far, episodes done and episodes to do.

    Raises:
        DaliError: fewer than one episode, or known ones of another seed.
    """
    evaluation, todo = _plan(contexts, regimes, grids, episodes, seed, known)
    seeds = evaluation.seeds
    for first in range(0, len(todo), BATCH):
        rows, columns = todo[first : first + BATCH].T
        physics, starts = evaluation.contexts[rows], seeds[rows, columns]
        evaluation.returns[rows, columns], evaluation.lengths[rows, columns] = play(agent, physics, starts)
        evaluation.random_returns[rows, columns], _ = play_random(agent.spec, physics, starts)
        if on_batch:
            on_batch(evaluation, min(first + BATCH, len(todo)), len(todo))
    return evaluation


def return_at_default(agent: Agent, episodes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns (E,) of the agent and of the random policy under the default physics."""
    default = agent.spec.default_context[None]
    result = evaluate(agent, default, ["interpolation"], ["default"], episodes, seed)
    return result.returns[0], result.random_returns[0]


def episode_seeds(contexts: np.ndarray, episodes: int, seed: int) -> np.ndarray:
    """(M, E) int64 seeds, each of its context's values, its number and ``seed`` alone, whatever else is evaluated."""
    out = np.empty((len(contexts), episodes), np.int64)
    for row, context in enumerate(np.asarray(contexts, np.float64)):
        key = hashlib.sha256(f"{seed}:".encode() + (context + 0.0).tobytes()).digest()
        out[row] = np.random.default_rng(int.from_bytes(key[:16], "little")).integers(0, 2**31, episodes)
    return out


def play(agent: Agent, contexts: np.ndarray, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One episode of the agent in each of N contexts (N, F), from the start states of N seeds.

    Returns:
        Returns (N,) and lengths (N,), each the same whatever is played beside it.
    """
    parts = [_play_batch(agent, contexts[i : i + BATCH], seeds[i : i + BATCH]) for i in range(0, len(contexts), BATCH)]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def play_random(spec: EnvSpec, contexts: np.ndarray, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As ``play``, by a policy that draws every action uniformly."""
    steps, actions = spec.episode_steps, spec.action_dim
    drawn = np.empty((len(seeds), steps, actions), np.float32)
    for lane, seed in enumerate(seeds):
        rng = np.random.default_rng((RANDOM_STREAM, int(seed)))
        if spec.discrete:
            drawn[lane] = np.eye(actions, dtype=np.float32)[rng.integers(0, actions, steps)]
        else:
            drawn[lane] = rng.uniform(-1.0, 1.0, (steps, actions))
    return play_actions(spec, contexts, seeds, lambda t, obs: drawn[:, t])


def play_actions(
    spec: EnvSpec,
    contexts: np.ndarray,
    seeds: np.ndarray,
    choose: Callable[[int, np.ndarray], np.ndarray],
    observation: Observation = "vector",
) -> tuple[np.ndarray, np.ndarray]:
    """As ``play``, by actions (N, A) that ``choose`` finds for step t and observations (N, O), or pictures."""
    num = len(contexts)
    simulator = catalogue.make(spec.name, num)
    obs = simulator.reset(seeds, contexts)
    total, length, running = np.zeros(num), np.zeros(num, np.int64), np.ones(num, bool)
    for t in range(spec.episode_steps):
        step = simulator.step(choose(t, shown(observation, simulator, obs)))
        total += step.reward * running
        length += running
        running &= ~step.terminated
        if not running.any():
            break
        obs = step.observation
    return total, length


def _play_batch(agent: Agent, contexts: np.ndarray, seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    num = len(contexts)
    seen = torch.zeros(BATCH, agent.obs_dim, device=agent.device)
    scaled = torch.zeros(BATCH, agent.spec.context_dim, device=agent.device)
    scaled[:num] = torch.from_numpy(agent.spec.scale_context(contexts))
    memory = agent.initial(BATCH, frozen=True)

    def choose(t: int, obs: np.ndarray) -> np.ndarray:
        nonlocal memory, seen
        padded = np.zeros((BATCH, *obs.shape[1:]), obs.dtype)
        padded[:num] = obs
        first = torch.full((BATCH,), t == 0, device=agent.device)
        seen = agent.view(padded, first, seen)
        action, memory, _ = agent.act(seen, first, memory, scaled, None)
        return action[:num].cpu().numpy()

    with _one_thread():
        return play_actions(agent.spec, contexts, seeds, choose, agent.config.model.observation)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _plan(
    contexts: np.ndarray, regimes: list[Regime], grids: list[str], episodes: int, seed: int, known: Evaluation | None
) -> tuple[Evaluation, np.ndarray]:
    """An evaluation that holds what is known and room for the rest, and the (row, episode) pairs (P, 2) to play."""
    if episodes < 1:
        raise DaliError(f"Episodes a context: found {episodes}; expected at least 1.")
    contexts = np.asarray(contexts, np.float64)
    if known is None:
        known = Evaluation(contexts[:0], [], [], seed, *(np.empty((0, episodes)) for _ in range(3)))
    if known.seed != seed:
        raise DaliError(f"The episodes played before have seed {known.seed}; expected {seed}.")
    rows = {tuple(c): i for i, c in enumerate(known.contexts.tolist())}
    new = [i for i, c in enumerate(contexts.tolist()) if tuple(c) not in rows]
    rows |= {tuple(contexts[i].tolist()): len(rows) + k for k, i in enumerate(new)}
    size = len(rows), max(episodes, known.returns.shape[1])

    def room(values: np.ndarray, blank: float, dtype: type) -> np.ndarray:
        out = np.full(size, blank, dtype)
        out[: values.shape[0], : values.shape[1]] = values
        return out

    plan = replace(
        known,
        contexts=np.concatenate([known.contexts, contexts[new]]),
        regimes=[*known.regimes, *(regimes[i] for i in new)],
        grids=[*known.grids, *(grids[i] for i in new)],
        returns=room(known.returns, np.nan, np.float64),
        lengths=room(known.lengths, 0, np.int64),
        random_returns=room(known.random_returns, np.nan, np.float64),
    )
    wanted = np.zeros(size, bool)
    wanted[[rows[tuple(c)] for c in contexts.tolist()], :episodes] = True
    return plan, np.argwhere(wanted & np.isnan(plan.returns))
