"""The recurrent state-space model: h_t = f(h_{t-1}, s_{t-1}, a_{t-1}), posterior q(s | h, o), prior p(s | h).

Where the model has an expectation, h_t also carries e_t, the observation that the dynamics ensemble expects of what
(h_{t-1}, s_{t-1}) decodes to (normalized, O numbers): a deterministic function of the same arguments, which the GRU,
the prior, the posterior and all heads read. The posterior also reads the innovation o_t - e_t, and what the decoder
says is added to e_t. At the first record of a sequence, before which nothing is known, e_t is the observation itself.

Shapes: B batch, T time, D deterministic state, S x C stochastic groups x classes, A action, E embedding, X context,
O observation. A context of width 0 is a method that does not use it there; so is an expectation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dali.config import ModelConfig
from dali.model.dists import Draw, categorical_kl, draw_at, sample_onehot, unimix_probs
from dali.model.nets import NormAct, init_weights


@dataclass(frozen=True)
class LatentState:
    """Deterministic and stochastic state of a batch; leading axes are (B,) or (B, T)."""

    deter: Tensor  # (..., D), or (..., D + O) with the expectation behind it
    stoch: Tensor  # (..., S * C), concatenated one-hot groups

    def detach(self) -> "LatentState":
        return LatentState(self.deter.detach(), self.stoch.detach())

    def masked(self, keep: Tensor) -> "LatentState":
        """Zeros the states where keep (...,) is 0: the state before an episode."""
        keep = keep.unsqueeze(-1).to(self.deter.dtype)
        return LatentState(self.deter * keep, self.stoch * keep)

    def index(self, *where) -> "LatentState":
        return LatentState(self.deter[where], self.stoch[where])


# What is expected (B, O) after states (B, ...) at step t of a sequence, and the innovation (B, O) of what is observed.
Expectation = Callable[["LatentState", int], tuple[Tensor, Tensor]]


class RSSM(nn.Module):
    """Sequence model, posterior and prior.

    ``deep`` and ``shallow`` are the widths of the context they read, ``expected`` that of the expectation.
    """

    def __init__(self, config: ModelConfig, embed: int, action_dim: int, deep: int, shallow: int, expected: int = 0):
        super().__init__()
        self.expected = expected
        self.deter, self.groups, self.classes = config.deter, config.stoch, config.classes
        self.stoch = config.stoch * config.classes
        self.unimix = config.unimix
        hidden = config.hidden
        self.input_stoch = nn.Linear(self.stoch, hidden, bias=False)
        self.input_given = nn.Linear(action_dim + deep, hidden, bias=False)
        if expected:
            self.input_expected = nn.Linear(expected, hidden, bias=False)
        self.input_norm = NormAct(hidden)
        self.gru = nn.Linear(hidden + self.deter, 3 * self.deter, bias=False)
        self.gru_norm = nn.LayerNorm(3 * self.deter, eps=1e-3)
        self.posterior_deter = nn.Linear(self.deter + expected, hidden, bias=False)
        self.posterior_given = nn.Linear(embed + shallow, hidden, bias=False)
        self.posterior_innovation = nn.Parameter(torch.zeros(hidden, expected)) if expected else None
        self.posterior_norm = NormAct(hidden)
        self.posterior_out = nn.Linear(hidden, self.stoch)
        self.prior_deter = nn.Linear(self.deter + expected, hidden, bias=False)
        self.prior_norm = NormAct(hidden)
        self.prior_out = nn.Linear(hidden, self.stoch)
        init_weights(self)

    def initial(self, batch: int, device: torch.device | str) -> LatentState:
        deter = torch.zeros(batch, self.deter + self.expected, device=device)
        return LatentState(deter, torch.zeros(batch, self.stoch, device=device))

    def observe(
        self,
        embed: Tensor,
        prev_action: Tensor,
        deep: Tensor,
        shallow: Tensor,
        state: LatentState,
        noise: Draw,
        expect: Expectation | None = None,
    ) -> tuple[LatentState, Tensor]:
        """Filters a sequence.

        Args:
            embed: (B, T, E). prev_action: (B, T, A), a_{t-1} at index t. deep, shallow: (B, T, X), X may be 0.
            state: the posterior before the first step.
            noise: (B, T, S) uniform, None for the mode, or "mean".
            expect: what is expected after each state, of a model with an expectation.

        Returns:
            Posterior states (B, T, ...) and posterior probabilities (B, T, S, C).
        """
        # Everything that does not depend on the recurrence is projected for all steps at once.
        given = self.input_given(torch.cat([prev_action, deep], -1)).unbind(1)
        seen = self.posterior_given(torch.cat([embed, shallow], -1)).unbind(1)
        deter, stoch = state.deter, state.stoch
        deters, stochs, probs = [], [], []
        for t in range(len(given)):
            expected, shown = None, seen[t]
            if expect is not None:
                assert self.posterior_innovation is not None
                expected, innovation = expect(LatentState(deter, stoch), t)
                shown = shown + F.linear(innovation, self.posterior_innovation)
            deter = self._sequence_step(deter, stoch, given[t], expected)
            logits = self.posterior_out(self.posterior_norm(self.posterior_deter(deter) + shown))
            prob = self._probs(logits)
            stoch = sample_onehot(prob, draw_at(noise, t)).flatten(-2)
            deters.append(deter)
            stochs.append(stoch)
            probs.append(prob)
        return LatentState(torch.stack(deters, 1), torch.stack(stochs, 1)), torch.stack(probs, 1)

    def imagine_step(
        self, state: LatentState, action: Tensor, deep: Tensor, noise: Draw, expected: Tensor | None = None
    ) -> LatentState:
        """One step of the prior: (B, ...) states under actions (B, A) and a context (B, X); noise is (B, S) here."""
        given = self.input_given(torch.cat([action, deep], -1))
        deter = self._sequence_step(state.deter, state.stoch, given, expected)
        return LatentState(deter, sample_onehot(self.prior(deter), noise).flatten(-2))

    def prior(self, deter: Tensor) -> Tensor:
        """Prior probabilities (..., S, C) for (..., D)."""
        return self._probs(self.prior_out(self.prior_norm(self.prior_deter(deter))))

    def _sequence_step(self, deter: Tensor, stoch: Tensor, given: Tensor, expected: Tensor | None) -> Tensor:
        """h_t from h_{t-1}, s_{t-1} and the projected action and context, a GRU with layer norm; and e_t behind it."""
        x = self.input_stoch(stoch) + given
        if expected is not None:
            x = x + self.input_expected(expected)
            deter = deter[..., : self.deter]
        x = self.input_norm(x)
        reset, candidate, update = self.gru_norm(self.gru(torch.cat([x, deter], -1))).chunk(3, -1)
        candidate = torch.tanh(torch.sigmoid(reset) * candidate)
        deter = torch.lerp(deter, candidate, torch.sigmoid(update - 1.0))
        return deter if expected is None else torch.cat([deter, expected], -1)

    def _probs(self, logits: Tensor) -> Tensor:
        return unimix_probs(logits.unflatten(-1, (self.groups, self.classes)), self.unimix)


def kl_losses(posterior: Tensor, prior: Tensor, free_nats: float) -> tuple[Tensor, Tensor]:
    """Dynamics and representation losses (...,) of probabilities (..., S, C), each clipped below at free_nats [V3]."""
    dyn = categorical_kl(posterior.detach(), prior)
    rep = categorical_kl(posterior, prior.detach())
    return dyn.clamp_min(free_nats), rep.clamp_min(free_nats)
