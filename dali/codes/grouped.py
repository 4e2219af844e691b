"""Tables of codes and contexts whose rows come in groups: checks, weights, splits, permutations, bootstrap draws.

Rows of one group (one context, thus one physics) are not independent of each other: every split, shuffle and resample
of the analysis is therefore made over groups, never over rows.

Shapes: M rows, Z code dimensions, F context features, G groups.
"""

from dataclasses import dataclass

import numpy as np

from dali.errors import DaliError

MIN_GROUPS = 5


@dataclass(frozen=True)
class GroupedTable:
    """A checked table: codes (M, Z), contexts (M, F), index (M,) of each row's group in 0..G-1, num_groups G."""

    codes: np.ndarray
    contexts: np.ndarray
    index: np.ndarray
    num_groups: int

    @property
    def weights(self) -> np.ndarray:
        """(M,) row weights that sum to 1 in each group, so that a group with more rows counts no more."""
        return group_weights(self.index)

    def rows(self, where: np.ndarray) -> "GroupedTable":
        """The rows where the (M,) mask holds, groups numbered anew."""
        _, index = np.unique(self.index[where], return_inverse=True)
        num = int(index.max()) + 1 if len(index) else 0
        return GroupedTable(self.codes[where], self.contexts[where], index, num)

    def group_means(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean code (G, Z) and the context (G, F) of each group."""
        return group_mean(self.codes, self.index), group_mean(self.contexts, self.index)


def check_table(
    codes: np.ndarray, contexts: np.ndarray, groups: np.ndarray, min_groups: int = MIN_GROUPS
) -> GroupedTable:
    """Checks shapes, finiteness, one context a group and the number of groups.

    Args:
        codes: (M, Z). contexts: (M, F), constant within a group. groups: (M,) labels of any comparable type.

    Raises:
        DaliError: where any of these does not hold.
    """
    codes, contexts, groups = np.asarray(codes, float), np.asarray(contexts, float), np.asarray(groups)
    if codes.ndim != 2 or contexts.ndim != 2 or groups.ndim != 1:
        raise DaliError(
            f"Expected codes (M, Z), contexts (M, F) and groups (M,); "
            f"found {codes.shape}, {contexts.shape} and {groups.shape}."
        )
    if not len(codes) == len(contexts) == len(groups):
        raise DaliError(
            f"Codes, contexts and groups must have as many rows; found {len(codes)}, {len(contexts)}, {len(groups)}."
        )
    for name, values in (("codes", codes), ("contexts", contexts)):
        bad = int((~np.isfinite(values)).any(1).sum())
        if bad:
            raise DaliError(f"{bad} of {len(values)} rows of the {name} are not finite; all must be.")
    unique, first, index = np.unique(groups, return_index=True, return_inverse=True)
    if len(unique) < min_groups:
        raise DaliError(f"Found {len(unique)} groups (contexts); this analysis needs at least {min_groups}.")
    if not np.allclose(contexts, contexts[first][index]):
        raise DaliError("Some group holds rows of different contexts; a group must be one context.")
    return GroupedTable(codes, contexts, index, len(unique))


def group_weights(index: np.ndarray) -> np.ndarray:
    """(M,) weights 1 / size of the row's group."""
    return 1.0 / np.bincount(index)[index]


def group_mean(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """(G, ...) means of the rows (M, ...) of each group."""
    total = np.zeros((index.max() + 1, *values.shape[1:]))
    np.add.at(total, index, values)
    return total / np.bincount(index).reshape(-1, *[1] * (values.ndim - 1))


def group_folds(index: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """(M,) fold of each row; whole groups are dealt at random, fold sizes differ by one group at most."""
    num = int(index.max()) + 1
    return (rng.permutation(num) % min(folds, num))[index]


def permute_between_groups(values: np.ndarray, index: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gives each group the values (M, ...; constant within a group) of another, drawn as one permutation of groups."""
    per_group = group_mean(values, index)
    return per_group[rng.permutation(len(per_group))][index]


def bootstrap_counts(num_groups: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """(draws, G) how often each group is drawn when G groups are drawn with replacement."""
    return rng.multinomial(num_groups, np.full(num_groups, 1.0 / num_groups), size=draws)


def subsample(size: int, limit: int, seed: int = 0) -> np.ndarray:
    """Sorted indices of at most `limit` of `size` rows, drawn without replacement by the seed."""
    if size <= limit:
        return np.arange(size)
    return np.sort(np.random.default_rng(seed).choice(size, limit, replace=False))
