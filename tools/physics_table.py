"""Which physics can be told in an environment: python tools/physics_table.py --env cartpole_friction [--told].

Plays smooth exploratory noise, half of the episodes from states that another physics led to. From such states, under
the same actions, it runs the lowest and the highest value of each factor's train range, the other factors in the middle
of theirs, and prints how far the runs part: after one step in squared σ_Δ (mean and median over transitions), and in σ
at step 25 and in the mean of 25 steps. σ, σ_Δ: standard deviations of observations and of their changes in a step.

--told trains an MLP that is told the true physics to predict a step, and prints its steering skill over 25 steps on
held-out contexts: an upper bound, in minutes, of what an agent that infers the physics can learn.
"""

import argparse
import itertools
import json
import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from dali.dreams.steering import rollout_error, steering_skill, step_error
from dali.envs import catalogue
from dali.envs.contexts import held_out_contexts, sample_contexts
from dali.envs.spec import EnvSpec
from dali.envs.trajectory import replay_actions
from dali.episodes import exploratory_actions

HORIZON, STEPS, UNITS = 25, 100, 256
COPIES = 64  # episodes played together


@dataclass(frozen=True)
class Records:
    """E episodes of exploratory noise."""

    obs: np.ndarray  # (E, STEPS + 1, O)
    state: np.ndarray  # (E, S) in the middle of each episode
    action: np.ndarray  # (E, STEPS, A)
    context: np.ndarray  # (E, F)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", required=True, choices=catalogue.names())
    parser.add_argument("--episodes", type=int, default=1024, help=f"of {STEPS} steps, under 100 training contexts")
    parser.add_argument("--told", action="store_true", help="train a forward model that is told the physics")
    parser.add_argument("--updates", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    spec = catalogue.spec(arguments.env)
    training = sample_contexts(spec, 100, arguments.seed)
    records = play(spec, training, arguments.episodes, arguments.seed)
    sigma, sigma_delta = scales(records)
    result: dict[str, object] = {"env": spec.name, "timestep": spec.timestep, "parted": parted(spec, records)}
    if arguments.told:
        held_out = play(spec, held_out_contexts(spec, 100, arguments.seed), 200, arguments.seed + 1)
        began = time.perf_counter()
        model = Told(spec, records, sigma_delta)
        loss = model.fit(records, arguments.updates, arguments.seed)
        seconds = time.perf_counter() - began
        fit = {"updates": arguments.updates, "seconds": round(seconds), "loss": loss}
        result["told"] = fit | skills(spec, model, held_out, sigma, arguments.seed)
    print(json.dumps(result, indent=2))


def play(spec: EnvSpec, contexts: np.ndarray, episodes: int, seed: int) -> Records:
    """Episodes under contexts (M, F) in turn; from the second round on, every other one starts where another stood."""
    rng = np.random.default_rng(seed)
    simulator = catalogue.make(spec.name, COPIES)
    rounds, before = [], simulator.get_state()
    for number in range(-(-episodes // COPIES)):
        physics = contexts[(number * COPIES + np.arange(COPIES)) % len(contexts)]
        simulator.reset(rng.integers(0, 2**31, COPIES), physics)
        start = simulator.get_state()
        if number:
            start[::2] = before[rng.permutation(COPIES)][::2]
        action = exploratory_actions(rng, COPIES, STEPS, spec.action_dim, spec.discrete)
        obs, states = replay_actions(simulator, start, physics, action)
        before = states[:, -1]
        rounds.append(Records(obs, states[:, STEPS // 2], action, physics))
    names = ("obs", "state", "action", "context")
    return Records(*(np.concatenate([getattr(r, n) for r in rounds])[:episodes] for n in names))


def scales(records: Records) -> tuple[np.ndarray, np.ndarray]:
    """σ and σ_Δ (O,)."""
    obs = records.obs.astype(np.float64)
    return obs.std((0, 1)), np.diff(obs, axis=1).std((0, 1))


def parted(spec: EnvSpec, records: Records, runs: int = 256) -> dict[str, dict[str, float]]:
    """By factor, how far runs under its lowest and its highest value part."""
    sigma, sigma_delta = scales(records)
    state, action = records.state[-runs:], records.action[-runs:, STEPS // 2 :][:, :HORIZON]
    simulator = catalogue.make(spec.name, len(state))
    table = {}
    for index, feature in enumerate(spec.features):
        ends = []
        for value in feature.train:
            context = np.tile([np.mean(f.train) for f in spec.features], (len(state), 1))
            context[:, index] = value
            ends.append(replay_actions(simulator, state, context, action)[0])
        one_step = (((ends[0] - ends[1])[:, 1] / sigma_delta) ** 2).mean(-1)
        apart = step_error(ends[0], ends[1], sigma)
        table[feature.name] = {
            "one_step_mean": round(float(one_step.mean()), 4),
            "one_step_median": round(float(np.median(one_step)), 4),
            "at_step_25": round(float(apart[:, HORIZON].mean()), 3),
            "mean_of_25_steps": round(float(apart[:, 1:].mean()), 3),
        }
    return table


class Told(nn.Module):
    """o' = o + σ_Δ f(o, a, c), f an MLP without norms."""

    def __init__(self, spec: EnvSpec, records: Records, sigma_delta: np.ndarray):
        super().__init__()
        self.spec = spec
        obs = records.obs.reshape(-1, spec.obs_dim)
        self.mean, self.std = (torch.from_numpy(v.astype(np.float32)) for v in (obs.mean(0), obs.std(0)))
        self.sigma_delta = torch.from_numpy(sigma_delta.astype(np.float32))
        sizes = (spec.obs_dim + spec.action_dim + spec.context_dim, UNITS, UNITS, UNITS)
        hidden = [part for a, b in itertools.pairwise(sizes) for part in (nn.Linear(a, b), nn.SiLU())]
        self.body = nn.Sequential(*hidden, nn.Linear(UNITS, spec.obs_dim))

    def change(self, obs: Tensor, action: Tensor, context: Tensor) -> Tensor:
        """(B, O) predicted change in σ_Δ."""
        return self.body(torch.cat([(obs - self.mean) / self.std, action, context], -1))

    def fit(self, records: Records, updates: int, seed: int) -> float:
        """Adam at 1e-3 with a cosine to zero, batches of 1,024; returns the mean loss of the last tenth."""
        torch.manual_seed(seed)
        for layer in self.body:
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()
        obs = torch.from_numpy(records.obs)
        action = torch.from_numpy(records.action).flatten(0, 1)
        context = torch.from_numpy(self.spec.scale_context(records.context)).repeat_interleave(STEPS, 0)
        before = obs[:, :-1].flatten(0, 1)
        target = (obs[:, 1:] - obs[:, :-1]).flatten(0, 1) / self.sigma_delta
        optimizer = torch.optim.Adam(self.body.parameters(), 1e-3)
        losses = []
        for update in range(updates):
            optimizer.param_groups[0]["lr"] = 1e-3 * 0.5 * (1 + math.cos(math.pi * update / updates))
            rows = torch.randint(len(before), (1024,))
            loss = (self.change(before[rows], action[rows], context[rows]) - target[rows]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return round(float(np.mean(losses[-updates // 10 :])), 5)

    @torch.inference_mode()
    def dream(self, obs: np.ndarray, action: np.ndarray, context: np.ndarray) -> np.ndarray:
        """(E, H + 1, O) from observations (E, O) under actions (E, H, A) and physics (E, F)."""
        now, scaled = torch.from_numpy(obs), torch.from_numpy(self.spec.scale_context(context))
        path = [now]
        for t in range(action.shape[1]):
            now = now + self.sigma_delta * self.change(now, torch.from_numpy(action[:, t]), scaled)
            path.append(now)
        return torch.stack(path, 1).numpy()


def skills(spec: EnvSpec, model: Told, records: Records, sigma: np.ndarray, seed: int) -> dict[str, object]:
    """Factual error, and steering skill by factor, as `dali.dreams.steering` defines them."""
    rng = np.random.default_rng(seed)
    start, action = STEPS // 2, records.action[:, STEPS // 2 :][:, :HORIZON]
    obs = records.obs[:, start]
    simulator = catalogue.make(spec.name, len(obs))
    factual = model.dream(obs, action, records.context)
    error = rollout_error(factual, records.obs[:, start:][:, : HORIZON + 1], sigma)
    result: dict[str, object] = {"factual_error": {"mean": float(error.mean()), "median": float(np.median(error))}}
    for index, feature in enumerate(spec.features):
        target = records.context.copy()
        target[:, index] = feature.at_share(rng.random(len(target)))
        real, _ = replay_actions(simulator, records.state, target, action)
        moved = rollout_error(model.dream(obs, action, target), real, sigma)
        unmoved = rollout_error(factual, real, sigma)
        result[feature.name] = {
            "skill": round(steering_skill(moved, unmoved), 3),
            "skill_of_medians": round(1 - float(np.median(moved) / np.median(unmoved)), 3),
        }
    return result


if __name__ == "__main__":
    main()
