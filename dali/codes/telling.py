"""How well each dimension of the code alone tells a quantity: what stands beside a map coloured by it.

Shapes: M points, Z code.
"""

import numpy as np
from scipy.stats import rankdata

from dali.codes.points import Colouring


def told_by_dimension(codes: np.ndarray, colour: Colouring) -> np.ndarray:
    """(Z,) from 0 to 1: Spearman's rank correlation without its sign, or for names the share of the ranks' variance
    that lies between them (the correlation ratio). Points without a value are left out; 0 where nothing varies.
    """
    known = np.ones(len(codes), bool) if colour.categories else np.isfinite(colour.values.astype(float))
    if known.sum() < 2:
        return np.zeros(codes.shape[1])
    ranks = rankdata(codes[known], axis=0)
    ranks = ranks - ranks.mean(0)
    total = (ranks**2).sum(0)
    if colour.categories:
        values = colour.values[known]
        groups = [ranks[values == name] for name in colour.categories if (values == name).any()]
        between = np.sum([len(group) * group.mean(0) ** 2 for group in groups], axis=0)
        return np.divide(between, total, out=np.zeros(len(total)), where=total > 0)
    wanted = rankdata(colour.values[known].astype(float))
    wanted = wanted - wanted.mean()
    norm = np.sqrt(total * (wanted**2).sum())
    return np.abs(np.divide(wanted @ ranks, norm, out=np.zeros(len(norm)), where=norm > 0))
