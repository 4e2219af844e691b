"""What moving one dimension of the code does to dreams: the plausibility test, dimension by dimension.

From the same start and actions, each held-out episode is dreamed twice: under its code z, and under z ± k σ_j e_j, the
sign drawn at random an episode. The better a classifier tells the two kinds apart, the more the world model uses j.

Shapes: E episodes, Z code, H horizon, O observation.
"""

from dataclasses import dataclass

import numpy as np

from dali.dreams.counterfactual import dream_pair
from dali.dreams.observation import observer_of
from dali.dreams.plausibility import MIN_EPISODES, Plausibility, plausibility
from dali.dreams.steering import HORIZONS, START
from dali.episodes import Episodes
from dali.errors import DaliError
from dali.jobs import Report, unreported
from dali.model.agent import Agent

HORIZON = min(HORIZONS)


@dataclass(frozen=True)
class DimensionEffect:
    """The effect of one code dimension.

    Attributes:
        shift: mean root mean square change of the dream, in the data's standard deviations (of the embedding's and its
            change's dimensions, for an agent of pixels).
        test: how well changed dreams are told from unchanged ones.
    """

    dimension: int
    shift: float
    test: Plausibility


def dimension_effects(
    agent: Agent,
    episodes: Episodes,
    sigma: np.ndarray,
    k: float = 2.0,
    seed: int = 0,
    permutations: int = 200,
    report: Report = unreported,
) -> list[DimensionEffect]:
    """The plausibility test of every code dimension, on held-out episodes inside the train range.

    Args:
        sigma: (Z,) standard deviation of each dimension over the data. k: the size of moves, in σ.
        report: is told how far the work is.

    Raises:
        DaliError: the method infers no code, or too few episodes last long enough.
    """
    if not agent.method.infers_context:
        raise DaliError(f"{agent.method.title} infers no context code, so it has no dimensions to move.")
    start = min(START, max(0, episodes.action.shape[1] - HORIZON))
    chosen = episodes.subset((episodes.regime == "interpolation") & (episodes.length >= start + HORIZON))
    if len(chosen.obs) < MIN_EPISODES:
        raise DaliError(
            f"{len(chosen.obs)} held-out episodes last {start + HORIZON} steps; the test needs {MIN_EPISODES}."
        )
    rng = np.random.default_rng(seed)
    scale = observer_of(agent).dream_scale(episodes)
    ids = np.arange(len(chosen.obs))
    effects = []
    for dimension in range(len(sigma)):
        report(dimension, len(sigma), f"dreams with z{dimension} moved")
        dz = np.zeros((len(ids), len(sigma)), np.float32)
        dz[:, dimension] = k * sigma[dimension] * rng.choice([-1.0, 1.0], len(ids))
        plain, moved = (
            dream.obs[:, 1:] / scale for dream in dream_pair(agent, chosen, start, HORIZON, dz, chosen.context)
        )
        test = plausibility(plain, moved, ids, ids, permutations=permutations, seed=seed)
        effects.append(DimensionEffect(dimension, float(np.sqrt(((moved - plain) ** 2).mean())), test))
    report(len(sigma), len(sigma), "all dimensions tested")
    return effects
