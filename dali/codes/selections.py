"""Selections of records as tables that leave the dashboard and come back: episode, t, the code z, and the physics.

Shapes: E episodes, T steps, Z code, F context features.
"""

import io

import numpy as np
import pandas as pd

from dali.envs.spec import EnvSpec
from dali.episodes import Episodes
from dali.errors import DaliError

FORMATS = ("csv", "parquet")


def selection_table(episodes: Episodes, spec: EnvSpec, records: np.ndarray) -> pd.DataFrame:
    """One row a selected record (E, T + 1) bool: episode, t, z0 ..., each feature under its name, regime, explored."""
    episode, t = np.nonzero(records & episodes.alive())
    columns: dict[str, np.ndarray] = {"episode": episode, "t": t}
    columns |= {f"z{j}": values for j, values in enumerate(episodes.code[episode, t].T)}
    columns |= {f.name: episodes.context[episode, i] for i, f in enumerate(spec.features)}
    return pd.DataFrame({**columns, "regime": episodes.regime[episode], "explored": episodes.explored[episode]})


def write_selection(table: pd.DataFrame, form: str) -> bytes:
    """The table as CSV or Parquet."""
    if form == "csv":
        return table.to_csv(index=False, lineterminator="\n").encode()
    out = io.BytesIO()
    table.to_parquet(out, index=False)
    return out.getvalue()


def read_selection(data: bytes, name: str, episodes: Episodes) -> np.ndarray:
    """(E, T + 1) bool: the records that a file of `write_selection` names; only its episode and t are read.

    Args:
        name: of the file, whose ending tells its form.

    Raises:
        DaliError: another form, not such a table, or records that these episodes do not have.
    """
    episode, t = np.array(read_records(data, name), np.int64).reshape(-1, 2).T
    alive = episodes.alive()
    inside = (episode >= 0) & (episode < alive.shape[0]) & (t >= 0) & (t < alive.shape[1])
    inside[inside] = alive[episode[inside], t[inside]]
    if not inside.all():
        row = int(np.flatnonzero(~inside)[0])
        raise DaliError(f"{name!r} names record {t[row]} of episode {episode[row]}, which this checkpoint has not.")
    records = np.zeros(alive.shape, bool)
    records[episode, t] = True
    return records


def read_records(data: bytes, name: str) -> list[tuple[int, int]]:
    """Episode and t of each row of a table that has both, in the order of the rows; rows with neither name no record.

    Raises:
        DaliError: neither CSV nor Parquet, no such columns, or entries that are not whole numbers.
    """
    form = name.rpartition(".")[2].lower()
    if form not in FORMATS:
        raise DaliError(f"Records are read from .csv or .parquet; found {name!r}.")
    source = io.BytesIO(data)
    try:
        table = pd.read_csv(source) if form == "csv" else pd.read_parquet(source)
        wanted = table[["episode", "t"]].dropna(how="all")
        values = wanted.to_numpy(float)
    except (ValueError, TypeError, KeyError, OSError, pd.errors.ParserError) as error:
        raise DaliError(f"{name!r} is not a table with the numbers episode and t: {error}.") from error
    if not (np.isfinite(values) & (values == np.floor(values)) & (np.abs(values) < 2**31)).all():
        raise DaliError(f"{name!r} holds episodes or steps that are not whole numbers.")
    return [(int(episode), int(t)) for episode, t in values]
