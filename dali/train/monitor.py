"""What a run watches of itself besides its losses: how well the code tells the physics of episodes in the replay, and
films of its dreams.

For the log alone. Nothing here reaches a loss, moves a random generator, or is judged on evaluation contexts.
"""

from typing import Protocol

import numpy as np
import torch

from dali.codes.grouped import MIN_GROUPS
from dali.codes.probes import fit_probe, weighted_r2
from dali.envs.spec import EnvSpec
from dali.model.agent import Agent
from dali.train.replay import Replay

EPISODES = 256  # the latest that are read, one whole window each


class Films(Protocol):
    """Makes films of what an agent dreams (dali.train.film)."""

    @property
    def count(self) -> int:
        """Films a run."""

    def make(self, agent: Agent) -> bytes | None:
        """A GIF of what the agent dreams now; None where none can be made, which has been said."""


@torch.no_grad()
def probe_scores(agent: Agent, replay: Replay, spec: EnvSpec) -> dict[str, float]:
    """R² of a linear probe by context feature, as "probe/NAME"; nothing where no code is inferred or too few are known.

    Fitted on half of the training contexts that the replay holds and judged on the other half, which the probe has not
    seen but the encoder has: a sign of progress, not a figure of generalisation.
    """
    if not agent.method.infers_context:
        return {}
    obs, action, first, context = replay.whole_windows(EPISODES)
    values, group = np.unique(context.numpy(), axis=0, return_inverse=True)
    group, fitted = group.reshape(-1), group.reshape(-1) % 2 == 0
    if len(values) < 2 * MIN_GROUPS:
        return {}
    codes = agent.world_model.codes_after(*(part.to(agent.device) for part in (obs, action, first))).cpu().numpy()
    truth = context.numpy().astype(float)
    probe = fit_probe(codes[fitted], truth[fitted], group[fitted])
    judged = ~fitted
    scores = weighted_r2(truth[judged], probe.predict(codes[judged]), np.full(judged.sum(), 1.0))
    return {f"probe/{f.name}": r2 for f, r2 in zip(spec.features, scores, strict=True) if r2 is not None}
