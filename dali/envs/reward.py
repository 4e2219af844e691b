"""The shaping function of dm_control's rewards."""

import math
from typing import Literal


def tolerance(
    value: float,
    lower: float,
    margin: float,
    value_at_margin: float = 0.1,
    sigmoid: Literal["gaussian", "linear"] = "gaussian",
) -> float:
    """1 at or above `lower`, falling to `value_at_margin` at a distance of `margin` below it.

    dm_control/utils/rewards.py, `tolerance`, with bounds (lower, infinity); its two sigmoids that the suite's walker
    and quadruped use.
    """
    if value >= lower:
        return 1.0
    distance = (lower - value) / margin
    if sigmoid == "linear":
        return max(0.0, 1.0 - distance * (1.0 - value_at_margin))
    return math.exp(distance * distance * math.log(value_at_margin))
