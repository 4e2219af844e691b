"""Which physics a policy reacts to, and what it would lose without knowing it.

Two measurements on the model card's held-out contexts, by the modes of latents and actions:

- sensitivity: at a state, the action under the context found is held against the action under a context moved by what a
  quarter of one feature's train range moves it, and by moves of the same length in random directions. What is
  remembered is the same; the context alone differs, for one step. A policy that reacts to a feature moves its action
  more than random directions do.
- return lost: the same episodes are played with the context frozen at its mean over all episodes, with that of an
  episode of other physics at the same step (shuffled), and with its own of n steps ago (delayed; before step n, that of
  the first step). For methods whose context is given, which is constant, nothing can be delayed.

Shapes: M contexts, N episodes, F context features, X context as the networks read it, A action, K probed steps.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dali.envs.contexts import check_held_out, sample_contexts
from dali.envs.spec import EnvSpec
from dali.errors import DaliError
from dali.model.agent import Agent
from dali.returns.estimators import Estimate, aggregate
from dali.returns.play import BATCH, Actor, ContextHook, episode_seeds, play
from dali.returns.reference import card_contexts, load_references

SHARE = 0.25  # of a feature's train range, by which it is moved
FIRST_STATE = 32  # step from which states are probed; a code has seen enough by then
STATES = 16  # probed of an episode, evenly spaced
DIRECTIONS = 4  # random ones a state and feature
DELAYS = (5, 25)  # steps

# Moves (N, X) of the context as the networks read it, when the physics goes from (N, F) to (N, F), both in units.
Moves = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Sensitivity:
    """How far actions move with one feature, averaged over states, with 95 % intervals over contexts.

    Attributes:
        action: Euclidean length of the change of the action, whose every entry lies in [-1, 1]; of a discrete action,
            the share of states in which another is chosen. random: the same for random moves as long.
        length: mean length of the moves, in the units that the networks read.
    """

    feature: str
    action: Estimate
    random: Estimate
    length: float


@dataclass(frozen=True)
class ReturnLost:
    """Mean return lost by a change of the context, with 95 % intervals over contexts.

    Attributes:
        change: "frozen", "shuffled" or "delayed by n". lost: in returns. normalised: in units of the way from the
            random policy to the reference; None where no references ship.
    """

    change: str
    lost: Estimate
    normalised: Estimate | None


@dataclass(frozen=True)
class Reaction:
    """Both measurements of one agent."""

    features: tuple[Sensitivity, ...]
    lost: tuple[ReturnLost, ...]
    contexts: int
    episodes: int  # of each context
    states: int  # probed in all
    seed: int


def given_moves(spec: EnvSpec) -> Moves:
    """The moves of a method that is given the true physics: exact."""
    return lambda c_from, c_to: spec.scale_context(c_to) - spec.scale_context(c_from)


def measure_reaction(agent: Agent, moves: Moves, episodes: int = 3, seed: int = 0) -> Reaction:
    """Plays the episodes and their variants.

    Args:
        moves: ``given_moves``, or those of a code map where the context is inferred.
        episodes: of each context. seed: of start states and random directions.

    Raises:
        DaliError: the method has no context, fewer than one episode, or a context that was trained on.
    """
    spec = agent.spec
    if agent.method.source == "none":
        raise DaliError(f"{agent.method.title} has no context, so its policy cannot react to one.")
    if episodes < 1:
        raise DaliError(f"Episodes a context: found {episodes}; expected at least 1.")
    grid = card_contexts(spec)
    check_held_out(spec, grid, sample_contexts(spec, agent.config.train.contexts, agent.config.seed))
    physics, starts = grid.repeat(episodes, 0), episode_seeds(grid, episodes, seed).ravel()
    rng = np.random.default_rng(seed)
    probes = [_Probe(agent, physics[i : i + BATCH], moves, rng) for i in range(0, len(physics), BATCH)]
    base = np.concatenate([p.play(starts[i * BATCH : (i + 1) * BATCH]) for i, p in enumerate(probes)])
    changed, random = (np.concatenate([getattr(p, name) for p in probes], 1) for name in ("changed", "random"))
    length = np.concatenate([p.length for p in probes], 1)
    seen = ~np.isnan(changed[..., 0])  # (K, N)

    lost = []
    for name, hook in _variants(agent, _recorded(probes), episodes, rng):
        less = base - play(agent, physics, starts, hook=hook).returns
        lost.append(_return_lost(spec, grid, name, less.reshape(len(grid), episodes).mean(1)))
    return Reaction(
        features=tuple(
            Sensitivity(
                feature=feature.name,
                action=_by_context(changed[..., i], episodes),
                random=_by_context(random[..., i], episodes),
                length=float(np.nanmean(length[..., i])),
            )
            for i, feature in enumerate(spec.features)
        ),
        lost=tuple(lost),
        contexts=len(grid),
        episodes=episodes,
        states=int(seen.sum()),
        seed=seed,
    )


class _Probe:
    """Plays up to BATCH episodes as they are, records their contexts and tries moved ones on the way.

    Attributes:
        contexts: (T, N, X) as read. lengths: (N,). changed, random, length: (K, N, F); NaN after an episode's end.
    """

    def __init__(self, agent: Agent, physics: np.ndarray, moves: Moves, rng: np.random.Generator):
        self._agent, self._rng = agent, rng
        self._actor = Actor(agent, physics, hook=self._record)
        self._moves = [moves(physics, moved_physics(agent.spec, physics, i)) for i in range(physics.shape[1])]
        last = agent.spec.episode_steps - 1
        self._steps = np.unique(np.linspace(min(FIRST_STATE, last), last, STATES).astype(int))
        self._read: list[Tensor] = []
        self.changed = np.full((len(self._steps), *physics.shape), np.nan)
        self.random, self.length = self.changed.copy(), self.changed.copy()

    def play(self, starts: np.ndarray) -> np.ndarray:
        """Returns (N,)."""
        played = self._actor.play(starts, self._watch)
        ended = self._steps[:, None] >= played.lengths
        for table in (self.changed, self.random, self.length):
            table[ended] = np.nan
        self.contexts, self.lengths = torch.stack(self._read), played.lengths
        return played.returns

    def _record(self, t: int, context: Tensor) -> Tensor:
        self._read.append(context.clone())
        return context

    def _watch(self, t: int) -> None:
        if t not in self._steps:
            return
        row, usual = int(np.searchsorted(self._steps, t)), self._actor.action_under(lambda context: context)
        for i, move in enumerate(self._moves):
            length = np.linalg.norm(move, axis=1, keepdims=True)
            self.length[row, :, i] = length[:, 0]
            self.changed[row, :, i] = self._apart(usual, move)
            directions = self._rng.standard_normal((DIRECTIONS, *move.shape))
            directions *= length / np.linalg.norm(directions, axis=-1, keepdims=True)
            self.random[row, :, i] = np.mean([self._apart(usual, d) for d in directions], 0)

    def _apart(self, usual: np.ndarray, move: np.ndarray) -> np.ndarray:
        """(N,) how far the action under the moved context is from the usual one."""
        by = torch.from_numpy(np.asarray(move, np.float32)).to(self._agent.device)
        difference = self._actor.action_under(lambda context: context + by) - usual
        if self._agent.spec.discrete:
            return 0.5 * np.abs(difference).sum(1)
        return np.linalg.norm(difference, axis=1)


def moved_physics(spec: EnvSpec, physics: np.ndarray, feature: int) -> np.ndarray:
    """Contexts (N, F) with one feature a quarter of its train range on, towards the end that is farther away."""
    low, high = spec.features[feature].train
    moved = physics.copy()
    moved[:, feature] += np.where(physics[:, feature] < (low + high) / 2, 1.0, -1.0) * SHARE * (high - low)
    return moved


def _recorded(probes: list[_Probe]) -> Tensor:
    """(T, N, X) contexts of all episodes; what has ended keeps its last."""
    steps = max(len(p.contexts) for p in probes)
    kept = []
    for p in probes:
        last = torch.minimum(torch.arange(steps)[:, None], torch.from_numpy(p.lengths - 1))  # (T, N)
        kept.append(p.contexts[last, torch.arange(last.shape[1])])
    return torch.cat(kept, 1)


def _variants(agent: Agent, read: Tensor, episodes: int, rng: np.random.Generator) -> list[tuple[str, ContextHook]]:
    """Changes of the context by name, from the contexts (T, N, X) that were read."""
    num = read.shape[1]
    mean = read[min(FIRST_STATE, len(read) - 1) :].mean((0, 1))
    donor = (np.arange(num) + episodes * int(rng.integers(1, num // episodes))) % num  # of other physics

    variants: list[tuple[str, ContextHook]] = [
        ("frozen", lambda t, where, context: mean.expand_as(context)),
        ("shuffled", lambda t, where, context: read[min(t, len(read) - 1), donor[where]]),
    ]
    if agent.method.infers_context:
        variants += [(f"delayed by {steps}", _delayed(steps)) for steps in DELAYS]
    return variants


def _delayed(steps: int) -> ContextHook:
    """The context of so many steps ago."""
    past: list[Tensor] = []

    def hook(t: int, where: slice, context: Tensor) -> Tensor:
        if t == 0:
            past.clear()
        past.append(context.clone())
        return past[max(0, t - steps)]

    return hook


def _return_lost(spec: EnvSpec, grid: np.ndarray, change: str, less: np.ndarray) -> ReturnLost:
    """The estimates of the return lost (M,) in each context."""
    references, normalised = load_references(spec.name), None
    if references is not None:
        low, high = references.at(grid)
        if not np.isnan(low).any():
            normalised = _over_contexts(less / (high - low))
    return ReturnLost(change, _over_contexts(less), normalised)


def _by_context(table: np.ndarray, episodes: int) -> Estimate:
    """The mean over contexts of a table (K, N), N in blocks of a context's episodes; one never seen is left out."""
    blocks = table.reshape(len(table), -1, episodes)
    seen = ~np.isnan(blocks)
    count = seen.sum((0, 2))
    means = np.where(seen, blocks, 0.0).sum((0, 2))[count > 0] / count[count > 0]
    if len(means) < 2:
        raise DaliError(f"Episodes ended before step {FIRST_STATE} in all but {len(means)} contexts; no state is left.")
    return _over_contexts(means)


def _over_contexts(values: np.ndarray) -> Estimate:
    return aggregate(values[None], ("mean",), "contexts")["mean"]
