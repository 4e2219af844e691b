"""The one return that a run is told by, wherever it is told: on the held-out contexts inside the train range."""

from dataclasses import dataclass

import numpy as np

from dali.envs.contexts import evaluation_grid
from dali.envs.spec import EnvSpec
from dali.returns.evaluation import Evaluation
from dali.returns.reference import load_references


@dataclass(frozen=True)
class HeldOutReturns:
    """Mean return of an episode in each of M contexts, of the agent and of random actions. agent, random: (M,)."""

    agent: np.ndarray
    random: np.ndarray
    reference: float | None = None  # mean return of the reference on the same contexts; None where none ships
    reference_kind: str | None = None

    @property
    def title(self) -> str:
        """Where it was measured, in words."""
        return f"{len(self.agent)} held-out contexts inside the train range"


def held_out_returns(spec: EnvSpec, evaluation: Evaluation) -> HeldOutReturns | None:
    """Returns on the protocol's contexts inside the train range; None where the evaluation lacks any of them."""
    contexts, regimes, _ = evaluation_grid(spec, "paper")
    wanted = contexts[np.array(regimes) == "interpolation"]
    places = {tuple(c): i for i, c in enumerate(evaluation.contexts.tolist())}
    if any(tuple(c) not in places for c in wanted.tolist()):
        return None
    played = evaluation.by_context.iloc[[places[tuple(c)] for c in wanted.tolist()]]
    agent, random = played["return"].to_numpy(float), played["random_return"].to_numpy(float)
    references = load_references(spec.name)
    reference = np.nan if references is None else references.at(wanted)[1].mean()
    if references is None or np.isnan(reference):
        return HeldOutReturns(agent, random)
    return HeldOutReturns(agent, random, float(reference), references.expert_kind)
