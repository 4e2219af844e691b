"""A second agent in exports: its two dreams as panes, and the figures of both in one table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dali.dreams.film import Film
from dali.envs.spec import EnvSpec
from dali.envs.units import quantity
from dali.export.pictures import Picture, draw_pane
from dali.export.verdict import can_be_judged
from dali.methods import Method

Summary = Mapping[str, Any]


@dataclass(frozen=True)
class Second:
    """A second agent's film of what the first one's shows (dali.dreams.beside)."""

    film: Film
    method: Method
    run: Path  # its checkpoint's folder
    checkpoint: str  # the digest of it

    @property
    def name(self) -> str:
        return self.run.name


def draw_second(second: Second, spec: EnvSpec, size: int) -> list[Picture]:
    """The second agent's dreams: factual and counterfactual, or the one dream of a method that reads no context."""
    film = second.film
    panes = [("factual", film.dream, film.context)]
    if second.method.source != "none":
        panes.append(("counterfactual", film.dream_counterfactual, film.context_to))
    drawn = [
        draw_pane(f"Second dream, {kind}", f"second_{kind}", run, context, spec, size) for kind, run, context in panes
    ]
    return [replace(pane, caption=f"{second.name}; {pane.caption}") for pane in drawn]


def figures_head(spec: EnvSpec) -> list[str]:
    """The columns of ``figures_row``."""
    dreamed = [f"effective {f.label}" for f in spec.features]
    overall = [f"skill over all, {f.label}" for f in spec.features]
    return ["agent", "error, factual", "error, counterfactual", "steering skill", *dreamed, *overall]


def figures_row(
    name: str, film: Film, spec: EnvSpec, method: Method, scale: np.ndarray, summary: Summary | None
) -> list[str]:
    """What is measured on an agent's film, as text with units.

    Args:
        scale: standard deviation of the data, as in ``FilmSource``.
        summary: of the agent's analysis: its steering skill over held-out episodes, with 95 % intervals. None where
            it was not analysed, as methods without a code are not.
    """
    judged = method.source != "none" and can_be_judged(film, scale)
    skill = f"{film.skill:.2f}" if judged and film.skill is not None else "–"
    dreamed = [quantity(f, c) for f, c in zip(spec.features, film.effective, strict=True)]
    errors = [f"{film.mean_error:.2f} σ", f"{film.mean_error_counterfactual:.2f} σ"]
    overall = [_overall((summary or {}).get("steering", {}).get(f.name)) for f in spec.features]
    return [name, *errors, skill.replace("-", "−"), *dreamed, *overall]


def _overall(figures: Mapping[str, Any] | None) -> str:
    """ "0.87 [0.83, 0.90]"; without the interval where the analysis is of before there was one."""
    if figures is None or figures.get("skill_25") is None:
        return "–"
    text = f"{figures['skill_25']:.2f}"
    ends: Sequence[float] = figures.get("skill_25_interval") or ()
    text += " [{:.2f}, {:.2f}]".format(*ends) if len(ends) == 2 else ""
    return text.replace("-", "−")
