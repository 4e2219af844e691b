"""One update: world model, context encoder, actor and critic from one batch of replay."""

import math

import torch
from torch import Tensor

from dali.config import RunConfig, TrainConfig
from dali.errors import TrainingError
from dali.model.agent import Agent
from dali.model.batch import Batch
from dali.model.context_losses import context_loss
from dali.model.imagination import Imagined, imagine
from dali.model.losses import ensemble_loss, world_model_loss
from dali.model.nets import Evaluation, Features
from dali.model.rssm import LatentState
from dali.train.precision import matmul_precision


class Learner:
    """Owns the optimizer, the carried latent states of the replay's rows and the generator of all noise."""

    def __init__(self, agent: Agent, train: TrainConfig, updates: int, generator: torch.Generator):
        """``updates`` is the number that the whole run will make; the schedules span it."""
        self.agent, self.train, self.generator = agent, train, generator
        self.total_updates = max(updates, 1)
        self.update_count = 0
        self.carry = agent.world_model.rssm.initial(train.batch, agent.device)
        self.groups = parameter_groups(agent)
        self.optimizer = torch.optim.Adam(
            [{"params": params, "name": name} for name, params in self.groups.items() if params],
            eps=1e-8,
            fused=True,
        )

    def update(self, batch: Batch) -> dict[str, Tensor]:
        """Learns from one batch; returns detached scalars. A non-finite loss raises and changes no weight.

        The first updates train the autoencoder of an agent of pixels, the next the code alone and then the dynamics
        ensemble alone, so that the world model meets ones that mean something and stay put.
        """
        batch = batch.to(self.agent.device)
        model = self.agent.world_model
        seeing = autoencoder_updates(self.agent.config)
        if self.update_count < seeing:
            assert model.autoencoder is not None
            pixels, bend = model.autoencoder.loss(batch.frames)
            # From 0 on: a path that is straight at once is a point, from which pictures are slow to part.
            loss = self.train.pixels * pixels + self.train.curvature * min(1.0, 2.0 * self.update_count / seeing) * bend
            metrics = {"loss/pixels": pixels.detach(), "loss/bend": bend.detach(), "loss/total": loss.detach()}
            self._step(loss, metrics)
            return metrics
        coded = seeing + warmup_updates(self.agent.config)
        if self.update_count < coded:
            loss = context_loss(model, batch, self.train, self.generator)
            metrics = {"loss/forward_dynamics": loss.detach(), "loss/total": loss.detach()}
            self._step(self.train.reconstruction * loss, metrics)  # as heavy as later, or Adam's moments would jump
            return metrics
        modelled = coded + ensemble_updates(self.agent.config)
        if self.update_count < modelled:
            loss = ensemble_loss(model, batch)
            metrics = {"loss/ensemble": loss.detach(), "loss/total": loss.detach()}
            self._step(self.train.reconstruction * loss, metrics)
            return metrics
        with matmul_precision(self.train.matmul_precision):
            return self._learn_model(batch, (self.update_count - modelled) % self.train.context_every == 0)

    def _learn_model(self, batch: Batch, learn_code: bool) -> dict[str, Tensor]:
        """World model, and where they are due context encoder, actor and critic."""
        carried = self.carry.masked(~batch.fresh)
        output = world_model_loss(self.agent.world_model, batch, carried, self.train, self.generator, learn_code)
        loss, metrics = output.loss, output.metrics
        behaves = self.update_count % self.train.behavior_every == 0
        if behaves:
            behavior_loss, behavior_metrics = self._behavior_loss(output.states, output.context, output.mask)
            loss, metrics = loss + behavior_loss, {**metrics, **behavior_metrics}
        metrics["loss/total"] = loss.detach()
        self._step(loss, metrics)
        if behaves:
            self.agent.behavior.update_slow_critic(self.train.critic_decay)
        self.carry = output.states.index(slice(None), -1).detach()
        return metrics

    def _step(self, loss: Tensor, metrics: dict[str, Tensor]) -> None:
        """One step of the optimizer down ``loss``; adds the gradients' norms to the metrics."""
        if not math.isfinite(metrics["loss/total"].item()):
            parts = ", ".join(f"{k} {float(v):.3g}" for k, v in metrics.items() if k.startswith("loss/"))
            raise TrainingError(f"The loss is not finite at update {self.update_count}: {parts}.")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for name, params in self.groups.items():
            if reached := [p for p in params if p.grad is not None]:
                metrics[f"gradient/{name}"] = torch.nn.utils.clip_grad_norm_(reached, self.train.clip).detach()
        self._set_rates()
        self.optimizer.step()
        self.update_count += 1

    def _behavior_loss(self, states: LatentState, context: Tensor, mask: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Scores the behaviour on trajectories imagined from the posterior states."""
        dream, drawn, raw = self.imagine_starts(states, context, mask)
        with torch.no_grad():
            reached = dream.features.transpose(0, 1)[1:]  # in the order of time, in which they lie
            reward = self.agent.world_model.predict_reward(reached).t()
            cont = self.agent.world_model.predict_continue(reached).t()
        return self.agent.behavior.loss(dream.features, raw, drawn, reward, cont, self.train)

    def imagine_starts(self, states: LatentState, context: Tensor, mask: Tensor) -> tuple[Imagined, Tensor, Tensor]:
        """Imagines from a random subset of the states (B, T, ...) where the mask (B, T) holds.

        Returns:
            The dream, the actions (starts, H, A) as the policy drew them, before clipping, and the actor's outputs
            (starts, H, .) that they were drawn from, the only ones with a gradient.
        """
        agent, train = self.agent, self.train
        usable = mask.flatten().nonzero().squeeze(-1)
        order = torch.rand(usable.shape[0], generator=self.generator, device=usable.device).argsort()
        chosen = usable[order[: train.starts]]
        count = chosen.shape[0]
        latent_noise = agent.world_model.latent_noise(count, train.horizon, generator=self.generator)
        action_noise = agent.behavior.noise(
            count, train.horizon, action_dim=agent.spec.action_dim, generator=self.generator, device=agent.device
        )
        begun = LatentState(states.deter.detach().flatten(0, 1)[chosen], states.stoch.detach().flatten(0, 1)[chosen])
        # A GPU multiplies faster than it looks up.
        drawing = isinstance(latent_noise, Tensor) and agent.device.type == "cpu"
        start = agent.world_model.rssm.picked(begun) if drawing else begun
        drawn: list[Tensor] = []
        actor = Evaluation(agent.behavior.actor, train.horizon, count)

        def policy(features: Features, t: int) -> Tensor:
            drawn.append(agent.behavior.sample(actor.step(t, features), action_noise[:, t]))
            return drawn[-1].clamp(-1.0, 1.0)

        held = context.flatten(0, 1)[chosen]
        dream = imagine(agent.world_model, start, held, policy, train.horizon, latent_noise)
        acted = dream.features.transpose(0, 1)[:-1].flatten(0, 1)
        raw = actor.with_gradient(acted).unflatten(0, (-1, count)).transpose(0, 1)
        return dream, torch.stack(drawn).transpose(0, 1), raw

    def _set_rates(self) -> None:
        """Sets the learning rates of this update.

        The context encoder's falls by a cosine over its warm-up, and stays low so that the code keeps its meaning, as
        the autoencoder's does over the updates before that, to go on as the world model's; the ensemble's falls to a
        tenth over the updates that train it alone; all fall together over what ``anneal`` leaves of the run.
        """
        train, config = self.train, self.agent.config
        warmup, seeing, alone = warmup_updates(config), autoencoder_updates(config), ensemble_updates(config)
        seen = self.update_count - seeing
        begun = cosine_decay(seen / warmup) if warmup else 0.0
        fitted = cosine_decay((seen - warmup) / alone) if alone else 0.0
        progress = (seen - warmup - alone) / max(1, self.total_updates - seeing - warmup - alone)
        late = cosine_decay((progress - train.anneal) / (1.0 - train.anneal)) if train.anneal < 1 else 1.0
        left = train.anneal_to + (1.0 - train.anneal_to) * late
        rates = {
            "context": (train.context_lr_final + (train.context_lr - train.context_lr_final) * begun) * left,
            "ensemble": train.ensemble_lr * (0.1 + 0.9 * fitted) * left,
            "model": train.model_lr * left,
            "actor": train.actor_lr * left,
            "critic": train.critic_lr * left,
            "autoencoder": train.model_lr * left,
        }
        if seen < 0:  # while the autoencoder learns alone
            rates["autoencoder"] = train.autoencoder_lr * cosine_decay(self.update_count / seeing)
        for group in self.optimizer.param_groups:
            group["lr"] = rates[group["name"]]

    def state(self) -> dict[str, Tensor]:
        """Optimizer moments and carried states, for an exact resume."""
        tensors = {"carry.deter": self.carry.deter, "carry.stoch": self.carry.stoch}
        for index, moments in self.optimizer.state_dict()["state"].items():
            for name, value in moments.items():
                tensors[f"optimizer.{index}.{name}"] = value
        return tensors

    def load_state(self, tensors: dict[str, Tensor], update_count: int) -> None:
        self.carry = LatentState(
            tensors["carry.deter"].to(self.agent.device), tensors["carry.stoch"].to(self.agent.device)
        )
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, index, name = key.split(".")
                moments.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        self.update_count = update_count


def warmup_updates(config: RunConfig) -> int:
    """Updates that train the code alone; none where no code is inferred."""
    return config.train.context_warmup if config.method.infers_context else 0


def ensemble_updates(config: RunConfig) -> int:
    """Updates that train the dynamics ensemble alone; none where there is none."""
    return config.train.ensemble_updates if config.model.ensemble else 0


def autoencoder_updates(config: RunConfig) -> int:
    """Updates that train the autoencoder of pictures alone; none where there are no pictures."""
    return config.train.autoencoder_updates if config.model.observation == "pixels" else 0


def cosine_decay(progress: float) -> float:
    """Half a cosine: 1 up to progress 0, 0 from progress 1 on."""
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, max(0.0, progress))))


# By group: how the names of its parameters begin; those of no other group are the model's.
_PARTS: dict[str, tuple[str, ...]] = {
    "context": ("world_model.context_encoder.", "world_model.forward_dynamics.", "world_model.cross_modal."),
    "ensemble": ("world_model.ensemble.",),
    "model": (),
    "actor": ("behavior.actor.",),
    "critic": ("behavior.critic.",),
    "autoencoder": ("world_model.autoencoder.",),
}


def parameter_groups(agent: Agent) -> dict[str, list[torch.nn.Parameter]]:
    """Every trainable parameter, in the group whose learning rate and clipping it gets."""
    groups: dict[str, list[torch.nn.Parameter]] = {name: [] for name in _PARTS}
    for name, parameter in agent.named_parameters():
        if parameter.requires_grad:
            groups[next((group for group, parts in _PARTS.items() if name.startswith(parts)), "model")].append(
                parameter
            )
    return groups
