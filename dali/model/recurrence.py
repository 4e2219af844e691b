"""The RSSM's recurrence over a sequence as one node of autograd, with its gradient written out.

One step, of h_{t-1}, s_{t-1}, what was projected of action and context, and, of a model with an expectation, e_t:

    x   = SiLU(LN(W_s s_{t-1} + given_t + W_e e_t))
    h_t = GRU(x, h_{t-1}), with a layer norm over its three parts
    p_t = unimix(softmax(W_o SiLU(LN(W_h [h_t, e_t] + seen_t))))      posterior, or prior where nothing is seen
    s_t = a draw of p_t, or p_t itself; either way its gradient is taken to be p_t's (straight-through)

Left to autograd, each weight's gradient would be one product and one sum a step. Here it is one product for all steps
together, over tensors that lie in the order of time, and a step leaves 12 tensors behind in place of some 60 nodes.

Shapes: B batch, T time, D deterministic state, O expectation (0: none), S x C groups x classes, W hidden width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dali.model.dists import Draw, draw_at, sample_onehot

EPS = 1e-3  # of all layer norms here

_norm, _norm_backward = torch.ops.aten.native_layer_norm, torch.ops.aten.native_layer_norm_backward
_AFFINE = (True, True, True)  # the gradients wanted of a layer norm: of its input, its weight and its bias

# (step, deter (B, D + O), stoch (B, S C)) -> e_t (B, O), which hands no gradient on.
Expectation = Callable[[int, Tensor, Tensor], Tensor]


class Weights(NamedTuple):
    """What a step multiplies by; ``head`` is of the posterior or of the prior."""

    stoch: Tensor  # (W, S C)
    expected: Tensor | None  # (W, O)
    norm: Tensor  # (W,), and its bias
    norm_bias: Tensor
    gru: Tensor  # (3 D, W + D)
    gru_norm: Tensor  # (3 D,)
    gru_bias: Tensor
    head: Tensor  # (W, D + O)
    head_norm: Tensor  # (W,)
    head_bias: Tensor
    out: Tensor  # (S C, W)
    out_bias: Tensor


@dataclass(frozen=True)
class Plan:
    """What a sequence of steps is given besides tensors that hand gradients on."""

    groups: int
    unimix: float
    noise: Draw  # (B, T, S) uniform, None for the mode, or "mean"
    expectation: Expectation | None


class Normed(NamedTuple):
    """A layer norm's input, its statistics and its output."""

    x: Tensor
    mean: Tensor
    rstd: Tensor
    y: Tensor


class Step(NamedTuple):
    """What one step leaves; all but the two states is for its gradient."""

    deter: Tensor
    stoch: Tensor
    joined: Tensor  # (B, W + D): x and h_{t-1}
    input: Normed
    gru: Normed
    gates: tuple[Tensor, Tensor, Tensor, Tensor]  # reset, candidate, what is proposed of both, update
    head: Normed
    read: Tensor  # (B, W): SiLU of the head's norm
    soft: Tensor  # (B, S, C) before unimix
    prob: Tensor  # (B, S, C)


def advance(
    weights: Weights, plan: Plan, deter: Tensor, entering: Tensor, expected: Tensor | None
) -> tuple[Tensor, Tensor]:
    """h_t (B, D + O) and p_t (B, S, C) of one step of the prior, for no gradient.

    Args:
        entering: (B, W), what s_{t-1}, action and context come to.
    """
    taken = _step(weights, plan, None, deter, entering, expected, None)
    return taken.deter, taken.prob


def _step(
    weights: Weights,
    plan: Plan,
    t: int | None,
    deter: Tensor,
    entering: Tensor,
    expected: Tensor | None,
    seen: Tensor | None,
) -> Step:
    """One step, from deter (B, D + O) and what s_{t-1}, action and context come to, (B, W); no draw without a ``t``."""
    w, size = weights, weights.gru.shape[0] // 3
    if expected is not None and w.expected is not None:
        entering = torch.addmm(entering, expected, w.expected.t())
    entered = _normed(entering, w.norm, w.norm_bias)
    before = deter[:, :size]
    joined = torch.cat([F.silu(entered.y), before], -1)
    mixed = _normed(joined @ w.gru.t(), w.gru_norm, w.gru_bias)
    reset, candidate, update = mixed.y.chunk(3, -1)
    reset, update = torch.sigmoid(reset), torch.sigmoid(update - 1.0)
    proposed = torch.tanh(reset * candidate)
    after = torch.lerp(before, proposed, update)
    if expected is not None:
        after = torch.cat([after, expected], -1)
    head = after @ w.head.t() if seen is None else torch.addmm(seen, after, w.head.t())
    headed = _normed(head, w.head_norm, w.head_bias)
    read = F.silu(headed.y)
    soft = F.softmax(torch.addmm(w.out_bias, read, w.out.t()).unflatten(-1, (plan.groups, -1)), -1)
    prob = soft * (1.0 - plan.unimix) + plan.unimix / soft.shape[-1]
    stoch = prob if t is None else sample_onehot(prob, draw_at(plan.noise, t)).flatten(-2)
    return Step(after, stoch, joined, entered, mixed, (reset, candidate, proposed, update), headed, read, soft, prob)


def roll(
    weights: Weights, plan: Plan, given: Tensor, seen: Tensor | None, deter: Tensor, stoch: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """T steps from deter (B, D + O) and stoch (B, S C).

    Args:
        given: (B, T, W) of actions and contexts. seen: (B, T, W) of observations, for a posterior.

    Returns:
        deter (B, T, D + O), stoch (B, T, S C) and probabilities (B, T, S, C).
    """
    return _Roll.apply(plan, given, seen, deter, stoch, *weights)


class _Roll(torch.autograd.Function):
    @staticmethod
    def forward(ctx, plan: Plan, given: Tensor, seen: Tensor | None, deter: Tensor, stoch: Tensor, *tensors):
        w = Weights(*tensors)
        steps: list[Step] = []
        before = deter, stoch
        for t in range(given.shape[1]):
            expected = None if plan.expectation is None else plan.expectation(t, deter, stoch)
            entering = torch.addmm(given[:, t], stoch, w.stoch.t())
            taken = _step(w, plan, t, deter, entering, expected, None if seen is None else seen[:, t])
            deter, stoch = taken.deter, taken.stoch
            steps.append(taken)
        if any(ctx.needs_input_grad):
            ctx.steps, ctx.before, ctx.weights, ctx.unimix = steps, before, w, plan.unimix
        return tuple(torch.stack([getattr(s, name) for s in steps], 1) for name in ("deter", "stoch", "prob"))

    @staticmethod
    def backward(ctx, d_deter: Tensor, d_stoch: Tensor, d_prob: Tensor):
        back, of_start = _Backward(ctx.weights, ctx.unimix), any(ctx.needs_input_grad[3:5])
        d_prob = d_prob + d_stoch.view_as(d_prob)
        h: Tensor | None = None  # gradients of the states before the step at hand
        s: Tensor | None = None
        for t in reversed(range(len(ctx.steps))):
            h, s = back.step(ctx.steps[t], d_deter[:, t], d_prob[:, t], h, s, of_start or t > 0)
        grads = back.weights(ctx.steps, ctx.before)
        given = torch.stack(back.d_given[::-1], 1)
        seen = torch.stack(back.d_seen[::-1], 1) if ctx.needs_input_grad[2] else None
        if h is not None:
            h = F.pad(h, (0, ctx.before[0].shape[1] - h.shape[1]))
        return None, given, seen, h, s, *grads


class _Backward:
    """The steps backwards: gradients of what entered each, gathered for the weights'."""

    def __init__(self, weights: Weights, unimix: float):
        self.w, self.unimix = weights, unimix
        self.d_given: list[Tensor] = []  # (B, W) a step, the last step first; so are the others
        self.d_gru: list[Tensor] = []
        self.d_seen: list[Tensor] = []
        self.d_logits: list[Tensor] = []
        self.norms: dict[str, list[tuple[Tensor, Tensor]]] = {"input": [], "gru": [], "head": []}

    def step(self, s: Step, d_deter: Tensor, d_prob: Tensor, later_h, later_s, further: bool):
        """Gradients of h_{t-1} (B, D) and s_{t-1} (B, S C), of those of a step's results and of the step after it."""
        w, size = self.w, self.w.gru.shape[0] // 3
        if later_s is not None:
            d_prob = d_prob + later_s.view_as(d_prob)
        d_soft = d_prob * (1.0 - self.unimix)
        d_logits = torch._softmax_backward_data(d_soft, s.soft, -1, s.soft.dtype).flatten(-2)
        d_read = torch.ops.aten.silu_backward(d_logits @ w.out, s.head.y)
        d_seen = self._norm("head", d_read, s.head, w.head_norm, w.head_bias)
        d_h = d_deter[:, :size] if later_h is None else d_deter[:, :size] + later_h
        d_h = torch.addmm(d_h, d_seen, w.head[:, :size])

        reset, candidate, proposed, update = s.gates
        hidden = s.joined.shape[1] - size
        before = s.joined[:, hidden:]
        d_mixed = torch.empty_like(s.gru.y)
        d_cut = torch.ops.aten.tanh_backward(d_h * update, proposed)
        parts = d_mixed.chunk(3, -1)
        torch.ops.aten.sigmoid_backward(d_cut * candidate, reset, grad_input=parts[0])
        torch.mul(d_cut, reset, out=parts[1])
        torch.ops.aten.sigmoid_backward(d_h * (proposed - before), update, grad_input=parts[2])
        d_gru = self._norm("gru", d_mixed, s.gru, w.gru_norm, w.gru_bias)
        d_joined = d_gru @ w.gru
        d_entered = torch.ops.aten.silu_backward(d_joined[:, :hidden], s.input.y)
        d_given = self._norm("input", d_entered, s.input, w.norm, w.norm_bias)

        for gathered, d in ((self.d_given, d_given), (self.d_gru, d_gru), (self.d_seen, d_seen),
                            (self.d_logits, d_logits)):  # fmt: skip
            gathered.append(d)
        if not further:
            return None, None
        return torch.addcmul(d_h + d_joined[:, hidden:], d_h, update, value=-1.0), d_given @ w.stoch

    def _norm(self, name: str, d: Tensor, normed: Normed, weight: Tensor, bias: Tensor) -> Tensor:
        """The gradient of a layer norm's input; those of its weight and bias are gathered."""
        d_x, d_weight, d_bias = _norm_backward(
            d, normed.x, list(weight.shape), normed.mean, normed.rstd, weight, bias, _AFFINE
        )
        self.norms[name].append((d_weight, d_bias))
        return d_x

    def weights(self, steps: list[Step], before: tuple[Tensor, Tensor]) -> Weights:
        """Gradients of all weights, each one product over all steps."""
        size = self.w.gru.shape[0] // 3
        back = steps[::-1]
        d_given, d_seen = torch.cat(self.d_given), torch.cat(self.d_seen)
        deter = torch.cat([s.deter for s in back])
        stoch = torch.cat([*(s.stoch for s in back[1:]), before[1]])
        affine = {
            name: [torch.stack(parts).sum(0) for parts in zip(*gathered, strict=True)]
            for name, gathered in self.norms.items()
        }
        return Weights(
            stoch=d_given.t() @ stoch,
            expected=None if self.w.expected is None else d_given.t() @ deter[:, size:],
            norm=affine["input"][0],
            norm_bias=affine["input"][1],
            gru=torch.cat(self.d_gru).t() @ torch.cat([s.joined for s in back]),
            gru_norm=affine["gru"][0],
            gru_bias=affine["gru"][1],
            head=d_seen.t() @ deter,
            head_norm=affine["head"][0],
            head_bias=affine["head"][1],
            out=torch.cat(self.d_logits).t() @ torch.cat([s.read for s in back]),
            out_bias=torch.cat(self.d_logits).sum(0),
        )


def _normed(x: Tensor, weight: Tensor, bias: Tensor) -> Normed:
    y, mean, rstd = _norm(x, list(weight.shape), weight, bias, EPS)
    return Normed(x, mean, rstd, y)
