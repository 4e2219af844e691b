"""The training loop: collect, learn, log, save.

All randomness comes from generators that are saved, and saving changes nothing, so that a run that was killed and
resumed equals one that was not, bit for bit on a CPU.
"""

import signal
import time
from collections import defaultdict, deque
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from dali.config import RunConfig
from dali.envs import catalogue
from dali.errors import CheckpointError
from dali.files.text import quote
from dali.model.agent import Agent
from dali.runs.checkpoint import TRAINER_STATE, load_trainer_state, save_agent, save_trainer_state
from dali.runs.films import drop_films
from dali.train.asked import check_same_run, saved_run
from dali.train.collector import Collector
from dali.train.learner import Learner, autoencoder_updates, ensemble_updates, warmup_updates
from dali.train.log import Log
from dali.train.monitor import Films, probe_scores
from dali.train.record import Part, write_record
from dali.train.replay import Replay
from dali.train.storage import DISK, open_storage

KEPT = "kept"  # folder of a run for agents on the way
UPDATES_AT_ONCE = 50  # between two looks at the clock and at signals


class Trainer:
    """One run in one folder."""

    def __init__(
        self,
        config: RunConfig,
        folder: Path,
        keep_every: int = 0,
        films: Films | None = None,
        replay_on_disk: bool = False,
    ):
        """Args:
        keep_every: environment steps between agents that are kept in ``kept/step-N``; 0: none.
        films: makes films of dreams on the way; none are made where None.
        replay_on_disk: keeps the replay in files of the folder until the run has finished; a run goes on as it began.
        """
        self.config, self.folder, self.keep_every, self.films = config, folder, keep_every, films
        if config.train.threads:
            torch.set_num_threads(config.train.threads)
        for kind in (np.float32, np.float64):
            np.finfo(kind)  # looked up now, since NumPy warns when it first does so with denormals off
        torch.set_flush_denormal(True)
        torch.manual_seed(config.seed)  # initial weights; everything later draws from the generators below
        self.rng = np.random.default_rng(config.seed)
        self.noise = torch.Generator(device=config.train.device).manual_seed(config.seed)
        spec = catalogue.spec(config.env)
        self.agent = Agent(config, spec).to(config.train.device)
        self.replay = Replay(spec, config.model, config.train, self.rng, open_storage(folder, replay_on_disk))
        self.collector = Collector(self.agent, config, self.replay, self.rng)
        self.learner = Learner(self.agent, config.train, planned_updates(config), self.noise)
        self.env_steps = 0
        self.episodes: deque[float] = deque(maxlen=20)  # returns of the last episodes that the policy acted
        self.parts: list[Part] = []  # of a run that was extended: how each ended but the last
        self.interrupted = False
        self.wall_seconds = 0.0  # of earlier parts of this run, where it was resumed
        self.began = time.monotonic()

    def run(self, resume: bool = False) -> bool:
        """Trains to the end, or until SIGINT or SIGTERM; saves at intervals and when it stops.

        Returns:
            True if the run is complete.
        """
        if resume:
            self.load()
            if self.parts:
                self.save()  # so that the folder tells at once how long the run is now
        handlers = {s: signal.signal(s, self._interrupt) for s in (signal.SIGINT, signal.SIGTERM)}
        train, total = self.config.train, planned_updates(self.config)
        drop_films(self.folder, self.env_steps)
        try:
            with (
                Log(self.folder, self.learner.update_count) as log,
                tqdm(total=train.steps, initial=self.env_steps, unit="step", smoothing=0.05) as bar,
            ):
                saved = logged = time.monotonic()
                sums, counts, count = defaultdict[str, Tensor | float](float), defaultdict[str, int](int), 0
                kept = self.env_steps // self.keep_every if self.keep_every else 0
                filmed = self._films_earned(total)
                while not self._complete(total) and not self.interrupted:
                    if not self._updates_due(total):
                        self._collect()
                    for _ in range(min(self._updates_due(total), UPDATES_AT_ONCE)):
                        for name, value in self._update().items():
                            sums[name] += value
                            counts[name] += 1
                        count += 1
                    if self._keep_due(kept, total):
                        kept = self.env_steps // self.keep_every
                        self._keep()
                    if self._films_earned(total) > filmed:
                        filmed = self._films_earned(total)
                        self._film(log)
                    now = time.monotonic()
                    if count and (now - logged >= train.log_every or self._complete(total)):
                        means = {name: float(value) / counts[name] for name, value in sums.items()}
                        self._log(log, bar, means, count / (now - logged))
                        sums.clear()
                        counts.clear()
                        logged, count = now, 0
                    if now - saved >= train.checkpoint_every:
                        self.save()
                        saved = time.monotonic()
                    bar.update(self.env_steps - bar.n)
            self.save()
            if self._complete(total):
                self.replay.storage.remove()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return self._complete(total)

    def _complete(self, total: int) -> bool:
        return self.env_steps >= self.config.train.steps and self._updates_due(total) == 0

    def _collect(self) -> None:
        if self.replay.awaits_save():
            self.save()
        finished = self.collector.step(self.env_steps < self.config.train.prefill, self.noise)
        self.env_steps += self.config.train.envs
        self.episodes.extend(e.episode_return for e in finished if not e.explored)

    def _update(self) -> dict[str, Tensor]:
        metrics = self.learner.update(self.replay.sample())
        if self.learner.update_count == autoencoder_updates(self.config):
            self._encode_pictures()
        return metrics

    def _encode_pictures(self) -> None:
        """The autoencoder has been learnt: the pictures so far become observations, which set all scales."""
        model = self.agent.world_model
        assert model.autoencoder is not None
        self.replay.encode_pictures(model.autoencoder)
        for before, after in self.replay.transitions():
            model.normalizer.update(before, after)
        self.collector.encode_pictures()

    def _updates_due(self, total: int) -> int:
        """Updates that the steps taken so far have earned and that have not been made; the warm-up is due at once."""
        train = self.config.train
        if self.env_steps < train.prefill:
            return 0
        earned = (self.env_steps - train.prefill) * train.replay_ratio / (train.batch * train.length)
        first = updates_before_the_world_model(self.config)
        return max(0, min(first + int(earned), total) - self.learner.update_count)

    def _log(self, log: Log, bar: tqdm, means: dict[str, float], rate: float) -> None:
        row = {"env_steps": self.env_steps, "update": self.learner.update_count, "updates_per_second": rate, **means}
        row |= probe_scores(self.agent, self.replay, self.agent.spec)
        if self.episodes:
            row["return"] = float(np.mean(self.episodes))
        log.write(row)
        shown = {"upd/s": f"{rate:.2f}", "loss": f"{means['loss/total']:.2f}"}
        if self.episodes:
            shown["return"] = f"{row['return']:.1f}"
        bar.set_postfix(shown)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.interrupted = True

    def save(self) -> None:
        """Writes the trainer's state, then the agent, each file atomically.

        In this order a run that is killed at any moment can go on: whatever folder holds weights holds a state too.
        """
        tensors = {f"agent.{k}": v for k, v in self.agent.state_dict().items()}
        for part in ("replay", "collector", "learner"):
            tensors |= {f"{part}.{k}": v for k, v in getattr(self, part).state().items()}
        tensors["noise"] = self.noise.get_state()
        numbers = {
            "config": self.config.to_dict(),
            "env_steps": self.env_steps,
            "updates": self.learner.update_count,
            "episodes": list(self.episodes),
            "rng": self.rng.bit_generator.state,
            "wall_seconds": self._elapsed(),
            "parts": [asdict(part) for part in self.parts],
            **({"replay": DISK} if self.replay.storage.on_disk else {}),
        }
        save_trainer_state(self.folder, tensors, numbers)
        self.replay.saved = self.replay.written.copy()
        save_agent(self.folder, self.agent)
        self._write_record(self.folder)

    def _write_record(self, folder: Path) -> None:
        progress = {
            "env_steps": self.env_steps,
            "updates": self.learner.update_count,
            "parameters": sum(p.numel() for p in self.agent.parameters() if p.requires_grad),
        }
        write_record(folder, self.config, self.parts, self._elapsed(), **progress)

    def _keep_due(self, kept: int, total: int) -> bool:
        """True where another agent is to be kept after ``kept`` of them: it has learnt all that its steps earned."""
        passed = self.keep_every > 0 and self.env_steps // self.keep_every > kept
        return passed and self.learner.update_count > 0 and self._updates_due(total) == 0

    def _keep(self) -> None:
        """Keeps the agent as it is now in a folder that every command opens like a run; saving changes nothing."""
        folder = self.folder / KEPT / f"step-{self.env_steps}"
        save_agent(folder, self.agent)
        self._write_record(folder)

    def _films_earned(self, total: int) -> int:
        """Films that the updates so far have earned: evenly over those of the world model, the last with the last."""
        before = updates_before_the_world_model(self.config)
        if self.films is None or total <= before:
            return 0
        return max(0, self.films.count * (self.learner.update_count - before) // (total - before))

    def _film(self, log: Log) -> None:
        assert self.films is not None
        if gif := self.films.make(self.agent):
            log.film(gif, self.env_steps, self.learner.update_count)

    def _elapsed(self) -> float:
        return self.wall_seconds + time.monotonic() - self.began

    def load(self) -> None:
        """Takes up the run where its last checkpoint left it.

        Where more steps are asked for than it was begun with, the schedules span the new total from here on: a rate
        that had fallen rises again.

        Raises:
            CheckpointError: nothing to resume, it was trained under another configuration, or its state is damaged.
        """
        tensors, numbers = load_trainer_state(self.folder)
        try:
            self._take_up(tensors, numbers)
        except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
            path = self.folder / TRAINER_STATE
            raise CheckpointError(f"{path} does not hold the state of this training: {quote(error)}.") from error

    def _take_up(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        saved, done = saved_run(self.folder, numbers)
        check_same_run(self.folder, saved, self.config, done)
        self.parts = [Part(**part) for part in numbers.get("parts", [])]  # none in what older versions wrote
        if saved.train.steps != self.config.train.steps:
            complete = done >= saved.train.steps and numbers["updates"] >= planned_updates(saved)
            self.parts.append(Part(saved.train.steps, done, complete))

        def part(prefix: str) -> dict[str, Tensor]:
            return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

        self.agent.load_state_dict(part("agent."))
        self.replay.load_state(part("replay."))
        self.collector.load_state(part("collector."))
        self.learner.load_state(part("learner."), numbers["updates"])
        self.collector.awaits_encoder = numbers["updates"] < autoencoder_updates(self.config)
        self.noise.set_state(tensors["noise"])
        self.rng.bit_generator.state = numbers["rng"]
        self.env_steps = done
        self.wall_seconds = numbers["wall_seconds"]
        self.episodes.extend(numbers["episodes"])


def planned_updates(config: RunConfig) -> int:
    """Updates of a whole run."""
    train = config.train
    earned = int((train.steps - train.prefill) * train.replay_ratio / (train.batch * train.length))
    return updates_before_the_world_model(config) + earned


def updates_before_the_world_model(config: RunConfig) -> int:
    """Updates that are due as soon as there is a prefill: of autoencoder, code and ensemble."""
    return autoencoder_updates(config) + warmup_updates(config) + ensemble_updates(config)
