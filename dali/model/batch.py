"""What one update learns from."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """B sequences of T records, each of one episode, with a window of that episode to infer the code from.

    A record is an observation with the action and reward that led to it. With pairing "across" the window
    shares no record with the sequence; with "same" it runs from K records before the sequence to its end.
    """

    obs: Tensor  # (B, T, O) of Agent.view
    prev_action: Tensor  # (B, T, A), a_{t-1} at index t, zero at an episode's first record
    reward: Tensor  # (B, T), received on arriving
    terminal: Tensor  # (B, T) bool: no return follows
    first: Tensor  # (B, T) bool: an episode's first record
    mask: Tensor  # (B, T) bool: False is padding behind an episode's end
    fresh: Tensor  # (B,) bool: the sequence does not go on from the one before it in its row
    context: Tensor  # (B, F) true context, scaled; read by methods whose source is "given" alone
    window_obs: Tensor  # (B, K', O)
    window_action: Tensor  # (B, K', A)
    window_first: Tensor  # (B, K') bool
    window_length: Tensor  # (B,) transitions in the window, 0 where the episode has no room for one
    window_offset: Tensor  # (B,) index of the sequence's first record in the window (pairing "same")
    target_obs: Tensor  # (B, M, O) o_t of transitions of the episode that lie outside the window (pairing "across")
    target_action: Tensor  # (B, M, A) a_t
    target_next: Tensor  # (B, M, O) o_{t+1}
    target_mask: Tensor  # (B,) bool: False where the episode has no window, or nothing outside it
    frames: Tensor  # (M', 64, 64, 3) uint8 pictures of some records, three in a row each; none for vectors
    frame_row: Tensor  # (M',) their rows
    frame_step: Tensor  # (M',) their steps in the sequence

    def to(self, device: torch.device | str) -> "Batch":
        return Batch(**{f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)})
