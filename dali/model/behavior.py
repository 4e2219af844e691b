"""Actor and critic, trained on imagined states alone (DreamerV3)."""

import torch
from torch import Tensor, nn

from dali.config import ModelConfig, TrainConfig
from dali.model.dists import (
    bounded_normal,
    normal_entropy,
    normal_log_prob,
    sample_onehot,
    twohot_bins,
    twohot_losses,
    twohot_mean,
    unimix_probs,
)
from dali.model.nets import MLP, Features
from dali.model.shapes import Float


class Behavior(nn.Module):
    """The policy, its critic, the critic's slow copy, and the running range of returns."""

    support: Float[Tensor, "bins"]
    return_low: Float[Tensor, ""]
    return_high: Float[Tensor, ""]

    def __init__(self, config: ModelConfig, feature_dim: int, action_dim: int, discrete: bool):
        super().__init__()
        self.discrete, self.unimix = discrete, config.unimix
        width_out = action_dim if discrete else 2 * action_dim
        self.actor = MLP(feature_dim, width_out, config.units, config.layers, out_scale=0.01)
        self.critic = MLP(feature_dim, config.bins, config.units, config.layers, out_scale=0.0)
        self.slow_critic = MLP(feature_dim, config.bins, config.units, config.layers, out_scale=0.0)
        self.slow_critic.load_state_dict(self.critic.state_dict())
        self.slow_critic.requires_grad_(False)
        self.register_buffer("support", twohot_bins(config.bins), persistent=False)
        self.register_buffer("return_low", torch.zeros(()))
        self.register_buffer("return_high", torch.zeros(()))

    def sample(self, raw: Float[Tensor, "*B U"], noise: Float[Tensor, "*B noise"] | None) -> Float[Tensor, "*B A"]:
        """Actions as drawn from the policy: one-hot, or a normal sample that may leave [-1, 1].

        Args:
            raw: outputs of the actor, A or 2 A.
            noise: one uniform number (discrete) or A standard normal ones (continuous); None takes the mode.
        """
        if self.discrete:
            return sample_onehot(unimix_probs(raw, self.unimix), None if noise is None else noise.squeeze(-1))
        mean, std = bounded_normal(raw)
        return mean if noise is None else mean + std * noise

    def act(self, features: Features, noise: Float[Tensor, "*B noise"] | None) -> Float[Tensor, "*B A"]:
        """Actions as the environment takes them: one-hot, or in [-1, 1]. Noise as in ``sample``."""
        return self.sample(self.actor(features), noise).clamp(-1.0, 1.0)

    def noise(
        self, *shape: int, action_dim: int, generator: torch.Generator, device: torch.device | str
    ) -> Float[Tensor, "*B noise"]:
        """The random numbers that ``act`` takes, for actions of shape (*shape, A)."""
        if self.discrete:
            return torch.rand(*shape, 1, generator=generator, device=device)
        return torch.randn(*shape, action_dim, generator=generator, device=device)

    def loss(
        self,
        features: Features,
        raw: Float[Tensor, "B H U"],
        action: Float[Tensor, "B H A"],
        reward: Float[Tensor, "B H"],
        cont: Float[Tensor, "B H"],
        train: TrainConfig,
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Actor and critic losses on imagined trajectories that carry no gradient.

        Args:
            features: (B, H + 1, I). raw: outputs of the actor at the first H of them, with gradient.
            action: samples of the policy, before any clipping.
            reward, cont: predictions at the state that each action leads to.
        """
        in_time = features.transpose(0, 1)  # the order in which dreams lie, so that nothing is copied
        acted = in_time[:-1].flatten(0, 1)  # (H * B, I)
        logits = self.critic(acted)
        with torch.no_grad():
            discount = train.discount * cont
            value = torch.cat([twohot_mean(x, self.support) for x in (logits, self.critic(in_time[-1]))])
            value = value.view(-1, len(features)).t()  # (B, H + 1)
            slow = twohot_mean(self.slow_critic(acted), self.support).view(-1, len(features)).t()  # (B, H)
            returns = lambda_return(reward, value[:, 1:], discount, train.lambda_)  # (B, H)
            weight = torch.cat([torch.ones_like(cont[:, :1]), discount[:, :-1]], 1).cumprod(1)  # (B, H)
            scale = self._track_return_range(returns, train.return_decay)
            advantage = (returns - value[:, :-1]) / scale
        log_prob, entropy = self._log_prob(raw, action)
        actor = -(weight * (log_prob * advantage + train.entropy * entropy)).mean()

        targets = torch.stack([returns.t(), slow.t()], -1).flatten(0, 1)  # (H * B, 2)
        critic = (weight.t().flatten() * twohot_losses(logits, targets, self.support).sum(-1)).mean()
        metrics = {
            "loss/actor": actor.detach(),
            "loss/critic": critic.detach(),
            "policy/entropy": entropy.detach().mean(),
            "imagined/return": returns.mean(),
            "imagined/return_range": scale,
        }
        return actor + critic, metrics

    def _log_prob(
        self, raw: Float[Tensor, "B H U"], action: Float[Tensor, "B H A"]
    ) -> tuple[Float[Tensor, "B H"], Float[Tensor, "B H"]]:
        """Log-probability and entropy of the actions drawn from outputs of the actor."""
        if self.discrete:
            log_probs = unimix_probs(raw, self.unimix).log()
            return (log_probs * action).sum(-1), -(log_probs.exp() * log_probs).sum(-1)
        mean, std = bounded_normal(raw)
        return normal_log_prob(action, mean, std), normal_entropy(std)

    def _track_return_range(self, returns: Float[Tensor, "B H"], decay: float) -> Float[Tensor, ""]:
        """max(1, P95 - P5) of returns, both percentiles as moving averages (DreamerV3 eq. 7)."""
        low, high = torch.quantile(returns.flatten(), returns.new_tensor([0.05, 0.95]))
        self.return_low.lerp_(low, 1.0 - decay)
        self.return_high.lerp_(high, 1.0 - decay)
        return (self.return_high - self.return_low).clamp_min(1.0)

    @torch.no_grad()
    def update_slow_critic(self, decay: float) -> None:
        slow: list[Tensor] = list(self.slow_critic.parameters())
        fast: list[Tensor] = list(self.critic.parameters())
        torch._foreach_lerp_(slow, fast, 1.0 - decay)


def lambda_return(
    reward: Float[Tensor, "B H"], value: Float[Tensor, "B H"], discount: Float[Tensor, "B H"], lambda_: float
) -> Float[Tensor, "B H"]:
    """Bootstrapped lambda-returns of H steps (DreamerV3 eq. 7), one for each action.

    R_t = r_{t+1} + d_{t+1} ((1 - lambda) v_{t+1} + lambda R_{t+1}), R_H = v_H.

    Args:
        reward, value, discount: at the state that each action leads to.
    """
    out = torch.empty_like(reward)
    following = value[:, -1]
    for t in reversed(range(reward.shape[1])):
        following = reward[:, t] + discount[:, t] * ((1.0 - lambda_) * value[:, t] + lambda_ * following)
        out[:, t] = following
    return out
