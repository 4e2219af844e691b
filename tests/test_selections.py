"""Selections as files: what is written comes back, and what is not such a file is refused in words."""

import numpy as np
import pytest

from dali.codes.points import Colouring
from dali.codes.selections import read_selection, selection_table, write_selection
from dali.codes.telling import told_by_dimension
from dali.envs import catalogue
from dali.errors import DaliError
from dali.runs.artifacts import EPISODES_FILE, load_episodes

SPEC = catalogue.spec("pendulum")


@pytest.fixture(scope="module")
def episodes(make_run):
    return load_episodes(make_run() / EPISODES_FILE)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_selection_comes_back(episodes, form):
    records = np.zeros(episodes.obs.shape[:2], bool)
    records[3, 10:20] = records[7, 0] = True
    table = selection_table(episodes, SPEC, records)
    assert list(table.columns) == ["episode", "t", *(f"z{j}" for j in range(8)), "g", "l", "regime", "explored"]
    assert len(table) == 11
    assert table["g"].tolist() == episodes.context[table["episode"], 0].tolist()
    assert np.allclose(table["z2"], episodes.code[table["episode"], table["t"], 2])
    assert (read_selection(write_selection(table, form), f"a.{form}", episodes) == records).all()


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (b"episode,t\n1,2\n", "a.json", "read from .csv or .parquet"),
        (b"episode\n1\n", "a.csv", "not a table with the numbers episode and t"),
        (b"PAR1 no", "a.parquet", "not a table with the numbers episode and t"),
        (b"", "a.csv", "not a table with the numbers episode and t"),
        (b"episode,t\n1,x\n", "a.csv", "not a table with the numbers episode and t"),
        (b"episode,t\n1,\n", "a.csv", "not whole numbers"),
        (b"episode,t\n1,2.5\n", "a.csv", "not whole numbers"),
        (b"episode,t\n1,2\n1,9999\n", "a.csv", "record 9999 of episode 1"),
        (b"episode,t\n-1,2\n", "a.csv", "record 2 of episode -1"),
    ],
)
def test_what_is_no_selection_is_refused(episodes, data, name, message):
    with pytest.raises(DaliError, match=message):
        read_selection(data, name, episodes)


def test_dimensions_tell_what_they_tell():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(500, 3))
    codes[:, 2] = 1.0
    values = np.exp(-codes[:, 1])
    values[:10] = np.nan
    told = told_by_dimension(codes, Colouring("x", "", values))
    assert told[1] == pytest.approx(1.0)
    assert told[0] < 0.2
    assert told[2] == 0.0  # what does not vary tells nothing
    names = np.where(codes[:, 0] > 0, "a", "b")
    told = told_by_dimension(codes, Colouring("x", "", names, ("a", "b", "absent")))
    assert told[0] == pytest.approx(0.75, abs=0.02)  # two halves of uniform ranks
    assert told[1] < 0.1
