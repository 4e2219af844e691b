"""A record of time: what N copies of an environment went through, and the one loop that makes it.

Record t is what is there before action t, which leads to record t + 1 and to reward t. So T steps have T + 1 records.

Shapes: N copies, T steps, V observation of the simulator, A action, S simulator state, F context features.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dali.envs.base import Simulator, Step

# Actions (N, A) at a step, of observations (N, V) and whether each copy's record is new (N,), not one that has ended.
Policy = Callable[[int, np.ndarray, np.ndarray], np.ndarray]


class World(Protocol):
    """N copies of what can be stepped: a simulator, or a dream of it."""

    num: int

    def step(self, action: np.ndarray) -> Step:
        """One step under actions (N, A)."""


@dataclass(frozen=True)
class Trajectory:
    """T steps of N copies. A copy that has ended stays at its last record, with rewards of 0."""

    obs: np.ndarray  # (N, T + 1, V) float32
    action: np.ndarray  # (N, T, A)
    reward: np.ndarray  # (N, T) float32
    state: np.ndarray  # (N, T + 1, S) float64; S is 0 where states were not kept
    length: np.ndarray  # (N,) steps before the episode ended


def previous_actions(action: np.ndarray) -> np.ndarray:
    """(N, T + 1, A): a_{t-1} at index t of actions (N, T, A), zero before an episode's first record."""
    return np.concatenate([np.zeros_like(action[:, :1]), action], 1)


def alive(length: np.ndarray, steps: int) -> np.ndarray:
    """(N, T + 1) bool: records that are not padding, of episodes of lengths (N,) kept for T steps."""
    return np.arange(steps + 1) <= length[:, None]


def taking(action: np.ndarray) -> Policy:
    """Takes actions (N, T, A) whatever is observed."""
    return lambda t, _, __: action[:, t]


def turning(action: np.ndarray, turn: Callable[[int], None]) -> Policy:
    """As ``taking``, with what ``turn`` changes in the world before each step."""

    def policy(t: int, obs: np.ndarray, new: np.ndarray) -> np.ndarray:
        turn(t)
        return action[:, t]

    return policy


def rollout(
    world: World,
    obs: np.ndarray,
    policy: Policy,
    steps: int,
    ends: bool = True,
    get_state: Callable[[], np.ndarray] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectory:
    """Goes on from where a world stands until all copies have ended, for at most T steps.

    Args:
        obs: (N, V) what it shows there.
        ends: False goes on past the end of the task, by the same equations.
        get_state: tells the states (N, S) of a simulator, of which each record keeps its own; none are kept where None.
        progress: told after each step how many are done, and of how many.
    """
    num = world.num

    def state() -> np.ndarray:
        return np.zeros((num, 0)) if get_state is None else get_state()

    observed, reached, actions, rewards = [obs], [state()], [], []
    length, new, running = np.full(num, steps), np.ones(num, bool), np.ones(num, bool)
    for t in range(steps):
        actions.append(policy(t, obs, new))
        step = world.step(actions[-1])
        obs = np.where(running[:, None], step.observation, obs)
        observed.append(obs)
        reached.append(np.where(running[:, None], state(), reached[-1]))
        rewards.append(step.reward * running)
        new = running
        if ends:
            length[running & step.terminated] = t + 1
            running = running & ~step.terminated
        if progress is not None:
            progress(t + 1, steps)
        if not running.any():
            break
    return Trajectory(
        obs=np.stack(observed, 1),
        action=np.stack(actions, 1),
        reward=np.stack(rewards, 1),
        state=np.stack(reached, 1),
        length=np.minimum(length, len(actions)),
    )


def replay_actions(
    simulator: Simulator, state: np.ndarray, contexts: np.ndarray, actions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The real counterfactual: the same states and actions under other physics, past the end of a task too.

    Args:
        simulator: of N copies. state: (N, S). contexts: (N, F). actions: (N, H, A).

    Returns:
        Observations (N, H + 1, V) and states (N, H + 1, S), the start included.
    """
    simulator.set_context(contexts)
    obs = simulator.set_state(state)
    if not actions.shape[1]:
        return obs[:, None], state[:, None]
    run = rollout(simulator, obs, taking(actions), actions.shape[1], ends=False, get_state=simulator.get_state)
    return run.obs, np.concatenate([state[:, None], run.state[:, 1:]], 1)
