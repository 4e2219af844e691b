"""Learning curves: any logged quantity of any runs over environment steps or updates."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from dali.figures.generalization import METHOD_COLOURS
from dali.figures.style import GREY, PALETTE, layout, translucent
from dali.methods import METHODS

DASHES = ("solid", "dash", "dot", "dashdot")  # beyond eight runs colours come again, with another dash
# Updates count those of the code's warm-up too, which is spent before the first step: steps compare methods.
AXES = {"env_steps": "environment steps", "update": "updates"}
PROBE_TEXT = (
    "Probe R²: a linear probe reads the physics off the code, fitted on half of the training contexts and judged on "
    "the other half. The encoder has trained on both, so it shows progress, not generalisation."
)
FIRST = ("return", "loss/total", "loss/reconstruction", "loss/forward_dynamics")
# What metrics.jsonl holds, for people; what is not named here shows under its own key.
TITLES = {
    "return": "return, mean of the last 20 episodes",
    "updates_per_second": "updates a second (1/s)",
    "loss/total": "total loss, weighted",
    "loss/reconstruction": "reconstruction loss (scaled, squared)",
    "loss/reward": "reward loss (nats)",
    "loss/continue": "continue loss (nats)",
    "loss/dyn": "dynamics KL (nats)",
    "loss/rep": "representation KL (nats)",
    "loss/forward_dynamics": "forward dynamics loss (scaled, squared)",
    "loss/cross_modal": "cross-modal loss (squared)",
    "loss/actor": "actor loss",
    "loss/critic": "critic loss (nats)",
    "policy/entropy": "entropy of the policy (nats)",
    "imagined/return": "imagined return",
    "imagined/return_range": "range of imagined returns, 5 % to 95 %",
}


@dataclass(frozen=True)
class Style:
    """How a run is drawn. Runs of one group share an entry of the legend."""

    colour: str
    dash: str
    group: str


@dataclass(frozen=True)
class Curve:
    """One run's rows of one quantity."""

    name: str
    x: np.ndarray  # (L,)
    y: np.ndarray  # (L,)


def default_quantities(known: Sequence[str]) -> list[str]:
    """What is shown at first of the quantities known: return, losses, and what a probe reads from the code."""
    return [key for key in FIRST if key in known] + [key for key in known if key.startswith("probe/")]


def title_of(key: str) -> str:
    """A logged quantity for people."""
    if key.startswith("gradient/"):
        return f"gradient norm, {key.removeprefix('gradient/')}"
    if key.startswith("probe/"):
        return f"probe R² of {key.removeprefix('probe/')}"
    return TITLES.get(key, key)


def quantities(logs: list[list[dict[str, float]]]) -> list[str]:
    """Everything that any of the logs holds, the best known first."""
    found = {key for rows in logs for row in rows for key in row} - set(AXES)
    return [key for key in TITLES if key in found] + sorted(found - set(TITLES))


def curve(name: str, rows: list[dict[str, float]], key: str, axis: str) -> Curve:
    """The rows that hold a quantity."""
    pairs = [(row[axis], row[key]) for row in rows if key in row]
    x, y = np.array(pairs, float).reshape(-1, 2).T
    return Curve(name, x, y)


def smooth(values: np.ndarray, weight: float) -> np.ndarray:
    """Exponential moving average (L,), corrected for its start: weight 0 leaves values as they are.

    y_t = sum_i weight^(t - i) x_i / sum_i weight^(t - i), over i <= t.
    """
    out = np.empty_like(values, dtype=float)
    total = mass = 0.0
    for i, value in enumerate(values):
        total, mass = weight * total + value, weight * mass + 1.0
        out[i] = total / mass
    return out


def styles_by_run(names: Sequence[str]) -> dict[str, Style]:
    """A colour and dash for each of all runs there are, which it keeps as others are shown or not."""
    return {
        name: Style(PALETTE[i % len(PALETTE)], DASHES[i // len(PALETTE) % len(DASHES)], name)
        for i, name in enumerate(names)
    }


def styles_by_method(methods: Mapping[str, str | None]) -> dict[str, Style]:
    """The colour of each run's method, a dash for each of the method's runs; grey where the method is not known.

    Args:
        methods: run -> method, of all runs there are.
    """
    met: Counter[str] = Counter()
    styles = {}
    for name, method in methods.items():
        group = METHODS[method].title if method else "unknown method"
        styles[name] = Style(METHOD_COLOURS[method] if method else GREY, DASHES[met[group] % len(DASHES)], group)
        met[group] += 1
    return styles


def learning_curves(curves: list[Curve], key: str, axis: str, weight: float, styles: Mapping[str, Style]) -> go.Figure:
    """One quantity of all runs; raw rows stay visible, faintly, behind smoothed ones.

    Args:
        styles: run name -> how it is drawn.
    """
    figure = go.Figure()
    named: set[str] = set()
    for one in curves:
        style = styles[one.name]
        if weight > 0:
            figure.add_scatter(
                x=one.x, y=one.y, line={"color": translucent(style.colour, 0.25), "width": 1}, mode="lines",
                hoverinfo="skip", showlegend=False, legendgroup=style.group,
            )  # fmt: skip
        figure.add_scatter(
            x=one.x,
            y=smooth(one.y, weight),
            name=style.group,
            legendgroup=style.group,
            showlegend=style.group not in named,
            mode="lines" if len(one.x) > 1 else "markers",
            line={"color": style.colour, "dash": style.dash, "width": 2},
            hovertemplate=f"%{{x:,}} {AXES[axis]}: %{{y:.4g}}<extra>{one.name}</extra>",
        )
        named.add(style.group)
    y = {"title": title_of(key)}
    if key.startswith("loss/") and all((one.y > 0).all() for one in curves):
        y |= {"type": "log", "exponentformat": "power"}  # losses fall over orders of magnitude
    return layout(figure, 380, xaxis_title=AXES[axis], yaxis=y, uirevision=f"{key}:{axis}")
