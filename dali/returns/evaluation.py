"""What an evaluation found: every episode that was played, in a table.

Shapes: M contexts, F context features.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

EARLY = (10, 25)  # steps whose return shows how fast an agent finds out
EARLY_COLUMNS = tuple(f"return_{steps}" for steps in EARLY)
LABELS = ("regime", "grid", "episode", "start_seed")
RESULTS = ("return", *EARLY_COLUMNS, "steps", "random_return")

# "none": at every step h and s are made anew as at an episode's first, so that the policy knows of the past what its
# context tells, and no more.
Memory = Literal["kept", "none"]


@dataclass(frozen=True)
class Evaluation:
    """Episodes of an agent and of the random policy from the same start states, one row each.

    Attributes:
        features: names of the context features, in the catalogue's order.
        episodes: a column for each feature (the true physics, in its unit), then LABELS and RESULTS. An episode is the
            ``episode``-th of its context, from the state of ``start_seed``. Returns of the first steps are NaN where
            an older file lacks them.
        seed: of the start states.
    """

    features: tuple[str, ...]
    episodes: pd.DataFrame
    seed: int
    memory: Memory = "kept"

    @cached_property
    def by_context(self) -> pd.DataFrame:
        """A row for each context, in order of first appearance: features, regime, grid, mean results, `episodes`."""
        grouped = self.episodes.groupby(list(self.features), sort=False)
        means = grouped[list(RESULTS)].mean()
        labels = grouped[["regime", "grid"]].first()
        return pd.concat([labels, means, grouped.size().rename("episodes")], axis=1).reset_index()

    @property
    def contexts(self) -> np.ndarray:
        """(M, F) true physics."""
        return self.by_context[list(self.features)].to_numpy(float)
