"""How sure a steering skill is: its interval over contexts, and the skill of the episode in the middle.

Errors are one number an episode (E,), one episode a context: `moved` of the dream under z' and `unmoved` of the dream
under z, both against the real run at c'.
"""

import numpy as np

from dali.errors import DaliError

DRAWS = 2000
LEVEL = 0.95
CHUNK = 2_000_000  # errors drawn at once


def skill_of_medians(moved: np.ndarray, unmoved: np.ndarray) -> float:
    """1 - median(moved) / median(unmoved): the same for the episode in the middle, which a few divergent ones leave."""
    return float(1.0 - np.median(moved) / np.median(unmoved))


def skill_interval(moved: np.ndarray, unmoved: np.ndarray, seed: int, draws: int = DRAWS) -> tuple[float, float]:
    """95 % percentile interval of `steering.steering_skill`: contexts drawn with replacement, both errors at once.

    Raises:
        DaliError: other than two (E,) arrays of finite errors with E of at least 2.
    """
    moved, unmoved = np.asarray(moved, float), np.asarray(unmoved, float)
    if moved.ndim != 1 or moved.shape != unmoved.shape or len(moved) < 2:
        raise DaliError(f"An interval needs errors (E,) of 2 contexts or more; found {moved.shape}, {unmoved.shape}.")
    if not (np.isfinite(moved).all() and np.isfinite(unmoved).all()):
        raise DaliError("Some errors of dreams are not finite; an interval of the skill needs all of them.")
    rng = np.random.default_rng(seed)
    size = max(1, CHUNK // len(moved))
    skills = []
    for first in range(0, draws, size):
        rows = rng.integers(len(moved), size=(min(size, draws - first), len(moved)))
        skills.append(1.0 - moved[rows].mean(1) / unmoved[rows].mean(1))
    low, high = np.quantile(np.concatenate(skills), ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)
