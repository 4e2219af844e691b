"""Codes that have seen enough of their episode, and their averages.

Shapes: E episodes, T steps, Z code, M records.
"""

import numpy as np

from dali.episodes import Episodes

SETTLED = 32  # records after which a code has seen enough to be averaged over the episode


def settled_records(episodes: Episodes) -> np.ndarray:
    """(E, T + 1) bool: records whose code has seen enough; of an episode that ended before that, the last one."""
    alive = episodes.alive()
    settled = alive & (np.arange(alive.shape[1]) >= SETTLED)
    last = np.arange(alive.shape[1]) == episodes.length[:, None]
    return np.where(settled.any(1, keepdims=True), settled, last)


def settled_codes(episodes: Episodes) -> np.ndarray:
    """(M, Z) codes of all settled records."""
    return episodes.code[settled_records(episodes)]


def mean_codes(episodes: Episodes) -> np.ndarray:
    """(E, Z) codes averaged over the settled records of each episode."""
    weight = settled_records(episodes)[..., None]
    return (episodes.code * weight).sum(1) / weight.sum(1)


def informative(episodes: Episodes) -> Episodes:
    """The exploratory episodes, which move through all of the physics; all, where exploring ends an episode early.

    A policy that balances shows next to nothing of the physics that it balances.
    """
    lengths = episodes.length[episodes.explored]
    settled = len(lengths) > 0 and np.median(lengths) >= 2 * SETTLED
    return episodes.subset(episodes.explored) if settled else episodes
