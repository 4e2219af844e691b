"""The typical code of each training context, which the code map is fitted on: the median over several episodes.

Some episodes never show a factor (a string that is never taut says nothing of its length), and their codes lie
anywhere. A mean over one or two episodes carries that into the map; the median over several does not
(docs/experiments.md).

Shapes: G contexts, R episodes of each, Z code dimensions, F context features.
"""

from dataclasses import dataclass

import numpy as np

from dali.codes.settled import mean_codes
from dali.episodes import Episodes

REPEATS = 8  # exploratory episodes of each training context


@dataclass(frozen=True)
class TypicalCodes:
    """Where the encoder puts each training context."""

    context: np.ndarray  # (G, F) in units
    code: np.ndarray  # (G, Z)


def typical_codes(episodes: Episodes) -> TypicalCodes:
    """The median, over a context's episodes, of their codes averaged over time."""
    codes = mean_codes(episodes)
    groups = [np.flatnonzero(episodes.group == group) for group in np.unique(episodes.group)]
    return TypicalCodes(
        context=np.stack([episodes.context[rows[0]] for rows in groups]),
        code=np.stack([np.median(codes[rows], 0) for rows in groups]),
    )
