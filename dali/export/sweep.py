"""A sweep: the counterfactual dream of one moment under many values of one code dimension or one physical quantity.

Shapes: T = H + 1 frames, P pixels, F context features.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dali.dreams.film import Factual, Film, FilmSource, make_factual, make_film
from dali.dreams.observation import Rollout
from dali.dreams.request import MAX_SIGMA, Request, dimension
from dali.envs.spec import EnvSpec
from dali.envs.units import quantity
from dali.errors import DaliError
from dali.export.pictures import draw_run
from dali.export.tables import csv_text
from dali.jobs import Report
from dali.video import caption, tile

SIZE = 160  # P, pixels a side of each multiple
COUNT, MOST = 7, 21  # values
COLUMNS = 7  # multiples in a row


@dataclass(frozen=True)
class Sweep:
    """The swept quantity ("z3" or a feature's name) and its values, in σ or in the feature's unit."""

    axis: str
    values: tuple[float, ...]


def widest(axis: str, spec: EnvSpec, code_size: int) -> tuple[float, float]:
    """The ends that a sweep can have: -3 σ and 3 σ of a code dimension, or the limits of a context feature.

    Raises:
        DaliError: no such dimension or feature.
    """
    if axis in (f"z{j}" for j in range(code_size)):
        return -MAX_SIGMA, MAX_SIGMA
    return spec.feature(axis).limits


def plan_sweep(
    axis: str, spec: EnvSpec, code_size: int, count: int = COUNT, ends: tuple[float, float] | None = None
) -> Sweep:
    """Even steps between two ends, by default the widest.

    Raises:
        DaliError: no such dimension or feature, a count outside 2..21, or ends that are not in order and in range.
    """
    if not 2 <= count <= MOST:
        raise DaliError(f"A sweep of {count} values cannot be laid out; expected 2 to {MOST}.")
    lowest, highest = widest(axis, spec, code_size)
    low, high = ends or (lowest, highest)
    if not lowest <= low < high <= highest:
        raise DaliError(f"A sweep of {axis} cannot go from {low:g} to {high:g}; expected {lowest:g} to {highest:g}.")
    return Sweep(axis, tuple(np.linspace(low, high, count).round(4).tolist()))


def request_at(request: Request, axis: str, value: float, spec: EnvSpec) -> Request:
    """The request with the swept quantity at one value."""
    if axis in (f.name for f in spec.features):
        return replace(request, physics=(*((n, v) for n, v in request.physics if n != axis), (axis, value)))
    j = dimension(axis)
    return replace(request, code=(*((i, k) for i, k in request.code if i != j), (j, value)))


def make_sweep(source: FilmSource, request: Request, sweep: Sweep, report: Report) -> list[Film]:
    """The film of every value; what they share is dreamed once."""
    factual: Factual | None = None
    films = []
    for i, value in enumerate(sweep.values):
        report(i, len(sweep.values) + 1, f"dreaming {title(sweep.axis, value, source.agent.spec)}")
        asked = request_at(request, sweep.axis, value, source.agent.spec)
        factual = factual or make_factual(source, asked)
        films.append(make_film(source, asked, factual))
    report(len(sweep.values), len(sweep.values) + 1, "drawing and encoding")
    return films


def sweep_frames(films: Sequence[Film], sweep: Sweep, spec: EnvSpec, size: int = SIZE) -> np.ndarray:
    """Small multiples (T, height, width, 3): a dream per value; over each, where physics is swept, the real run."""
    physical = sweep.axis in (f.name for f in spec.features)
    rows = []
    for first in range(0, len(films), COLUMNS):
        part = list(zip(films, sweep.values, strict=True))[first : first + COLUMNS]
        if physical:
            rows += [_pane(f.real_counterfactual, f, title(sweep.axis, v, spec), "real", spec, size) for f, v in part]
            rows += _blanks(rows, part)
        for film, value in part:
            name = "dream" if physical else title(sweep.axis, value, spec)
            note = f"error {film.mean_error_counterfactual:.2f} σ" if physical else _reads(film, spec)
            rows.append(_pane(film.dream_counterfactual, film, name, note, spec, size))
        rows += _blanks(rows, part)
    return tile(rows, columns=min(COLUMNS, len(films)), gap=6)


def sweep_table(films: Sequence[Film], sweep: Sweep, spec: EnvSpec) -> str:
    """CSV: a row a value, with the dream's error, steering skill and effective physics, each in its unit."""
    feature = next((f for f in spec.features if f.name == sweep.axis), None)
    header = [
        f"{sweep.axis} [{feature.unit if feature else 'σ'}]",
        "error [σ]",
        "error unsteered [σ]",
        "steering skill [1]",
    ]
    header += [f"effective {f.name} [{f.unit}]" for f in spec.features]
    rows = [
        [v, f.mean_error_counterfactual, f.mean_error_unsteered, f.skill, *f.effective.tolist()]
        for f, v in zip(films, sweep.values, strict=True)
    ]
    return csv_text([header, *rows])


def title(axis: str, value: float, spec: EnvSpec) -> str:
    """ "z3 +1.00 σ", or "4.90 m/s²" for a feature."""
    for feature in spec.features:
        if feature.name == axis:
            return quantity(feature, value)
    return f"{axis} {value:+.2f} σ"


def _reads(film: Film, spec: EnvSpec) -> str:
    """What physics a dream under a changed code follows."""
    return ", ".join(f"{f.name} ≈ {quantity(f, c)}" for f, c in zip(spec.features, film.effective, strict=True))


def _pane(run: Rollout, film: Film, name: str, note: str, spec: EnvSpec, size: int) -> np.ndarray:
    return caption(draw_run(run, spec, film.context_to, size), name, note)


def _blanks(rows: Sequence[np.ndarray], part: Sequence[object]) -> list[np.ndarray]:
    """White panes that fill a last row that is not full."""
    missing = (COLUMNS - len(part)) if len(rows) > COLUMNS and len(part) < COLUMNS else 0
    return [np.full_like(rows[0], 255)] * missing
