"""Whole episodes of an agent under given physics: the returns that generalisation is judged by.

The agent acts by its modes (latent state and action), so that an episode depends on the weights, the context and the
start state alone. Episodes are played in batches, yet each gives the bits that it would give alone: the networks see
always BATCH rows (unused ones are blank) on one thread. With another number of rows, or of threads, matrix products
and vectorised functions round differently, and a policy that takes modes can amplify the last bit to another return.

Shapes: M contexts, E episodes a context, N episodes played together, F context features, A action, X context as the
networks read it.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from dali.config import Observation
from dali.envs import catalogue
from dali.envs.frames import shown
from dali.envs.spec import EnvSpec
from dali.envs.trajectory import rollout
from dali.errors import DaliError
from dali.model.agent import Agent, AgentState
from dali.returns.evaluation import EARLY, RESULTS, Evaluation, Memory

BATCH = 64  # rows of every network call, hence episodes played together
DECIMALS = 4  # that an evaluation keeps of a return, which is a sum of float32 rewards
RANDOM_STREAM = 1  # parts the actions of the random policy from the start state of the same seed

# Contexts (N, X) to act on in place of those found, for a step and a slice of the episodes.
ContextHook = Callable[[int, slice, Tensor], Tensor]


class Played(NamedTuple):
    """N episodes, each the same whatever is played beside it."""

    returns: np.ndarray  # (N,) undiscounted sum of rewards
    lengths: np.ndarray  # (N,) steps
    early: np.ndarray  # (N, 2) returns of the first EARLY steps


def evaluate(
    agent: Agent,
    asked: pd.DataFrame,
    seed: int,
    known: Evaluation | None = None,
    on_batch: Callable[[Evaluation, int, int], None] | None = None,
    memory: Memory = "kept",
) -> Evaluation:
    """Plays the episodes asked for, and those of the random policy from the same start states.

    Methods with given context get the true one; all others act on observations alone.

    Args:
        asked: as ``plan_episodes`` gives them.
        known: episodes played before by the same weights; they are kept and not played again.
        on_batch: called after each batch with the evaluation so far, episodes done and episodes to do.

    Raises:
        DaliError: known episodes of another seed or memory.
    """
    names = [f.name for f in agent.spec.features]
    if known is not None and (known.seed, known.memory) != (seed, memory):
        raise DaliError(
            f"The episodes played before have seed {known.seed} and memory {known.memory}; expected {seed}, {memory}."
        )
    before = [known.episodes] if known is not None else []
    table = pd.concat([*before, asked]).drop_duplicates([*names, "episode"]).reset_index(drop=True)
    # An episode's place in the file depends on what was asked for first, never on how it was split into batches.
    place = table.groupby(names, sort=False).ngroup()
    table = table.assign(place=place).sort_values(["place", "episode"], ignore_index=True).drop(columns="place")
    todo = table.index[table["return"].isna()]
    so_far = Evaluation(tuple(names), table, seed, memory)
    for first in range(0, len(todo), BATCH):
        rows = todo[first : first + BATCH]
        physics, starts = table.loc[rows, names].to_numpy(float), table.loc[rows, "start_seed"].to_numpy()
        ours, random = play(agent, physics, starts, memory), play_random(agent.spec, physics, starts)
        results = np.column_stack([ours.returns, ours.early, ours.lengths, random.returns])
        table.loc[rows, list(RESULTS)] = results.round(DECIMALS)
        so_far = Evaluation(tuple(names), table.dropna(subset="return", ignore_index=True), seed, memory)
        if on_batch:
            on_batch(so_far, min(first + BATCH, len(todo)), len(todo))
    return so_far


def plan_episodes(
    spec: EnvSpec, contexts: np.ndarray, regimes: Sequence[str], grids: Sequence[str], episodes: int, seed: int
) -> pd.DataFrame:
    """``episodes`` episodes in each of M contexts (M, F) with their labels; what playing tells is NaN.

    Raises:
        DaliError: fewer than one episode.
    """
    if episodes < 1:
        raise DaliError(f"Episodes a context: found {episodes}; expected at least 1.")
    contexts = np.asarray(contexts, np.float64)
    columns = {f.name: contexts[:, i].repeat(episodes) for i, f in enumerate(spec.features)}
    columns |= {"regime": np.repeat(regimes, episodes), "grid": np.repeat(grids, episodes)}
    columns |= {"episode": np.tile(np.arange(episodes), len(contexts))}
    columns |= {"start_seed": episode_seeds(contexts, episodes, seed).ravel()}
    return pd.DataFrame({**columns, **dict.fromkeys(RESULTS, np.nan)})


def episode_seeds(contexts: np.ndarray, episodes: int, seed: int) -> np.ndarray:
    """(M, E) int64 seeds, each of its context's values, its number and ``seed`` alone, whatever else is evaluated."""
    out = np.empty((len(contexts), episodes), np.int64)
    for row, context in enumerate(np.asarray(contexts, np.float64)):
        key = hashlib.sha256(f"{seed}:".encode() + (context + 0.0).tobytes()).digest()
        out[row] = np.random.default_rng(int.from_bytes(key[:16], "little")).integers(0, 2**31, episodes)
    return out


def play(
    agent: Agent,
    contexts: np.ndarray,
    seeds: np.ndarray,
    memory: Memory = "kept",
    hook: ContextHook = lambda t, where, context: context,
) -> Played:
    """One episode of the agent in each of N contexts (N, F), from the start states of N seeds.

    Args:
        hook: changes the context that the networks read.
    """
    parts = []
    for first in range(0, len(contexts), BATCH):
        where = slice(first, min(first + BATCH, len(contexts)))
        actor = Actor(agent, contexts[where], memory, _for_rows(hook, where))
        parts.append(actor.play(seeds[where]))
    return Played(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _for_rows(hook: ContextHook, where: slice) -> Callable[[int, Tensor], Tensor]:
    return lambda t, context: hook(t, where, context)


def play_random(spec: EnvSpec, contexts: np.ndarray, seeds: np.ndarray) -> Played:
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
) -> Played:
    """As ``play``, by actions (N, A) that ``choose`` finds for step t and observations (N, O), or pictures."""
    simulator = catalogue.make(spec.name, len(contexts))
    obs = simulator.reset(seeds, contexts)

    def policy(t: int, obs: np.ndarray, new: np.ndarray) -> np.ndarray:
        return choose(t, shown(observation, simulator, obs))

    run = rollout(simulator, obs, policy, spec.episode_steps)
    total = run.reward.astype(np.float64).cumsum(1)
    early = total[:, [min(steps, total.shape[1]) - 1 for steps in EARLY]]
    return Played(total[:, -1], run.length, early)


class Actor:
    """An agent in up to BATCH running episodes: the rows of a network call that are used, and what it remembers.

    Args:
        contexts: (N, F) true physics, which methods with given context read. hook: as for ``play``, of these episodes.
    """

    def __init__(
        self,
        agent: Agent,
        contexts: np.ndarray,
        memory: Memory = "kept",
        hook: Callable[[int, Tensor], Tensor] = lambda t, context: context,
    ):
        self._agent, self._contexts, self._memory, self._hook = agent, contexts, memory, hook
        self._num = len(contexts)
        self._seen = torch.zeros(BATCH, agent.obs_dim, device=agent.device)
        self._scaled = torch.zeros(BATCH, agent.spec.context_dim, device=agent.device)
        self._scaled[: self._num] = torch.from_numpy(agent.spec.scale_context(contexts))
        self._before = agent.initial(BATCH, frozen=True)
        self._first = torch.ones(BATCH, dtype=torch.bool, device=agent.device)

    def play(self, seeds: np.ndarray, watch: Callable[[int], None] = lambda t: None) -> Played:
        """The episodes from the start states of N seeds; ``watch`` is called before each step's action is taken."""

        def choose(t: int, obs: np.ndarray) -> np.ndarray:
            self._see(t, obs)
            watch(t)
            action, self._before = self._act(partial(self._hook, t))
            return action

        with _one_thread():
            return play_actions(self._agent.spec, self._contexts, seeds, choose, self._agent.config.model.observation)

    def action_under(self, change: Callable[[Tensor], Tensor]) -> np.ndarray:
        """(N, A) that would be taken at this step under other contexts (N, X); nothing is remembered of it."""
        return self._act(change)[0]

    def _see(self, t: int, obs: np.ndarray) -> None:
        padded = np.zeros((BATCH, *obs.shape[1:]), obs.dtype)
        padded[: self._num] = obs
        self._first = torch.full((BATCH,), t == 0, device=self._agent.device)
        self._seen = self._agent.view(padded, self._first, self._seen)

    def _act(self, change: Callable[[Tensor], Tensor]) -> tuple[np.ndarray, AgentState]:
        def used(context: Tensor) -> Tensor:
            return torch.cat([change(context[: self._num]), context[self._num :]])

        forget = self._memory == "none"
        action, after, _ = self._agent.act(self._seen, self._first, self._before, self._scaled, None, used, forget)
        return action[: self._num].cpu().numpy(), after


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
