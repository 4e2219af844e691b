"""Grouped tables: checks that refuse bad input, and splits and shuffles that never tear a group apart."""

import numpy as np
import pytest

from dali.codes import grouped
from dali.errors import DaliError


def table(rows: int = 12, groups: int = 6):
    index = np.arange(rows) % groups
    return np.arange(rows * 2.0).reshape(rows, 2), index[:, None] * 1.5, index


def test_group_means_and_weights_by_hand():
    codes, contexts, groups = np.array([[1.0], [3.0], [10.0]]), np.array([[5.0], [5.0], [7.0]]), ["a", "a", "b"]
    checked = grouped.check_table(codes, contexts, groups, min_groups=2)
    assert checked.weights.tolist() == [0.5, 0.5, 1.0]
    means, physics = checked.group_means()
    assert means.ravel().tolist() == [2.0, 10.0]
    assert physics.ravel().tolist() == [5.0, 7.0]


def test_bad_tables_are_refused_in_a_sentence():
    codes, contexts, groups = table()
    with pytest.raises(DaliError, match="Found 4 groups"):
        grouped.check_table(*table(8, 4))
    with pytest.raises(DaliError, match="1 of 12 rows of the codes are not finite"):
        grouped.check_table(np.where(codes == 3.0, np.nan, codes), contexts, groups)
    with pytest.raises(DaliError, match="must be one context"):
        grouped.check_table(codes, np.arange(12.0)[:, None], groups)
    with pytest.raises(DaliError, match="as many rows; found 12, 12, 11"):
        grouped.check_table(codes, contexts, groups[:-1])
    with pytest.raises(DaliError, match=r"Expected codes \(M, Z\)"):
        grouped.check_table(codes[:, 0], contexts, groups)


def test_folds_keep_groups_whole_and_even():
    index = np.repeat(np.arange(11), [1, 5, 2, 2, 9, 1, 3, 1, 1, 1, 4])
    folds = grouped.group_folds(index, 5, np.random.default_rng(0))
    of_group = [set(folds[index == g]) for g in range(11)]
    assert all(len(f) == 1 for f in of_group)
    sizes = np.bincount([f.pop() for f in of_group])
    assert sorted(sizes) == [2, 2, 2, 2, 3]


def test_permutation_moves_whole_contexts():
    _, contexts, index = table(60, 20)
    permuted = grouped.permute_between_groups(contexts, index, np.random.default_rng(0))
    assert sorted(permuted.ravel()) == sorted(contexts.ravel())
    assert (permuted != contexts).mean() > 0.8
    assert all(np.ptp(permuted[index == g]) == 0 for g in range(20))
