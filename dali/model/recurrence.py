"""The RSSM's recurrence over a sequence as one node of autograd, with its gradient written out.

One step, of h_{t-1}, s_{t-1}, what was projected of action and context, and, of a model with an expectation, e_t:

    x   = SiLU(LN(W_s s_{t-1} + given_t + W_e e_t))
    h_t = GRU(x, h_{t-1}), with a layer norm over its three parts
    p_t = unimix(softmax(W_o SiLU(LN(W_h [h_t, e_t] + seen_t))))      posterior, or prior where nothing is seen
    s_t = a draw of p_t, or p_t itself; either way its gradient is taken to be p_t's (straight-through)

Left to autograd, each weight's gradient would be one product and one sum a step. Here it is one product for all steps
together, over tensors that lie in the order of time, and a step leaves 12 tensors behind in place of some 60 nodes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from dali.model.dists import Draw, draw_at, sample_onehot
from dali.model.nets import NORM_EPS, Normed, norm_act, norm_act_backward, norm_backward
from dali.model.shapes import Float

WORTH_LAYING_OUT = 8  # steps

# (step, deter, stoch) -> e_t, which hands no gradient on.
Expectation = Callable[[int, Float[Tensor, "B DO"], Float[Tensor, "B SC"]], Float[Tensor, "B O"]]


class Weights(NamedTuple):
    """What a step multiplies by; ``head`` is of the posterior or of the prior."""

    stoch: Float[Tensor, "W SC"]
    expected: Float[Tensor, "W O"] | None
    norm: Float[Tensor, "W"]
    norm_bias: Float[Tensor, "W"]
    gru: Float[Tensor, "G WD"]
    gru_norm: Float[Tensor, "G"]
    gru_bias: Float[Tensor, "G"]
    head: Float[Tensor, "W DO"]
    head_norm: Float[Tensor, "W"]
    head_bias: Float[Tensor, "W"]
    out: Float[Tensor, "SC W"]
    out_bias: Float[Tensor, "SC"]

    def laid_out(self) -> "Weights":
        """The same numbers in the order of their transposes, in which small products are up to a fifth faster."""
        return self._replace(stoch=self.stoch.t().contiguous().t(), gru=self.gru.t().contiguous().t())


@dataclass(frozen=True)
class Plan:
    """What a sequence of steps is given besides tensors that hand gradients on."""

    groups: int
    unimix: float
    noise: Draw  # (B, T, S) for a sequence
    expectation: Expectation | None


class Step(NamedTuple):
    """What one step leaves; all but the two states is for its gradient."""

    deter: Float[Tensor, "B DO"]
    stoch: Float[Tensor, "B SC"]
    joined: Float[Tensor, "B WD"]  # x and h_{t-1}
    input: Normed
    gru: Normed
    gates: tuple[Float[Tensor, "B D"], ...]  # reset, candidate, what is proposed of both, update
    head: Normed
    soft: Float[Tensor, "B S C"]  # before unimix
    prob: Float[Tensor, "B S C"]


def advance(
    weights: Weights,
    plan: Plan,
    deter: Float[Tensor, "B DO"],
    entering: Float[Tensor, "B W"],
    expected: Float[Tensor, "B O"] | None,
) -> tuple[Float[Tensor, "B DO"], Float[Tensor, "B S C"]]:
    """h_t and p_t of one step of the prior, for no gradient.

    Args:
        entering: what s_{t-1}, action and context come to.
    """
    taken = _step(weights, plan, None, deter, entering, expected, None)
    return taken.deter, taken.prob


def _step(
    weights: Weights,
    plan: Plan,
    t: int | None,
    deter: Float[Tensor, "B DO"],
    entering: Float[Tensor, "B W"],
    expected: Float[Tensor, "B O"] | None,
    seen: Float[Tensor, "B W"] | None,
) -> Step:
    """One step, from h_{t-1} and what s_{t-1}, action and context come to; no draw without a ``t``."""
    w, size = weights, weights.gru.shape[0] // 3
    if expected is not None and w.expected is not None:
        entering = torch.addmm(entering, expected, w.expected.t())
    entered = norm_act(entering, w.norm, w.norm_bias)
    before = deter[:, :size]
    joined = torch.cat([entered.active, before], -1)
    product = joined @ w.gru.t()
    y, mean, rstd = torch.ops.aten.native_layer_norm(product, w.gru_norm.shape, w.gru_norm, w.gru_bias, NORM_EPS)
    mixed = Normed(product, mean, rstd, y, y)
    reset, candidate, update = y.chunk(3, -1)
    reset, update = torch.sigmoid(reset), (update - 1.0).sigmoid_()
    proposed = (reset * candidate).tanh_()
    after = torch.lerp(before, proposed, update)
    if expected is not None:
        after = torch.cat([after, expected], -1)
    head = after @ w.head.t() if seen is None else torch.addmm(seen, after, w.head.t())
    headed = norm_act(head, w.head_norm, w.head_bias)
    soft = F.softmax(torch.addmm(w.out_bias, headed.active, w.out.t()).unflatten(-1, (plan.groups, -1)), -1)
    prob = (soft * (1.0 - plan.unimix)).add_(plan.unimix / soft.shape[-1])
    drawn = prob if t is None else sample_onehot(prob, draw_at(plan.noise, t))
    gates = (reset, candidate, proposed, update)
    return Step(after, drawn.flatten(-2), joined, entered, mixed, gates, headed, soft, prob)


def roll(
    weights: Weights,
    plan: Plan,
    given: Float[Tensor, "B T W"],
    seen: Float[Tensor, "B T W"] | None,
    deter: Float[Tensor, "B DO"],
    stoch: Float[Tensor, "B SC"],
) -> tuple[Float[Tensor, "B T DO"], Float[Tensor, "B T SC"], Float[Tensor, "B T S C"]]:
    """T steps from the state before them.

    Args:
        given: what actions and contexts come to. seen: what observations come to, for a posterior.

    Returns:
        h_t, s_t and their probabilities.
    """
    return _Roll.apply(plan, given, seen, deter, stoch, *weights)


class _Roll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        plan: Plan,
        given: Float[Tensor, "B T W"],
        seen: Float[Tensor, "B T W"] | None,
        deter: Float[Tensor, "B DO"],
        stoch: Float[Tensor, "B SC"],
        *tensors: Any,  # the fields of Weights, since autograd watches no tuple
    ) -> tuple[Float[Tensor, "B T DO"], Float[Tensor, "B T SC"], Float[Tensor, "B T S C"]]:
        w = Weights(*tensors)
        if given.shape[1] >= WORTH_LAYING_OUT:
            w = w.laid_out()
        steps: list[Step] = []
        first = stoch
        for t in range(given.shape[1]):
            expected = None if plan.expectation is None else plan.expectation(t, deter, stoch)
            entering = torch.addmm(given[:, t], stoch, w.stoch.t())
            steps.append(_step(w, plan, t, deter, entering, expected, None if seen is None else seen[:, t]))
            deter, stoch = steps[-1].deter, steps[-1].stoch
        deters, stochs, probs = (torch.stack([getattr(s, n) for s in steps], 1) for n in ("deter", "stoch", "prob"))
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(deters, stochs, first, *tensors)
            ctx.steps, ctx.unimix = steps, plan.unimix
        return deters, stochs, probs

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, d_deter: Float[Tensor, "B T DO"], d_stoch: Float[Tensor, "B T SC"], d_prob: Float[Tensor, "B T S C"]
    ) -> tuple[Float[Tensor, "..."] | None, ...]:
        deters, stochs, first, *tensors = ctx.saved_tensors
        back, of_start = _Backward(Weights(*tensors), ctx.unimix), any(ctx.needs_input_grad[3:5])
        d_soft = (d_prob + d_stoch.view_as(d_prob)).mul_(1.0 - ctx.unimix)
        h: Tensor | None = None  # gradients of the states before the step at hand
        s: Tensor | None = None
        for t in reversed(range(len(ctx.steps))):
            h, s = back.step(ctx.steps[t], d_deter[:, t], d_soft[:, t], h, s, of_start or t > 0)
        before = torch.cat([first.unsqueeze(1), stochs[:, :-1]], 1)
        given, seen, grads = back.gathered(ctx.steps, deters, before)
        if h is not None:
            h = F.pad(h, (0, deters.shape[-1] - h.shape[1]))
        return None, given, seen if ctx.needs_input_grad[2] else None, h, s, *grads


class _Backward:
    """The steps backwards: gradients of what entered each, gathered for the weights'."""

    def __init__(self, weights: Weights, unimix: float):
        self.w, self.unimix = weights, unimix
        self.d_given: list[Float[Tensor, "B W"]] = []  # one a step, the last step first; so are the others
        self.d_gru: list[Float[Tensor, "B G"]] = []
        self.d_seen: list[Float[Tensor, "B W"]] = []
        self.d_logits: list[Float[Tensor, "B SC"]] = []
        self.norms: list[tuple[Tensor, ...]] = []  # of a step: of the weights and biases of its three norms

    def step(
        self,
        s: Step,
        d_deter: Float[Tensor, "B DO"],
        d_soft: Float[Tensor, "B S C"],
        later_h: Float[Tensor, "B D"] | None,
        later_s: Float[Tensor, "B SC"] | None,
        further: bool,
    ) -> tuple[Float[Tensor, "B D"] | None, Float[Tensor, "B SC"] | None]:
        """Gradients of h_{t-1} and s_{t-1}, of those of a step's results and of the step after it."""
        w, size = self.w, self.w.gru.shape[0] // 3
        if later_s is not None:
            d_soft = torch.add(d_soft, later_s.view_as(d_soft), alpha=1.0 - self.unimix)
        d_logits = torch._softmax_backward_data(d_soft, s.soft, -1, s.soft.dtype).flatten(-2)
        d_seen, *of_head = norm_act_backward(d_logits @ w.out, s.head, w.head_norm, w.head_bias)
        d_h = d_deter[:, :size] if later_h is None else d_deter[:, :size] + later_h
        d_h = torch.addmm(d_h, d_seen, w.head[:, :size])

        reset, candidate, proposed, update = s.gates
        hidden = s.joined.shape[1] - size
        d_mixed = torch.empty_like(s.gru.y)
        parts = d_mixed.chunk(3, -1)
        d_cut = torch.ops.aten.tanh_backward(d_h * update, proposed)
        torch.ops.aten.sigmoid_backward(d_cut * candidate, reset, grad_input=parts[0])
        torch.mul(d_cut, reset, out=parts[1])
        difference = (proposed - s.joined[:, hidden:]).mul_(d_h)
        torch.ops.aten.sigmoid_backward(difference, update, grad_input=parts[2])
        d_gru, *of_gru = norm_backward(d_mixed, s.gru, w.gru_norm, w.gru_bias)
        d_joined = d_gru @ w.gru
        d_given, *of_input = norm_act_backward(d_joined[:, :hidden], s.input, w.norm, w.norm_bias)

        self.d_given.append(d_given)
        self.d_gru.append(d_gru)
        self.d_seen.append(d_seen)
        self.d_logits.append(d_logits)
        self.norms.append((*of_input, *of_gru, *of_head))
        if not further:
            return None, None
        d_before = torch.addcmul(d_joined[:, hidden:] + d_h, d_h, update, value=-1.0)
        return d_before, d_given @ w.stoch

    def gathered(
        self, steps: list[Step], deter: Float[Tensor, "B T DO"], before: Float[Tensor, "B T SC"]
    ) -> tuple[Float[Tensor, "B T W"], Float[Tensor, "B T W"], Weights]:
        """Gradients of ``given`` and ``seen``, and of all weights, each one product over all steps.

        Args:
            deter: of the steps. before: s_{t-1} at index t.
        """
        size = self.w.gru.shape[0] // 3
        d_given, d_gru, d_seen, d_logits = (
            torch.stack(d[::-1], 1) for d in (self.d_given, self.d_gru, self.d_seen, self.d_logits)
        )
        given, gru, seen, logits = (d.flatten(0, 1).t() for d in (d_given, d_gru, d_seen, d_logits))
        joined, read = (torch.stack(x, 1).flatten(0, 1) for x in zip(*((s.joined, s.head.active) for s in steps),
                                                                      strict=True))  # fmt: skip
        deter = deter.flatten(0, 1)
        norms = [torch.stack(parts).sum(0) for parts in zip(*self.norms, strict=True)]
        weights = Weights(
            stoch=given @ before.flatten(0, 1),
            expected=None if self.w.expected is None else given @ deter[:, size:],
            norm=norms[0],
            norm_bias=norms[1],
            gru=gru @ joined,
            gru_norm=norms[2],
            gru_bias=norms[3],
            head=seen @ deter,
            head_norm=norms[4],
            head_bias=norms[5],
            out=logits @ read,
            out_bias=d_logits.sum((0, 1)),
        )
        return d_given, d_seen, weights
