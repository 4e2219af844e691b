"""Reference returns of each context of an evaluation grid: what 0 and 1 of a normalised score are.

0 is the policy that draws every action uniformly, played in the simulator. 1 is, by environment,

- pendulum, pendulum_inverted_motor: a controller that knows the physics, found by dynamic programming
  (dali/returns/expert.py) and played in the simulator from the same start states. It is nearly optimal, not a bound: a
  score may exceed 1 a little.
- all others: the largest return that the reward allows, one point a step over a whole episode, whether or not any
  controller reaches it (the cartpole's time limit; no ball is in its cup from the first step on; walker and quadruped
  start lying down). It is the same in every context, so that a score there also falls where the physics is harder.

Both are ours: the paper normalises by agents trained on each context alone.

Shapes: M contexts, N contexts asked for, F context features.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dali.envs.catalogue import folder_name
from dali.envs.contexts import held_out_contexts
from dali.envs.spec import EnvSpec

DATA = Path(__file__).resolve().parent.parent / "data"
CARD_CONTEXTS = 20


@dataclass(frozen=True)
class References:
    """Mean returns of the two references in M contexts."""

    contexts: np.ndarray  # (M, F) in the catalogue's units
    random: np.ndarray  # (M,)
    expert: np.ndarray  # (M,)
    expert_kind: str  # what the expert is, in words

    def at(self, contexts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """References (random, expert), each (N,), of contexts (N, F); NaN where there is none."""
        known = {tuple(c): i for i, c in enumerate(self.contexts.tolist())}
        rows = np.array([known.get(tuple(c), -1) for c in np.asarray(contexts, float).tolist()], int)
        random, expert = (np.append(values, np.nan)[rows] for values in (self.random, self.expert))
        return random, expert


def reference_path(env: str) -> Path:
    """Where an environment's references ship."""
    return DATA / f"reference_{folder_name(env)}.json"


def load_references(env: str) -> References | None:
    """The references that ship with the package; None for an environment without."""
    path = reference_path(env)
    if not path.is_file():
        return None
    record = json.loads(path.read_text(encoding="utf-8"))
    columns = {name: np.array(record[name], float) for name in ("contexts", "random", "expert")}
    return References(**columns, expert_kind=record["expert_kind"])


def paper_figures() -> dict[str, Any]:
    """The paper's reported figures (arXiv 2508.20294), as its authors give them: not re-run here."""
    return json.loads((DATA / "paper_results.json").read_text(encoding="utf-8"))


def card_contexts(spec: EnvSpec) -> np.ndarray:
    """(20, F) held-out contexts inside the train range, on which every model card reports."""
    return held_out_contexts(spec, CARD_CONTEXTS, 0, "interpolation")
