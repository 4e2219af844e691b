"""The library: what a notebook or a script needs of the engine. ``import dali`` offers these names.

Physics is given by the names of the catalogue and in its units, as in ``g=4.9`` (m/s²). Tables are pandas DataFrames
with a column for each physical quantity. What cannot be done raises ``dali.DaliError`` with one sentence.
"""

from dali.library.film import Film
from dali.library.functions import list_envs, list_runs, make_env, train_agent
from dali.library.run import OpenRun, open_run

__all__ = ["Film", "OpenRun", "list_envs", "list_runs", "make_env", "open_run", "train_agent"]
