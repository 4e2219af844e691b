"""What one update learns from."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from dali.model.shapes import Bool, Float, Int, UInt8


@dataclass(frozen=True)
class Batch:
    """B sequences of T records, each of one episode, with a window of that episode to infer the code from.

    A record is an observation with the action and reward that led to it. With pairing "across" the window
    shares no record with the sequence; with "same" it runs from K records before the sequence to its end.
    """

    obs: Float[Tensor, "B T O"]  # of Agent.view
    prev_action: Float[Tensor, "B T A"]  # a_{t-1} at index t, zero at an episode's first record
    reward: Float[Tensor, "B T"]  # received on arriving
    terminal: Bool[Tensor, "B T"]  # no return follows
    first: Bool[Tensor, "B T"]  # an episode's first record
    mask: Bool[Tensor, "B T"]  # False is padding behind an episode's end
    fresh: Bool[Tensor, "B"]  # the sequence does not go on from the one before it in its row
    context: Float[Tensor, "B F"]  # true context, scaled; read by methods whose source is "given" alone
    window_obs: Float[Tensor, "B records O"]  # of the window's transitions, one more than those
    window_action: Float[Tensor, "B records A"]
    window_first: Bool[Tensor, "B records"]
    window_length: Int[Tensor, "B"]  # transitions in the window, 0 where the episode has no room for one
    window_offset: Int[Tensor, "B"]  # index of the sequence's first record in the window (pairing "same")
    target_obs: Float[Tensor, "B J O"]  # o_t of transitions of the episode outside the window (pairing "across")
    target_action: Float[Tensor, "B J A"]  # a_t
    target_next: Float[Tensor, "B J O"]  # o_{t+1}
    target_mask: Bool[Tensor, "B"]  # False where the episode has no window, or nothing outside it
    frames: UInt8[Tensor, "P 64 64 3"] | UInt8[Tensor, "0"]  # of some records, three in a row each; none for vectors
    frame_row: Int[Tensor, "P"]  # their rows
    frame_step: Int[Tensor, "P"]  # their steps in the sequence

    def to(self, device: torch.device | str) -> "Batch":
        return Batch(**{f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)})
