"""Replay: episodes of N copies in one ring each, sampled as streams of consecutive sequences.

Observations are the agent's (Agent.view). For an agent of pixels the pictures lie beside them, and the observations are
blank until the autoencoder has been learnt from those of the prefill.

A row of the batch follows one episode for a while, T records an update, so that its latent state can be carried
from update to update; then it jumps to another place. Short sequences with carried state cost far fewer sequential
steps than long ones (docs/experiments.md).

Shapes: N copies, B rows, T records, K context window, E embedding.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dali.config import ModelConfig, TrainConfig
from dali.envs.spec import EnvSpec
from dali.errors import DaliError
from dali.model.agent import observed
from dali.model.batch import Batch
from dali.model.conv import Autoencoder, with_change
from dali.train.pictures import Pictures
from dali.train.storage import Storage

SLACK = 4  # a replay on the disk has room for 1 / SLACK more records than it draws from


@dataclass
class _Episodes:
    """A growing table of episodes; ``start`` counts the records ever written to the episode's ring."""

    ring: np.ndarray
    start: np.ndarray
    length: np.ndarray
    used: int = 0

    @classmethod
    def empty(cls) -> "_Episodes":
        return cls(np.zeros(256, np.int64), np.zeros(256, np.int64), np.zeros(256, np.int64))

    def append(self, ring: int, start: int) -> int:
        if self.used == len(self.ring):
            self.ring, self.start, self.length = (np.concatenate([a, np.zeros_like(a)]) for a in self.arrays())
        self.ring[self.used], self.start[self.used], self.length[self.used] = ring, start, 0
        self.used += 1
        return self.used - 1

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the episodes so far."""
        return self.ring[: self.used], self.start[: self.used], self.length[: self.used]


class Replay:
    """Stores records (an observation with the action and reward that led to it) and draws batches."""

    def __init__(
        self,
        spec: EnvSpec,
        model: ModelConfig,
        train: TrainConfig,
        rng: np.random.Generator,
        storage: Storage | None = None,
    ):
        """``storage``: where the records lie; in memory where None."""
        self.rng, self.train, self.window, self.storage = rng, train, model.context_window, storage or Storage()
        self.size = max(train.length, -(-min(train.capacity, 2 * train.steps) // train.envs))  # records drawn from
        # Records a ring has room for. A state that is saved without them needs those that it drew from to outlive it.
        self.room = self.size + (-(-self.size // SLACK) + 2 if self.storage.on_disk else 0)
        if self.storage.on_disk and model.observation == "pixels" and self.size * train.envs < 2 * train.prefill:
            # The scales of an agent of pixels are set by what a ring in memory would have kept of the prefill.
            raise DaliError(
                f"Config field 'capacity' is {train.capacity}; expected at least {2 * train.prefill}, twice the "
                "prefill, for an agent of pixels whose replay lies on the disk."
            )
        total = train.envs * self.room

        def zeros(name: str, *shape: int, dtype: type = np.float32) -> Tensor:
            return torch.from_numpy(self.storage.zeros(name, (total, *shape), dtype))

        self.obs = zeros("obs", observed(model, spec))
        self.action = zeros("action", spec.action_dim)
        self.context = zeros("context", spec.context_dim)
        self.reward = zeros("reward")
        self.terminal = zeros("terminal", dtype=np.bool_)
        self.first = zeros("first", dtype=np.bool_)
        self.pictures = Pictures(spec, total, self.storage) if model.observation == "pixels" else None
        self.written = np.zeros(train.envs, np.int64)
        self.saved = np.zeros(train.envs, np.int64)  # ``written`` of the last state
        self.episodes = _Episodes.empty()
        self.current = np.full(train.envs, -1)
        # Where each row of the batch stands: its episode, the next record in it, and the sequences left to follow.
        self.row_episode = np.full(train.batch, -1)
        self.row_position = np.zeros(train.batch, np.int64)
        self.row_left = np.zeros(train.batch, np.int64)

    def add(
        self,
        copies: np.ndarray,
        obs: np.ndarray,
        prev_action: np.ndarray,
        reward: np.ndarray,
        terminal: np.ndarray,
        first: np.ndarray,
        context: np.ndarray,
        scene: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    ) -> None:
        """Appends one record to the rings of some copies (M,); the arrays are (M, ...), context scaled.

        Args:
            scene: for an agent of pixels its pictures, and the states and the physics in units that they show.
        """
        if self.storage.awaits_state:
            return  # what copies start with before a run is taken up is none of its records
        for copy in copies[first]:
            self.current[copy] = self.episodes.append(int(copy), int(self.written[copy]))
        at = torch.from_numpy(copies * self.room + self.written[copies] % self.room)
        self.obs[at] = torch.from_numpy(obs)
        self.action[at] = torch.from_numpy(prev_action)
        self.context[at] = torch.from_numpy(context)
        self.reward[at] = torch.from_numpy(reward)
        self.terminal[at] = torch.from_numpy(terminal)
        self.first[at] = torch.from_numpy(first)
        if self.pictures is not None and scene is not None:
            self.pictures.add(at.numpy(), *scene)
        self.written[copies] += 1
        self.episodes.length[self.current[copies]] += 1

    def sample(self) -> Batch:
        """The next sequence of every row, with a window of its episode for the context encoder."""
        batch, length = self.train.batch, self.train.length
        fresh = self._advance_rows()
        episode, position = self.row_episode, self.row_position
        records = self.episodes.length[episode]
        mask = position[:, None] + np.arange(length) < records[:, None]
        sequence = self._index(episode, position, length, records)
        if self.train.pairing == "same":
            start = np.maximum(position - self.window, 0)
            transitions, offset, span = np.minimum(self.window, position), position - start, self.window + length
        else:
            start, transitions = self._other_window(position, records)
            offset, span = np.zeros(batch, np.int64), self.window + 1
        window = self._index(episode, start, span, records)
        target, usable = self._targets(start, transitions, records)
        before, after = (self._flat(episode, target + step) for step in (0, 1))
        self.row_position = position + length
        self.row_left -= 1
        return Batch(
            obs=self.obs[sequence],
            prev_action=self.action[sequence],
            reward=self.reward[sequence],
            terminal=self.terminal[sequence],
            first=self.first[sequence],
            mask=torch.from_numpy(mask),
            fresh=torch.from_numpy(fresh),
            context=self.context[sequence[:, 0]],
            window_obs=self.obs[window],
            window_action=self.action[window],
            window_first=self.first[window],
            window_length=torch.from_numpy(transitions),
            window_offset=torch.from_numpy(offset),
            target_obs=self.obs[before],
            target_action=self.action[after],
            target_next=self.obs[after],
            target_mask=torch.from_numpy(usable & (transitions > 0)),
            **self._frames(sequence),
        )

    def _frames(self, sequence: Tensor) -> dict[str, Tensor]:
        """Pictures of some records of sequences (B, T), three in a row each; none where there are none."""
        if self.pictures is None:
            nowhere = torch.zeros(0, dtype=torch.long)
            return {"frames": torch.zeros(0, dtype=torch.uint8), "frame_row": nowhere, "frame_step": nowhere}
        count = self.train.frames // 3
        row = torch.from_numpy(self.rng.integers(0, sequence.shape[0], count).repeat(3))
        begin = self.rng.integers(0, sequence.shape[1] - 2, count)
        step = torch.from_numpy((begin[:, None] + np.arange(3)).ravel())
        frames = self.pictures.take(sequence[row, step].numpy())
        return {"frames": frames, "frame_row": row, "frame_step": step}

    @torch.no_grad()
    def encode_pictures(self, autoencoder: Autoencoder) -> None:
        """Fills in the observations of all pictures so far, as the agent's autoencoder now has them."""
        assert self.pictures is not None
        device = next(autoencoder.parameters()).device
        for ring in range(self.train.envs):
            written = self._written(ring)
            frames = self.pictures.take(np.arange(written.start, written.stop))
            embedding = torch.cat([autoencoder.embed(part.to(device)).cpu() for part in frames.split(1024)])
            self.obs[written] = with_change(embedding, embedding.roll(1, 0), self.first[written])

    def transitions(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Observations (M, O) and those that followed them, ring by ring."""
        for ring in range(self.train.envs):
            written = self._written(ring)
            goes_on = ~self.first[written][1:]
            yield self.obs[written][:-1][goes_on], self.obs[written][1:][goes_on]

    def latest(self) -> Tensor:
        """The newest observation of every copy, (N, O)."""
        return self.obs[torch.from_numpy(np.arange(self.train.envs) * self.room + (self.written - 1) % self.room)]

    def _written(self, ring: int) -> slice:
        """The records of a ring that hold something."""
        return slice(ring * self.room, ring * self.room + min(int(self.written[ring]), self.room))

    def whole_windows(self, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """A window of K transitions from the middle of each of the latest episodes that have room for one.

        Returns:
            Observations (M, K + 1, O), the actions that led to them, where episodes start, and contexts (M, F); M is
            at most ``count``.
        """
        ring, start, length = self.episodes.arrays()
        usable = (start >= self.written[ring] - self.size) & (length > self.window)
        episode = np.flatnonzero(usable)[-count:]
        begin = (length[episode] - self.window - 1) // 2
        window = self._index(episode, begin, self.window + 1, length[episode])
        return self.obs[window], self.action[window], self.first[window], self.context[window[:, 0]]

    def _advance_rows(self) -> np.ndarray:
        """Moves rows that have followed their episode long enough, or to its end, elsewhere; True where moved."""
        ring, start, length = self.episodes.arrays()
        alive = (start >= self.written[ring] - self.size) & (length >= 2)
        ended = self.row_position + 2 > length[self.row_episode]
        moved = (self.row_episode < 0) | (self.row_left <= 0) | ended | ~alive[self.row_episode]
        count = int(moved.sum())
        if count:
            total = np.cumsum(length * alive)  # records, so that every record is equally likely
            episode = np.searchsorted(total, self.rng.integers(0, total[-1], count), side="right")
            room = np.maximum(length[episode] - self.train.length, 0)
            chunks = max(1, self.train.stream // self.train.length)
            self.row_episode[moved] = episode
            self.row_position[moved] = self.rng.integers(0, room + 1)
            self.row_left[moved] = self.rng.integers(1, chunks + 1, count)  # so that many start afresh
        return moved

    def _other_window(self, position: np.ndarray, records: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Start (B,) and transitions (B,) of a window that shares no record with the sequence at ``position``.

        K transitions at a uniformly drawn place before or after the sequence; all of the longer side where
        neither has room for K.
        """
        span = self.window + 1
        behind = position + self.train.length
        before_room = np.maximum(position - span + 1, 0)
        after_room = np.maximum(records - behind - span + 1, 0)
        drawn = (self.rng.random(len(position)) * (before_room + after_room)).astype(np.int64)
        start = np.where(drawn < before_room, drawn, behind + drawn - before_room)
        longer_before = position >= records - behind
        rest = np.maximum(np.where(longer_before, position, records - behind), 0)
        fits = before_room + after_room > 0
        start = np.where(fits, start, np.where(longer_before, 0, behind))
        return start, np.where(fits, self.window, np.maximum(np.minimum(rest, span) - 1, 0))

    def _targets(
        self, start: np.ndarray, transitions: np.ndarray, records: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """First records (B, M) of transitions drawn from outside the window, and whether a row has any (B,).

        Scattered over the episode: neighbours in time say much the same of the physics.
        """
        outside = records - 1 - transitions  # transitions of the episode, less those of the window
        drawn = (self.rng.random((len(start), self.train.context_targets)) * outside[:, None]).astype(np.int64)
        target = np.where(drawn < start[:, None], drawn, drawn + transitions[:, None])
        return target.clip(0, records[:, None] - 2), outside > 0

    def _index(self, episode: np.ndarray, start: np.ndarray, span: int, records: np.ndarray) -> Tensor:
        """Flat indices (B, span) of records from ``start`` on, held at the episode's last record beyond its end."""
        return self._flat(episode, np.minimum(start[:, None] + np.arange(span), records[:, None] - 1))

    def _flat(self, episode: np.ndarray, record: np.ndarray) -> Tensor:
        """Flat indices (B, n) of records (B, n) counted from each episode's first."""
        ring = self.episodes.ring[episode][:, None]
        return torch.from_numpy(ring * self.room + (self.episodes.start[episode][:, None] + record) % self.room)

    def awaits_save(self) -> bool:
        """True where a further step would overwrite what the last state needs: records on the disk are not in it."""
        # A step writes up to two records a ring: where it led to, and where the next episode starts.
        after = self.written + 2
        comes_round = (after > self.room) & (after > self.saved + self.room - self.size)
        return self.storage.on_disk and bool(comes_round.any())

    def state(self) -> dict[str, Tensor]:
        """Everything but the random generator, for an exact resume. Rings are cut to what has been written.

        Those on the disk are left there.
        """
        filled = 0 if self.storage.on_disk else min(int(self.written.max()), self.room)
        rings = {k: v.view(self.train.envs, self.room, -1)[:, :filled].contiguous() for k, v in self._rings().items()}
        numbers = {k: torch.from_numpy(getattr(self, k).copy()) for k in _NUMBERS}
        table = torch.from_numpy(np.stack(self.episodes.arrays()))
        return {**rings, **numbers, "episodes": table}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.storage.awaits_state = False
        for key, ring in self._rings().items():
            saved = state[key]
            ring.view(self.train.envs, self.room, -1)[:, : saved.shape[1]] = saved
        for key in _NUMBERS:
            setattr(self, key, state[key].numpy().copy())
        self.saved = self.written.copy()
        if self.pictures is not None and not self.storage.on_disk:
            for copy in range(self.train.envs):
                written = self._written(copy)
                self.pictures.draw_anew(np.arange(written.start, written.stop))
        table = state["episodes"].numpy()
        room = max(256, table.shape[1])
        ring, start, length = (np.concatenate([a, np.zeros(room, np.int64)]) for a in table)
        self.episodes = _Episodes(ring, start, length, used=table.shape[1])

    def _rings(self) -> dict[str, Tensor]:
        """What is saved of every record; pictures as what they were drawn from."""
        rings = {name: getattr(self, name) for name in _RINGS}
        return rings if self.pictures is None else {**rings, "scene": self.pictures.scene}


_RINGS = ("obs", "action", "context", "reward", "terminal", "first")
_NUMBERS = ("written", "current", "row_episode", "row_position", "row_left")
