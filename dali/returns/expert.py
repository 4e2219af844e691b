"""Plays the references of an environment: the random policy, and a pendulum's controller that knows the physics.

Shapes: E episodes a context, N episodes played together, F context features, U torques tried.
"""

import json
from collections.abc import Callable

import numpy as np

from dali.envs.contexts import evaluation_grid
from dali.envs.pendulum import GRAVITY, MASS, MAX_SPEED, MAX_TORQUE
from dali.envs.spec import EnvSpec
from dali.errors import DaliError
from dali.returns.play import episode_seeds, play_actions, play_random
from dali.returns.reference import References, card_contexts

BOUND = "largest possible return: one point a step"
CONTROLLER = "dynamic programming controller that knows the physics"
ANGLES, SPEEDS, TORQUES = 256, 161, 31  # grid of the controller's value function, and torques tried at each node
TORQUES_PLAYED = 201  # torques tried when it plays
PENDULUMS = ("pendulum", "pendulum_inverted_motor")


def compute_references(
    spec: EnvSpec, episodes: int, seed: int, on_context: Callable[[int, int], None] | None = None
) -> References:
    """References on the environment's whole grid and on the model card's contexts, from E episodes a context.

    Args:
        on_context: called with the contexts done and those to do.
    """
    if episodes < 1:
        raise DaliError(f"Episodes a context: found {episodes}; expected at least 1.")
    contexts = np.concatenate([evaluation_grid(spec, "paper")[0], card_contexts(spec)])
    seeds = episode_seeds(contexts, episodes, seed)
    random, expert = np.empty(len(contexts)), np.full(len(contexts), float(spec.episode_steps))
    for row, context in enumerate(contexts):
        physics = np.tile(context, (episodes, 1))
        random[row] = play_random(spec, physics, seeds[row])[0].mean()
        if spec.name in PENDULUMS:
            expert[row] = play_pendulum_expert(spec, context, seeds[row]).mean()
        if on_context:
            on_context(row + 1, len(contexts))
    return References(contexts, random, expert, CONTROLLER if spec.name in PENDULUMS else BOUND)


def render_references(references: References, spec: EnvSpec, episodes: int, seed: int) -> str:
    """JSON of them, with what made them; `load_references` reads it."""
    record = {
        "made_by": f"python -m dali reference {spec.name} --episodes {episodes} --seed {seed}",
        "features": [f"{f.name} ({f.unit})" for f in spec.features],
        "expert_kind": references.expert_kind,
        "contexts": references.contexts.tolist(),
        "random": references.random.round(3).tolist(),
        "expert": references.expert.round(3).tolist(),
    }
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in record.items())
    return f"{{\n{lines}\n}}\n"


def play_pendulum_expert(spec: EnvSpec, context: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Returns (N,) of the controller in one context (F,), in the simulator."""
    rod, motor = rod_and_motor(spec, context)
    max_torque = MAX_TORQUE * abs(motor)
    values = pendulum_values(rod, spec.timestep, spec.episode_steps, max_torque)

    def choose(t: int, obs: np.ndarray) -> np.ndarray:
        angle, speed = np.arctan2(obs[:, 1], obs[:, 0]).astype(float), obs[:, 2].astype(float)
        torque = torques_to_try(angle, speed, rod, spec.timestep, TORQUES_PLAYED, max_torque)
        total = lookahead(values[t + 1], angle, speed, torque, rod, spec.timestep)
        best = np.take_along_axis(torque, total.argmax(-1)[:, None], 1)
        return (best / (MAX_TORQUE * motor)).astype(np.float32)

    return play_actions(spec, np.tile(context, (len(seeds), 1)), seeds, choose)[0]


def rod_and_motor(spec: EnvSpec, context: np.ndarray) -> tuple[np.ndarray, float]:
    """Gravity and rod length (2,), and what an action's torque is multiplied by, in a context (F,) of PENDULUMS."""
    if spec.name == "pendulum":
        return context, 1.0
    motor, length = context
    return np.array([GRAVITY, length]), float(motor)


def pendulum_values(context: np.ndarray, timestep: float, steps: int, max_torque: float = MAX_TORQUE) -> np.ndarray:
    """Value functions (steps + 1, ANGLES, SPEEDS) by backward induction: row t has ``steps`` - t rewards to come.

    Bilinear between nodes; the angle is periodic from -π.

    Args:
        context: gravity and rod length (2,).
    """
    angle, speed = (a.ravel() for a in np.meshgrid(_angle_nodes(), _speed_nodes(), indexing="ij"))
    torque = torques_to_try(angle, speed, context, timestep, TORQUES, max_torque)
    reward, index, weight = _transition(angle, speed, torque, context, timestep)
    reward, weight = reward.astype(np.float32), weight.astype(np.float32)
    values = np.zeros((steps + 1, ANGLES * SPEEDS), np.float32)
    for t in reversed(range(steps)):
        following = values[t + 1]
        total = reward.copy()
        for corner in range(4):
            total += weight[corner] * following[index[corner]]
        values[t] = total.max(-1)
    return values.reshape(steps + 1, ANGLES, SPEEDS)


def lookahead(
    values: np.ndarray, angle: np.ndarray, speed: np.ndarray, torque: np.ndarray, context: np.ndarray, timestep: float
) -> np.ndarray:
    """(N, U) reward plus value (ANGLES, SPEEDS) of the state that each torque (N, U) leads to from states (N,)."""
    reward, index, weight = _transition(angle, speed, torque, context, timestep)
    return reward + (weight * values.ravel()[index]).sum(0)


def torques_to_try(
    angle: np.ndarray,
    speed: np.ndarray,
    context: np.ndarray,
    timestep: float,
    count: int,
    max_torque: float = MAX_TORQUE,
) -> np.ndarray:
    """(N, count + 2): an even spread, and the torques that stop the rod and that bring it upright in one step."""
    g, length = context
    drift = speed + 3 * g / (2 * length) * np.sin(angle) * timestep
    gain = 3.0 / (MASS * length * length) * timestep
    wrapped = (angle + np.pi) % (2 * np.pi) - np.pi
    aimed = np.stack([-drift, -wrapped / timestep - drift], -1) / gain
    spread = np.broadcast_to(np.linspace(-max_torque, max_torque, count), (len(angle), count))
    return np.concatenate([spread, aimed.clip(-max_torque, max_torque)], -1)


def _transition(
    angle: np.ndarray, speed: np.ndarray, torque: np.ndarray, context: np.ndarray, timestep: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The simulator's step, on the grid: reward (N, U), and the 4 nodes and weights (4, N, U) of the state reached."""
    g, length = context
    angle, speed = angle[:, None], speed[:, None]
    wrapped = (angle + np.pi) % (2 * np.pi) - np.pi
    reward = -(wrapped * wrapped + 0.1 * speed * speed + 0.001 * torque * torque)
    acceleration = 3 * g / (2 * length) * np.sin(angle) + 3.0 / (MASS * length * length) * torque
    speed = np.clip(speed + acceleration * timestep, -MAX_SPEED, MAX_SPEED)
    a = ((angle + speed * timestep + np.pi) / (2 * np.pi) * ANGLES) % ANGLES
    s = (speed + MAX_SPEED) / (2 * MAX_SPEED) * (SPEEDS - 1)
    a0, s0 = np.minimum(a.astype(int), ANGLES - 1), np.minimum(s.astype(int), SPEEDS - 2)
    da, ds = a - a0, s - s0
    a1 = (a0 + 1) % ANGLES
    index = np.stack([a0 * SPEEDS + s0, a0 * SPEEDS + s0 + 1, a1 * SPEEDS + s0, a1 * SPEEDS + s0 + 1])
    weight = np.stack([(1 - da) * (1 - ds), (1 - da) * ds, da * (1 - ds), da * ds])
    return reward, index, weight


def _angle_nodes() -> np.ndarray:
    return -np.pi + 2 * np.pi / ANGLES * np.arange(ANGLES)


def _speed_nodes() -> np.ndarray:
    return np.linspace(-MAX_SPEED, MAX_SPEED, SPEEDS)
