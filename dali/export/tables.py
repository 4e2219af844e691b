"""A counterfactual film's traces as CSV and NPZ.

What an agent of pixels dreams are pictures: they stand in the NPZ, and no observation of a dream stands anywhere.

Shapes: H horizon, O observation, A action, F context features, Z code dimensions.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dali.dreams.film import Film
from dali.dreams.observation import Rollout
from dali.envs.spec import EnvSpec


def runs(film: Film, pinned: Film | None = None, second: Film | None = None) -> dict[str, Rollout]:
    """The four runs by the names that columns and arrays carry, the pinned dream and a second agent's two."""
    four = {
        "real_factual": film.real,
        "real_counterfactual": film.real_counterfactual,
        "dream_factual": film.dream,
        "dream_counterfactual": film.dream_counterfactual,
    }
    if pinned:
        four["dream_pinned"] = pinned.dream_counterfactual
    if second:
        four |= {"second_factual": second.dream, "second_counterfactual": second.dream_counterfactual}
    return four


def to_csv(film: Film, spec: EnvSpec, pinned: Film | None = None, second: Film | None = None) -> str:
    """One row a step: observations of all runs, actions, expected rewards and errors, each headed with its unit.

    What is taken or received between two steps stands in the row of the first; the last row leaves it empty.
    """
    steps = len(film.error)
    columns: dict[str, list[Any]] = {
        "step": list(range(steps)),
        "time [s]": [round(t * spec.timestep, 6) for t in range(steps)],
    }
    for name, run in runs(film, pinned, second).items():
        if run.obs is None:
            continue
        label = name.replace("_", " ")
        for i, (dimension, unit) in enumerate(zip(spec.observation_names, spec.observation_units, strict=True)):
            columns[f"{label}: {dimension} [{unit or '1'}]"] = run.obs[:, i].tolist()
    for name, run in (("factual", film.dream), ("counterfactual", film.dream_counterfactual)):
        for i, action in enumerate(spec.action_names):
            columns[f"{name}: action {action} [1]"] = [*run.action[:, i].tolist(), ""]
        if run.reward is not None:
            columns[f"dream {name}: expected reward [1]"] = [*run.reward.tolist(), ""]
    columns["error of the dream, factual [σ]"] = film.error.tolist()
    columns["error of the dream, counterfactual [σ]"] = film.error_counterfactual.tolist()
    if pinned:
        columns["error of the dream, pinned [σ]"] = pinned.error_counterfactual.tolist()
    if second:
        columns["error of the second dream, factual [σ]"] = second.error.tolist()
        columns["error of the second dream, counterfactual [σ]"] = second.error_counterfactual.tolist()
    return csv_of(columns)


def to_pgfplots(film: Film, spec: EnvSpec, pinned: Film | None = None, second: Film | None = None) -> str:
    """The same traces for pgfplots: ``\\addplot table [col sep=comma, x=time, y=real_factual_cos_angle] {film.csv};``.

    Column names are letters, digits and underscores; what there is none of is ``nan``, where pgfplots breaks a line.
    """
    steps = len(film.error)
    columns: dict[str, list[Any]] = {"step": list(range(steps))}
    columns["time"] = [round(t * spec.timestep, 6) for t in range(steps)]
    for name, run in runs(film, pinned, second).items():
        for values, ending in ((run.obs, ""), (run.spread, "_spread")):
            if values is not None:
                for i, dimension in enumerate(spec.observation_names):
                    columns[_plain(f"{name}_{dimension}{ending}")] = values[:, i].tolist()
    for name, run in (("factual", film.dream), ("counterfactual", film.dream_counterfactual)):
        for i, action in enumerate(spec.action_names):
            columns[_plain(f"action_{name}_{action}")] = [*run.action[:, i].tolist(), "nan"]
    errors = {"factual": film.error, "counterfactual": film.error_counterfactual}
    if pinned:
        errors["pinned"] = pinned.error_counterfactual
    if second:
        errors |= {"second_factual": second.error, "second_counterfactual": second.error_counterfactual}
    return csv_of(columns | {f"error_{name}": values.tolist() for name, values in errors.items()})


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower()


def csv_of(columns: dict[str, list[Any]]) -> str:
    """CSV of columns of one length, by their titles."""
    return csv_text([list(columns), *zip(*columns.values(), strict=True)])


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """CSV of rows, the first of them the head."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def to_npz(film: Film, spec: EnvSpec, pinned: Film | None = None, second: Film | None = None) -> bytes:
    """All arrays of a film, to be read with ``np.load(..., allow_pickle=False)``; equal films give equal bytes."""
    arrays = {
        "observation_names": np.array(spec.observation_names),
        "observation_units": np.array(spec.observation_units),
        "features": np.array([f.name for f in spec.features]),
        "feature_units": np.array([f.unit for f in spec.features]),
        "timestep": np.array(spec.timestep),
        "context": film.context,
        "context_counterfactual": film.context_to,
        "code": film.code,
        "code_change_sigmas": film.sigmas,
        "error_factual": film.error,
        "error_counterfactual": film.error_counterfactual,
        "effective_context": film.effective,
    }
    if pinned:
        arrays["context_pinned"], arrays["error_pinned"] = pinned.context_to, pinned.error_counterfactual
    if second:
        arrays |= {"code_second": second.code, "effective_context_second": second.effective}
        arrays |= {"error_second_factual": second.error, "error_second_counterfactual": second.error_counterfactual}
    for name, run in runs(film, pinned, second).items():
        known = {"obs": run.obs, "state": run.state, "action": run.action, "reward": run.reward, "frames": run.frames}
        arrays |= {f"{name}_{part}": values for part, values in known.items() if values is not None}
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)  # type: ignore[arg-type]  # none is called allow_pickle
    return out.getvalue()
