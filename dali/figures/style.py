"""What all figures share: colours that stay apart with every colour vision deficiency, axes with units, margins."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from dali.returns.estimators import Estimate

Tools = Literal["right", "above"]
Scale = str | list[list[float | str]]  # of colours: its name, or its points (share of the way, colour)
# Okabe & Ito (2008).
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
SKY, VERMILION, YELLOW, GREY = "#56B4E9", "#D55E00", "#F0E442", "#7F7F7F"
PALE = "#B5BCC6"
PALETTE = (BLUE, ORANGE, GREEN, PINK, SKY, VERMILION, YELLOW, GREY)
CONTINUOUS = "Cividis"  # perceptually uniform, also for red-green deficiencies (Nuñez et al. 2018)
DIVERGING = "RdBu"
DARKEST = 0.4  # of Cividis on a dark page, where what is below cannot be told from the page
TOOLS_WIDTH = 40  # px, of plotly's buttons in one column
# A regime is told by its colour and its mark alike.
REGIMES = {
    "train": (BLUE, "circle"),
    "interpolation": (GREEN, "square"),
    "extrapolation": (VERMILION, "x"),
    "mixed": (PINK, "diamond"),
}
REGIME_TITLES = {
    "train": "trained on",
    "interpolation": "held out, inside the train range",
    "extrapolation": "outside the train range",
    "mixed": "partly outside the train range",
}


def continuous(dark: bool = False) -> Scale:
    """The colour scale of numbers; on a dark page without its dark end, which would be lost there."""
    if not dark:
        return CONTINUOUS
    shares = np.linspace(0.0, 1.0, 17)
    shades = sample_colorscale(CONTINUOUS, DARKEST + (1 - DARKEST) * shares)
    return [[share, shade] for share, shade in zip(shares, shades, strict=True)]


def with_unit(label: str, unit: str) -> str:
    """An axis title such as "gravity (m/s²)" or "friction (×)"; a label without a unit stays as it is."""
    return f"{label} ({'×' if unit == 'x' else unit})" if unit else label


def layout(figure: go.Figure, height: int, tools: Tools = "right", **changes: Any) -> go.Figure:
    """Sets the common layout on a figure and returns it.

    Args:
        tools: where plotly's buttons stand: in a margin at the right, clear of the legend above the plot; or above it,
            for figures without a legend that have a colour bar at the right.
    """
    right = tools == "right"
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": TOOLS_WIDTH if right else 8, "t": 36, "b": 8},
        modebar={"orientation": "v" if right else "h"},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0.0, "title": None},
        hoverlabel={"align": "left"},
    )
    figure.update_layout(**changes)
    return figure


def add_band(figure: go.Figure, x: np.ndarray, low: np.ndarray, high: np.ndarray, fill: str, **told: Any) -> None:
    """What lies between low and high (N,) over x (N,), as a surface; ``told`` is of the legend."""
    around, ends = np.concatenate([x, x[::-1]]), np.concatenate([high, low[::-1]])
    figure.add_scatter(x=around, y=ends, fill="toself", fillcolor=fill, line={"width": 0}, hoverinfo="skip", **told)


def error_bars(estimates: Sequence[Estimate], colour: str) -> dict[str, Any]:
    """The intervals of estimates as the error bars of a trace."""
    above, below = [e.high - e.value for e in estimates], [e.value - e.low for e in estimates]
    return {"type": "data", "array": above, "arrayminus": below, "color": colour}


def translucent(colour: str, alpha: float) -> str:
    """A hex colour as rgba."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


def compact(values: np.ndarray) -> np.ndarray:
    """float32, which plotly sends as half the bytes; no screen shows more."""
    return np.ascontiguousarray(values, dtype=np.float32)
