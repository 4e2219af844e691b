"""The context encoder g, and the networks that judge its code: forward dynamics f_w and cross-modal maps.

Which windows they are asked about, and the losses of a batch, are in dali.model.context_losses.

    z_t = g(o_{t-K:t}, a_{t-K:t-1})                                            arXiv 2508.20294

One transformer block over tokens (o_{tau-1}, a_{tau-1}, (o_tau - o_{tau-1}) / sigma_Delta); position t attends to
the last K tokens of its own episode. With a single attention layer and no position code this banded causal pass
computes the windowed function for every t at once, in O(T K), and sees no future.

A token may hold besides its innovation: the part of the change that f_w does not expect under the mean code. Where
contacts make most of a change, physics adds little to it, and an encoder that must learn contacts before it can see
the physics takes far longer (docs/experiments.md).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dali.model.nets import MLP, init_weights
from dali.model.normalizer import Normalizer
from dali.model.shapes import Bool, Float, Int, Shaped


@dataclass
class _Projections:
    """Room for the keys and values of 2 K tokens of N episodes, filled from the front."""

    key_value: Float[Tensor, "N heads room kv"]  # room for 2 K, kv = 2 W / heads
    filled: int


@dataclass(frozen=True)
class Kept:
    """What is kept of N episodes so that a step need not encode the window's tokens again."""

    seen: Bool[Tensor, "N K"]  # tokens of the running episode that are not blank, newest last
    projections: _Projections
    end: int  # of the window among them

    def with_token(
        self, key_value: Float[Tensor, "N heads kv"], before: Bool[Tensor, "N seen"], blank: Bool[Tensor, "N 1"]
    ) -> "Kept":
        """What is kept one token later: its keys and values, and who has seen what before it."""
        room, end, window = self.projections, self.end, self.seen.shape[1]
        # Moved to the front once in K steps. What another future of this state has written stays its own.
        if end == room.key_value.shape[2] or room.filled != end:
            moved = torch.empty_like(room.key_value)
            moved[:, :, : window - 1] = room.key_value[:, :, end - window + 1 : end]
            room, end = _Projections(moved, window - 1), window - 1
        room.key_value[:, :, end] = key_value
        room.filled = end + 1
        return Kept(torch.cat([before, ~blank], 1), room, end + 1)

    def keys_and_values(self) -> tuple[Float[Tensor, "N heads K each"], Float[Tensor, "N heads K each"]]:
        """Of the window, for each head its share of W."""
        keys, values = self.projections.key_value[:, :, self.end - self.seen.shape[1] : self.end].chunk(2, -1)
        return keys, values


class ContextEncoder(nn.Module):
    """g: the transitions of the last K steps -> the code z."""

    def __init__(
        self, obs_dim: int, action_dim: int, code: int, window: int, width: int, heads: int, innovations: bool = False
    ):
        super().__init__()
        self.window = window
        self.heads = heads
        # The last input marks a token before which nothing of the episode was seen.
        # Two layers, since what identifies physics are products within a transition (such as change x torque),
        # and attention only averages over tokens.
        inputs = (3 if innovations else 2) * obs_dim + action_dim + 1
        self.project = nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width))
        self.norm_in = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width, bias=False)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width))
        self.norm_out = nn.LayerNorm(width)
        self.out = nn.Linear(width, code)
        init_weights(self)

    def tokens(
        self,
        obs: Float[Tensor, "B T O"],
        prev_action: Float[Tensor, "B T A"],
        first: Bool[Tensor, "B T"],
        scales: Normalizer,
        expected: Float[Tensor, "B T O"] | None = None,
    ) -> Float[Tensor, "B T I"]:
        """2 O + A + 1 inputs a token, or 3 O + A + 1 with innovations.

        Args:
            obs: raw observations.
            prev_action: the action that led to each observation.
            first: where an episode starts; such a token is blank.
            expected: of an encoder of innovations, the change that f_w expects, in sigma_Delta.
        """
        before = previous(obs)
        change = (obs - before) / scales.delta_std
        blank = first.clone()
        blank[:, 0] = True  # what led to the sequence's first observation is not in the sequence
        known = (~blank).unsqueeze(-1)
        surprise = [] if expected is None else [change - expected]
        parts = torch.cat([scales.normalize(before), prev_action, change, *surprise], -1) * known
        return torch.cat([parts, (~known).to(parts.dtype)], -1)

    def forward(self, tokens: Float[Tensor, "B T I"], first: Bool[Tensor, "B T"]) -> Float[Tensor, "B T Z"]:
        """Codes for every step, each from its own window.

        Args:
            tokens: of ``tokens``.
            first: where an episode starts.
        """
        x = self.project(tokens)  # (B, T, W)
        return self._read(x, self._attend(self.norm_in(x), tokens[..., -1] > 0.5, first))

    def at(
        self, tokens: Float[Tensor, "B T I"], first: Bool[Tensor, "B T"], steps: Int[Tensor, "B L"]
    ) -> Float[Tensor, "B L Z"]:
        """The codes of ``forward`` at some steps alone, for less than it costs to have them all."""
        x = self.project(tokens)  # (B, T, W)
        chosen = steps.unsqueeze(-1).expand(-1, -1, x.shape[-1])
        blank, normed = tokens[..., -1] > 0.5, self.norm_in(x)
        query, key, value = self.query_key_value.weight.chunk(3)
        lag = steps.unsqueeze(-1) - torch.arange(x.shape[1], device=x.device)  # (B, L, T)
        segment = first.long().cumsum(1)
        same_episode = segment.gather(1, steps).unsqueeze(-1) == segment.unsqueeze(1)
        seen = (lag >= 0) & (lag < self.window) & same_episode & (~blank.unsqueeze(1) | (lag == 0))
        q, k, v = F.linear(normed.gather(1, chosen), query), F.linear(normed, key), F.linear(normed, value)
        q, k, v = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in (q, k, v))  # (B, heads, L or T, .)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen.unsqueeze(1))
        return self._read(x.gather(1, chosen), mixed.transpose(1, 2).flatten(2))

    def nothing_kept(self, num: int) -> Kept:
        """What is kept before N episodes."""
        like = self.query_key_value.weight
        each = 2 * like.shape[1] // self.heads
        room = _Projections(like.new_zeros(num, self.heads, 2 * self.window, each), self.window)
        seen = torch.zeros(num, self.window, dtype=torch.bool, device=like.device)
        return Kept(seen, room, self.window)

    def step(
        self, token: Float[Tensor, "N I"], first: Bool[Tensor, "N"], kept: Kept
    ) -> tuple[Float[Tensor, "N Z"], Kept]:
        """The codes of ``forward`` at the newest step, from what was kept of those before it.

        Holds while the weights stay as they are: keys and values are of the weights of their own step.

        Args:
            token: the newest of ``tokens``. first: where an episode starts.
        """
        x = self.project(token)  # (N, W)
        q, k, v = self.query_key_value(self.norm_in(x)).view(len(x), 3, self.heads, -1).transpose(1, 2).unbind(2)
        before = kept.seen[:, 1:] & ~first.unsqueeze(1)
        kept = kept.with_token(torch.cat([k, v], -1), before, token[:, -1:] > 0.5)
        keys, values = kept.keys_and_values()
        seen = F.pad(before, (0, 1), value=True)  # a blank token serves itself alone
        mixed = F.scaled_dot_product_attention(q.unsqueeze(2), keys, values, attn_mask=seen[:, None, None])
        return self._read(x, mixed.flatten(1)), kept

    def _read(self, x: Float[Tensor, "*B W"], mixed: Float[Tensor, "*B W"]) -> Float[Tensor, "*B Z"]:
        """Codes of tokens and of what each attended to: the rest of the block."""
        x = x + self.attention_out(mixed)
        x = x + self.mlp(self.norm_mlp(x))
        return self.out(self.norm_out(x))

    def _attend(
        self, x: Float[Tensor, "B T W"], blank: Bool[Tensor, "B T"], first: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T W"]:
        """Attention of each step over the last K tokens of its episode.

        Queries in blocks of K see the keys of their own block and the one before it, which is all the band reaches.
        """
        batch, time, width = x.shape
        size = min(self.window, time)
        pad = -time % size
        blocks = (time + pad) // size
        segment = first.long().cumsum(1)
        x, blank, segment = F.pad(x, (0, 0, 0, pad)), F.pad(blank, (0, pad), value=True), F.pad(segment, (0, pad))

        q, k, v = self.query_key_value(x).chunk(3, -1)
        k, v = _with_previous_block(k, blocks), _with_previous_block(v, blocks)  # (B, blocks, keys, W)
        keys = k.shape[2]
        segment_k = _with_previous_block(segment.unsqueeze(-1), blocks, fill=-1).squeeze(-1)
        blank_k = _with_previous_block(blank.unsqueeze(-1), blocks, fill=True).squeeze(-1)

        lag = torch.arange(size, device=x.device)[:, None] + (keys - size) - torch.arange(keys, device=x.device)[None]
        in_window = (lag >= 0) & (lag < self.window)
        same_episode = segment.view(batch, blocks, size, 1) == segment_k.unsqueeze(2)
        seen = in_window & same_episode & (~blank_k.unsqueeze(2) | (lag == 0))  # a blank token serves itself alone

        def split(y: Float[Tensor, "B ... W"], length: int) -> Float[Tensor, "rows heads {length} each"]:
            return y.reshape(batch * blocks, length, self.heads, width // self.heads).transpose(1, 2)

        out = F.scaled_dot_product_attention(
            split(q, size), split(k, keys), split(v, keys), attn_mask=seen.view(batch * blocks, 1, size, keys)
        )
        return out.transpose(1, 2).reshape(batch, blocks * size, width)[:, :time]


def previous(obs: Float[Tensor, "B T O"]) -> Float[Tensor, "B T O"]:
    """The records before those given; before the first, itself."""
    return torch.cat([obs[:, :1], obs[:, :-1]], 1)


def _with_previous_block(
    x: Shaped[Tensor, "B T W"], blocks: int, fill: float = 0
) -> Shaped[Tensor, "B {blocks} keys W"]:
    """Each block of T / blocks behind its predecessor; of one block alone itself."""
    batch, time, features = x.shape
    own = x.view(batch, blocks, time // blocks, features)
    if blocks == 1:
        return own
    previous = torch.cat([torch.full_like(own[:, :1], fill), own[:, :-1]], 1)
    return torch.cat([previous, own], 2)


class ForwardDynamics(nn.Module):
    """f_w: what a code must be good for. Predicts (o_{t+1} - o_t) / sigma_Delta from (o_t, a_t, z)."""

    def __init__(self, obs_dim: int, action_dim: int, code: int, units: int, norm: bool):
        super().__init__()
        self.net = MLP(obs_dim + action_dim + code, obs_dim, units, layers=2, norm=norm)

    def forward(
        self,
        obs: Float[Tensor, "*B O"],
        action: Float[Tensor, "*B A"],
        code: Float[Tensor, "*B Z"],
        scales: Normalizer,
    ) -> Float[Tensor, "*B O"]:
        """The change, in sigma_Delta, expected after raw o_t and a_t under a code."""
        return self.net(torch.cat([scales.normalize(obs), action, code], -1))

    def loss(
        self,
        obs: Float[Tensor, "*B O"],
        action: Float[Tensor, "*B A"],
        following: Float[Tensor, "*B O"],
        code: Float[Tensor, "*B Z"],
        scales: Normalizer,
    ) -> Float[Tensor, "*B"]:
        """L_FD per transition, mean over O: || (o_{t+1} - ô_{t+1}) / sigma_Delta ||^2 / O.

        Args:
            obs, following: raw o_t and o_{t+1}. action: a_t.
        """
        change = self(obs, action, code, scales)
        return (((following - obs) / scales.delta_std - change) ** 2).mean(-1)


class CrossModal(nn.Module):
    """Linear maps between the code and the stochastic state s, both directions (methods named -chi)."""

    def __init__(self, code: int, stoch: int):
        super().__init__()
        self.to_code = nn.Linear(stoch, code)  # W_z
        self.to_stoch = nn.Linear(code, stoch)  # W_s
        init_weights(self)

    def loss(self, code: Float[Tensor, "*B Z"], stoch: Float[Tensor, "*B SC"]) -> Float[Tensor, "*B"]:
        """L_cross = ||z - W_z sg(s)||^2 + ||sg(s) - W_s z||^2 of codes and states.

        As in L_FD each norm is the mean over its own dimensions, so that its weight means the same for any width.
        """
        stoch = stoch.detach()
        return ((code - self.to_code(stoch)) ** 2).mean(-1) + ((stoch - self.to_stoch(code)) ** 2).mean(-1)
