"""Collects experience: N copies of the environment, each episode under one of the training contexts."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from dali.config import RunConfig
from dali.envs import catalogue
from dali.envs.contexts import sample_contexts
from dali.envs.frames import check_observation, draw_frames
from dali.model.agent import Agent, AgentState, History
from dali.train.replay import Replay

NOISE_MEMORY = 0.9  # correlation of exploratory actions from step to step; a discrete one is kept with it


@dataclass(frozen=True)
class FinishedEpisode:
    """What the log keeps of an episode."""

    episode_return: float
    length: int
    explored: bool  # acted by exploratory noise, not by the policy


class Collector:
    """Steps the copies with the agent's policy, or with smooth noise on a share of the episodes."""

    def __init__(self, agent: Agent, config: RunConfig, replay: Replay, rng: np.random.Generator):
        self.agent, self.train, self.replay, self.rng = agent, config.train, replay, rng
        self.spec = agent.spec
        check_observation(self.spec, config.model.observation)
        self.pixels = config.model.observation == "pixels"
        self.awaits_encoder = self.pixels  # until the autoencoder has been learnt; observations are zero up to then
        self.simulator = catalogue.make(config.env, config.train.envs)
        self.contexts = sample_contexts(self.spec, config.train.contexts, config.seed)
        num = config.train.envs
        self.order = np.zeros(0, np.int64)  # contexts still to visit in this round
        self.assigned = np.zeros(num, np.int64)
        self.exploring = np.zeros(num, bool)
        self.noise = np.zeros((num, self.spec.action_dim), np.float32)
        self.returns, self.lengths = np.zeros(num), np.zeros(num, np.int64)
        self.memory = agent.initial(num)
        self.obs = np.zeros((num, agent.obs_dim), np.float32)  # as the agent has them
        self._start(np.ones(num, bool), np.ones(num, bool), random_only=False)
        self.first = np.ones(num, bool)

    def step(self, random_only: bool, generator: torch.Generator) -> list[FinishedEpisode]:
        """One step of every copy, written to the replay; returns the episodes that ended."""
        action = self._choose(random_only, generator)
        before = self.obs
        step = self.simulator.step(action)
        everyone = np.arange(self.train.envs)
        nobody = np.zeros(self.train.envs, bool)
        self._take_in(everyone, step.observation, action, step.reward, step.terminated, nobody)
        if random_only and not self.pixels:
            # Scales that went on moving would move the meaning of the code and of every latent state with them.
            self.agent.world_model.normalizer.update(before, self.obs)
        self.returns += step.reward
        self.lengths += 1
        done = step.terminated | step.truncated
        if self.train.explore_steps:
            done |= (self.exploring | random_only) & (self.lengths >= self.train.explore_steps)
        self.first = done
        finished = [
            FinishedEpisode(float(self.returns[i]), int(self.lengths[i]), random_only or bool(self.exploring[i]))
            for i in np.flatnonzero(done)
        ]
        if done.any():
            self._start(done, step.terminated, random_only)
        return finished

    def _choose(self, random_only: bool, generator: torch.Generator) -> np.ndarray:
        """Actions (N, A): the policy's, overridden where an episode explores."""
        noise = self._exploratory_actions()
        if random_only:
            return noise
        obs, first = torch.from_numpy(self.obs).to(self.agent.device), torch.from_numpy(self.first)
        context = torch.from_numpy(self.spec.scale_context(self.contexts[self.assigned])).to(self.agent.device)
        chosen, memory, _ = self.agent.act(obs, first.to(self.agent.device), self.memory, context, generator)
        action = np.where(self.exploring[:, None], noise, chosen.cpu().numpy())
        self.memory = replace(memory, action=torch.from_numpy(action).to(self.agent.device))
        return action

    def _exploratory_actions(self) -> np.ndarray:
        """(N, A) smooth noise: an autoregressive walk, or a choice that is kept for a while."""
        num, actions = self.noise.shape
        if self.spec.discrete:
            drawn = np.eye(actions, dtype=np.float32)[self.rng.integers(0, actions, num)]
            keep = (self.rng.random(num) < NOISE_MEMORY) & (self.noise.sum(1) > 0)
            self.noise = np.where(keep[:, None], self.noise, drawn)
            return self.noise
        drawn = self.rng.standard_normal((num, actions)).astype(np.float32)
        self.noise = NOISE_MEMORY * self.noise + np.float32(np.sqrt(1 - NOISE_MEMORY**2)) * drawn
        return self.noise.clip(-1.0, 1.0)

    def _start(self, where: np.ndarray, fallen: np.ndarray, random_only: bool) -> None:
        """Starts episodes of the copies in ``where`` (N,) under their next contexts.

        Args:
            fallen: (N,) bool, copies whose state ends an episode.
        """
        for copy in np.flatnonzero(where):
            if not len(self.order):
                self.order = self.rng.permutation(len(self.contexts))
            self.assigned[copy], self.order = self.order[0], self.order[1:]
        seeds = self.rng.integers(0, 2**31, len(where))
        before = self.simulator.get_state()
        obs = self.simulator.reset(seeds, self.contexts[self.assigned], where)
        explore = self.rng.random(len(where)) < self.train.explore
        self.exploring = np.where(where, explore, self.exploring)
        self.returns[where], self.lengths[where] = 0.0, 0
        if self.train.restart and self.simulator.restores_state:
            restarting = where & (explore | random_only) & (self.rng.random(len(where)) < self.train.restart)
            obs = self._restart(restarting, before, np.flatnonzero(~fallen))
        copies = np.flatnonzero(where)
        nothing = np.zeros(len(copies), np.float32)
        blank = np.zeros((len(copies), self.spec.action_dim), np.float32)
        self._take_in(copies, obs, blank, nothing, nothing > 0, np.ones(len(copies), bool))

    def _restart(self, where: np.ndarray, before: np.ndarray, standing: np.ndarray) -> np.ndarray:
        """Lets the copies in ``where`` (N,) start where copies under other physics stood; returns all observations.

        A counterfactual asks for states that its physics would not have led to: the world model must have seen some.

        Args:
            before: (N, S) states. standing: indices of the copies whose state may start an episode.
        """
        state = self.simulator.get_state()
        for copy in np.flatnonzero(where):
            others = standing[standing != copy]
            if len(others):
                state[copy] = before[self.rng.choice(others)]
        return self.simulator.set_state(state, self.lengths)

    def _take_in(
        self,
        copies: np.ndarray,
        vectors: np.ndarray,
        action: np.ndarray,
        reward: np.ndarray,
        terminal: np.ndarray,
        first: np.ndarray,
    ) -> None:
        """Observes what some copies (M,) now show, of the simulator's observations (N, O), and records it."""
        physics = self.contexts[self.assigned[copies]]
        scene, seen = None, vectors[copies]
        if self.pixels:
            states = self.simulator.get_state()[copies]
            seen = draw_frames(self.spec, states, physics)
            scene = (seen, states, physics)
        if self.awaits_encoder:
            obs = np.zeros((len(copies), self.agent.obs_dim), np.float32)
        else:
            before = torch.from_numpy(self.obs[copies]).to(self.agent.device)
            obs = self.agent.view(seen, torch.from_numpy(first).to(self.agent.device), before).cpu().numpy()
        self.obs = self.obs.copy()
        self.obs[copies] = obs
        context = self.spec.scale_context(physics)
        self.replay.add(copies, obs, action, reward.astype(np.float32), terminal, first, context, scene)

    def encode_pictures(self) -> None:
        """Goes on with the observations that the replay now has: the autoencoder has been learnt."""
        self.awaits_encoder = False
        self.obs = self.replay.latest().numpy().copy()

    def state(self) -> dict[str, Tensor]:
        """Simulator, running episodes and the agent's memory of them, for a resume.

        It is exact but where a simulator can't be put back into a state: there new episodes begin.
        """
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        arrays["simulator"] = self.simulator.get_state()
        memory = self.memory
        window = memory.window if isinstance(memory.window, History) else None
        tensors = {
            "memory.deter": memory.latent.deter,
            "memory.stoch": memory.latent.stoch,
            "memory.action": memory.action,
            "memory.obs": memory.obs.unsqueeze(1) if window is None else window.obs,  # newest last
        }
        if window is not None:
            tensors |= {"memory.actions": window.action, "memory.first": window.first}
        return {**{k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in arrays.items()}, **tensors}

    def load_state(self, state: dict[str, Tensor]) -> None:
        for name in _ARRAYS:
            setattr(self, name, state[name].numpy().copy())
        if self.simulator.restores_state:
            self.simulator.set_context(self.contexts[self.assigned])
            self.simulator.set_state(state["simulator"].numpy(), elapsed=self.lengths)
        device = self.agent.device
        latent = type(self.memory.latent)(state["memory.deter"].to(device), state["memory.stoch"].to(device))
        window = None
        if isinstance(self.memory.window, History):
            window = History(*(state[f"memory.{k}"].to(device) for k in ("obs", "actions", "first")))
        obs, action = state["memory.obs"][:, -1].to(device), state["memory.action"].to(device)
        self.memory = AgentState(latent, obs, action, window)
        if not self.simulator.restores_state:  # the episodes that were running cannot be gone on with
            everyone = np.ones(self.train.envs, bool)
            self._start(everyone, everyone, random_only=False)
            self.first = everyone


_ARRAYS = ("order", "assigned", "exploring", "noise", "returns", "lengths", "obs", "first")
