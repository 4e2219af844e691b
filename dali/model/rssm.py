"""The recurrent state-space model: h_t = f(h_{t-1}, s_{t-1}, a_{t-1}), posterior q(s | h, o), prior p(s | h).

Where the model has an expectation, h_t also carries e_t, the observation (normalized, O numbers) that the dynamics
ensemble expects after the one before: in a dream after what (h_{t-1}, s_{t-1}) decodes to, while filtering after the
observation o_{t-1} itself. GRU, prior, posterior and all heads read it; the posterior also reads the innovation
o_t - e_t, and what the decoder says is added to e_t. At a first record, before which nothing is known, e_t = o_t.

A context of width 0, deep or shallow, is a method that does not use it there; so is an expectation.
"""

from dataclasses import dataclass
from typing import Literal, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dali.config import ModelConfig
from dali.model.dists import categorical_kl, sample_class, sample_onehot, unimix_probs
from dali.model.nets import NormAct, init_weights
from dali.model.recurrence import Expectation, Plan, Weights, advance, roll
from dali.model.shapes import Bool, Float, Int


@dataclass(frozen=True)
class LatentState:
    """Deterministic and stochastic state of a batch; leading axes are (B,) or (B, T)."""

    deter: Float[Tensor, "*B DO"]  # with the expectation, where there is one, behind it
    stoch: Float[Tensor, "*B SC"]  # concatenated one-hot groups

    def detach(self) -> "LatentState":
        return LatentState(self.deter.detach(), self.stoch.detach())

    def masked(self, keep: Bool[Tensor, "*B"]) -> "LatentState":
        """Zeros the states where ``keep`` does not hold: the state before an episode."""
        kept = keep.unsqueeze(-1).to(self.deter.dtype)
        return LatentState(self.deter * kept, self.stoch * kept)

    def index(self, *where: int | slice | Int[Tensor, "..."]) -> "LatentState":
        return LatentState(self.deter[where], self.stoch[where])


@dataclass(frozen=True)
class PickedState:
    """A state without gradient whose latents are one-hot: the columns of the ones in place of them."""

    deter: Float[Tensor, "*B DO"]
    columns: Int[Tensor, "*B S"]


State = TypeVar("State", bound=LatentState | PickedState)


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
        embed: Float[Tensor, "B T E"],
        prev_action: Float[Tensor, "B T A"],
        deep: Float[Tensor, "B T deep"],
        shallow: Float[Tensor, "B T shallow"],
        state: LatentState,
        noise: Float[Tensor, "#B T S"] | Literal["mean"] | None,
        expected: Float[Tensor, "B T O"] | None = None,
        innovation: Float[Tensor, "B T O"] | None = None,
    ) -> tuple[LatentState, Float[Tensor, "B T S C"]]:
        """Filters a sequence.

        Args:
            prev_action: a_{t-1} at index t.
            state: (B, ...), the posterior before the first step.
            noise: uniform, None for the mode, or "mean".
            expected, innovation: e_t, and o_t - e_t in sigma_Delta, of a model with an expectation.

        Returns:
            Posterior states (B, T, ...) and posterior probabilities.
        """
        # Everything that does not depend on the recurrence is projected for all steps at once.
        seen = self.posterior_given(torch.cat([embed, shallow], -1))
        if innovation is not None and self.posterior_innovation is not None:
            seen = seen + F.linear(innovation, self.posterior_innovation)
        given = self.input_given(torch.cat([prev_action, deep], -1))
        known = None if expected is None else (lambda t, deter, stoch: expected[:, t])
        plan = Plan(self.groups, self.unimix, noise, known)
        deter, stoch, prob = roll(self._posterior_weights(), plan, given, seen, state.deter, state.stoch)
        return LatentState(deter, stoch), prob

    def imagine(
        self,
        state: LatentState,
        action: Float[Tensor, "B T A"],
        deep: Float[Tensor, "B T deep"],
        noise: Float[Tensor, "#B T S"] | Literal["mean"] | None,
        expectation: Expectation | None = None,
    ) -> LatentState:
        """T steps of the prior: states (B, T, ...) from (B, ...) under actions and contexts.

        Args:
            noise: uniform, None for the mode, or "mean".
            expectation: gives e_t of the state before it, in a model with an expectation.
        """
        given = self.input_given(torch.cat([action, deep], -1))
        plan = Plan(self.groups, self.unimix, noise, expectation)
        deter, stoch, _ = roll(self._prior_weights(), plan, given, None, state.deter, state.stoch)
        return LatentState(deter, stoch)

    def imagine_step(
        self,
        state: State,
        action: Float[Tensor, "B A"],
        deep: Float[Tensor, "B deep"],
        noise: Float[Tensor, "#B S"] | Literal["mean"] | None,
        expected: Float[Tensor, "B O"] | None,
        weights: Weights,
    ) -> State:
        """One step of the prior: (B, ...) states under actions and a context.

        It hands no gradient on; ``imagine`` does. The weights are those of ``prior_weights``.
        """
        with torch.no_grad():
            given = self.input_given(torch.cat([action, deep], -1))
            plan = Plan(self.groups, self.unimix, None, None)
            if isinstance(state, PickedState):
                entering = F.embedding_bag(state.columns, weights.stoch.t(), mode="sum").add_(given)
            else:
                entering = torch.addmm(given, state.stoch, weights.stoch.t())
            deter, prob = advance(weights, plan, state.deter, entering, expected)
            following: LatentState | PickedState
            if isinstance(state, PickedState):
                assert not isinstance(noise, str)  # a mean is not one-hot
                following = PickedState(deter, self._columns(sample_class(prob, noise)))
            else:
                following = LatentState(deter, sample_onehot(prob, noise).flatten(-2))
            return cast(State, following)

    def picked(self, state: LatentState) -> PickedState:
        """States whose latents are one-hot, with their columns in place of them."""
        return PickedState(state.deter, self._columns(state.stoch.unflatten(-1, (self.groups, -1)).argmax(-1)))

    def _columns(self, classes: Int[Tensor, "*B S"]) -> Int[Tensor, "*B S"]:
        """Columns of the concatenated groups, of a class in each."""
        return classes + torch.arange(self.groups, device=classes.device) * self.classes

    def prior(self, deter: Float[Tensor, "*B DO"]) -> Float[Tensor, "*B S C"]:
        """Prior probabilities of the latents."""
        logits = self.prior_out(self.prior_norm(self.prior_deter(deter)))
        return unimix_probs(logits.unflatten(-1, (self.groups, self.classes)), self.unimix)

    def prior_weights(self) -> Weights:
        """What ``imagine_step`` multiplies by, laid out for many steps."""
        with torch.no_grad():
            return self._prior_weights().laid_out()

    def _posterior_weights(self) -> Weights:
        return self._weights(self.posterior_deter, self.posterior_norm, self.posterior_out)

    def _prior_weights(self) -> Weights:
        return self._weights(self.prior_deter, self.prior_norm, self.prior_out)

    def _weights(self, head: nn.Linear, norm: NormAct, out: nn.Linear) -> Weights:
        return Weights(
            stoch=self.input_stoch.weight,
            expected=self.input_expected.weight if self.expected else None,
            norm=self.input_norm.weight,
            norm_bias=self.input_norm.bias,
            gru=self.gru.weight,
            gru_norm=self.gru_norm.weight,
            gru_bias=self.gru_norm.bias,
            head=head.weight,
            head_norm=norm.weight,
            head_bias=norm.bias,
            out=out.weight,
            out_bias=out.bias,
        )


def kl_losses(
    posterior: Float[Tensor, "*B S C"], prior: Float[Tensor, "*B S C"], free_nats: float
) -> tuple[Float[Tensor, "*B"], Float[Tensor, "*B"]]:
    """Dynamics and representation losses of probabilities, in nats, each clipped below at ``free_nats`` [V3]."""
    dyn = categorical_kl(posterior.detach(), prior)
    rep = categorical_kl(posterior, prior.detach())
    return dyn.clamp_min(free_nats), rep.clamp_min(free_nats)
