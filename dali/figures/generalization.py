"""Returns over physics never trained on: heat maps, curves over one feature, aggregates, profiles, comparisons.

Shapes: M contexts, F features, R runs, K thresholds.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from dali.envs.spec import ContextFeature, EnvSpec
from dali.envs.units import number
from dali.figures.style import (
    BLUE,
    CONTINUOUS,
    GREEN,
    GREY,
    ORANGE,
    PINK,
    SKY,
    VERMILION,
    Scale,
    add_band,
    error_bars,
    layout,
    translucent,
    with_unit,
)
from dali.methods import METHODS
from dali.returns.estimators import ContextMeans, Estimate, Profile

# A method keeps its colour, its mark and its dash whatever else is shown.
METHOD_COLOURS = dict(zip(METHODS, (GREY, VERMILION, ORANGE, SKY, GREEN, PINK, BLUE), strict=True))
METHOD_MARKS = dict(
    zip(METHODS, ("circle", "square", "square-open", "diamond", "diamond-open", "triangle-up", "star"), strict=True)
)
METHOD_DASHES = dict(zip(METHODS, ("dash", "dashdot", "solid", "dot", "longdash", "longdashdot", "solid"), strict=True))
BAND, FAINT_BAND, FEW = 0.2, 0.09, 3  # opacity of intervals, and where more than a few methods lie on each other
CLICK_SIZE = 26  # px, of the invisible marks that make cells clickable


def heat_map(
    spec: EnvSpec,
    contexts: np.ndarray,
    values: np.ndarray,
    measure: str,
    limits: tuple[float, float],
    colours: Scale = CONTINUOUS,
) -> go.Figure:
    """Values (M,) of contexts (M, 2), one cell each, with a box around those of the train ranges.

    Cells are equally wide though values are not equally spaced; contexts that were not evaluated stay blank. Maps that
    are compared share one `colour_bar`, so none has its own. The points of the scatter on top, which a click selects,
    are in the order of ``contexts``.

    Args:
        limits: values of the ends of the colour scale, the same for maps that are compared.
    """
    first, second = spec.features[:2]
    xs, ys = np.unique(contexts[:, 0]), np.unique(contexts[:, 1])
    column, row = np.searchsorted(xs, contexts[:, 0]), np.searchsorted(ys, contexts[:, 1])
    cells = np.full((len(ys), len(xs)), np.nan)
    cells[row, column] = values
    digits = 2 if np.abs(values).max(initial=0.0) < 10 else 0
    figure = go.Figure(
        go.Heatmap(
            z=cells, colorscale=colours, zmin=limits[0], zmax=limits[1], showscale=False, hoverongaps=False,
            hoverinfo="skip", xgap=1, ygap=1,
        )
    )  # fmt: skip
    figure.add_scatter(
        x=column,
        y=row,
        mode="markers+text",
        marker={"size": CLICK_SIZE, "symbol": "square", "opacity": 0.0},
        text=[cell_text(value, digits) for value in values.tolist()],
        textfont={"size": 10, "color": legible_on(values, limits, colours)},
        customdata=np.column_stack([contexts[:, :2], values]),
        hovertemplate=(
            f"{first.label} %{{customdata[0]}} {first.unit}, {second.label} %{{customdata[1]}} {second.unit}<br>"
            f"{measure} %{{customdata[2]:.{digits}f}}<extra></extra>"
        ),
        showlegend=False,
    )
    for (left, right), (low, high) in product(_train_spans(first, xs), _train_spans(second, ys)):
        figure.add_shape(type="rect", x0=left, x1=right, y0=low, y1=high, line={"color": VERMILION, "width": 3})
    axes = {"xaxis": _cells_axis(first, xs), "yaxis": _cells_axis(second, ys)}
    return layout(figure, 380, "above", clickmode="event+select", dragmode=False, **axes)


def _cells_axis(feature: ContextFeature, values: np.ndarray) -> dict[str, Any]:
    """The axis of cells that are as far apart as their number, labelled by their values."""
    return {
        "title": with_unit(feature.label, feature.unit),
        "tickmode": "array",
        "tickvals": list(range(len(values))),
        "ticktext": [f"{value:g}" for value in values],
        "tickfont": {"size": 10},
        "showgrid": False,
        "zeroline": False,
        "range": [-0.5, len(values) - 0.5],
    }


def cell_text(value: float, digits: int) -> str:
    """A number in as few letters as a cell has room for: ".98", "-.05", "1.04", "-187"; never "-.00"."""
    text = number(value, digits)
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def legible_on(values: np.ndarray, limits: tuple[float, float], colours: Scale) -> list[str]:
    """Black or white for each value (M,), whichever stands out more from the value's colour (contrast of WCAG 2)."""
    width = limits[1] - limits[0]
    share = np.clip((values - limits[0]) / width, 0.0, 1.0) if width > 0 else np.full(len(values), 0.5)
    shades = sample_colorscale(colours, share.tolist(), colortype="tuple") if len(values) else []
    rgb = np.array(shades, float).reshape(-1, 3)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    light = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.where((light + 0.05) / 0.05 > 1.05 / (light + 0.05), "#000000", "#ffffff").tolist()


def colour_bar(limits: tuple[float, float], colours: Scale = CONTINUOUS) -> go.Figure:
    """The one colour bar of maps that share their limits, lying above them; its title is the page's."""
    values = np.linspace(*limits, 128) if limits[1] > limits[0] else np.array(limits)
    figure = go.Figure(go.Heatmap(z=[values], x=values, colorscale=colours, showscale=False, hoverinfo="skip"))
    figure.update_xaxes(showgrid=False, zeroline=False)
    figure.update_yaxes(visible=False)
    return layout(figure, 66, "above", dragmode=False, margin={"l": 12, "r": 12, "t": 2, "b": 36})


def curves(
    feature: ContextFeature,
    values: np.ndarray,
    methods: dict[str, ContextMeans],
    random: np.ndarray,
    measure: str,
) -> go.Figure:
    """Mean score (M,) over one feature's values (M,) with intervals over runs; the train range is shaded."""
    figure = go.Figure()
    for i, (low, high) in enumerate(feature.train_intervals):
        label = {"annotation_text": "train range", "annotation_position": "top left"} if i == 0 else {}
        figure.add_vrect(low, high, fillcolor=translucent(GREY, 0.15), line_width=0, **label)
    for name, means in methods.items():
        colour = METHOD_COLOURS[name]
        if (means.high > means.low).any():
            fill = translucent(colour, BAND if len(methods) <= FEW else FAINT_BAND)
            add_band(figure, values, means.low, means.high, fill, showlegend=False, legendgroup=name)
        figure.add_scatter(
            x=values,
            y=means.mean,
            name=METHODS[name].title,
            legendgroup=name,
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"symbol": METHOD_MARKS[name], "size": 8},
            customdata=np.stack([means.low, means.high], 1),
            hovertemplate=f"{feature.label} %{{x:g}} {feature.unit}: %{{y:.3g}} "
            f"(95 % %{{customdata[0]:.3g}} to %{{customdata[1]:.3g}})<extra>{METHODS[name].title}</extra>",
        )
    figure.add_scatter(
        x=values,
        y=random,
        name="random policy",
        mode="lines",
        line={"color": GREY, "dash": "dot", "width": 1.5},
        hovertemplate="%{y:.3g}<extra>random policy</extra>",
    )
    return layout(figure, 420, xaxis_title=with_unit(feature.label, feature.unit), yaxis_title=measure)


def regime_bars(scores: dict[str, dict[str, Estimate]], contexts: dict[str, int], measure: str) -> go.Figure:
    """Aggregates by method and regime, scores[method][regime], with their intervals; contexts: how many of each."""
    figure = go.Figure()
    for name, regimes in scores.items():
        estimates = list(regimes.values())
        middle = np.array([e.value for e in estimates])
        figure.add_bar(
            x=[f"{regime}<br>{contexts[regime]} contexts" for regime in regimes],
            y=middle,
            name=METHODS[name].title,
            marker={"color": METHOD_COLOURS[name], "line": {"color": "#000000", "width": 0.5}},
            error_y=error_bars(estimates, "#444444"),
            customdata=[[e.low, e.high] for e in estimates],
            hovertemplate="%{x}: %{y:.3g} (95 % %{customdata[0]:.3g} to %{customdata[1]:.3g})"
            f"<extra>{METHODS[name].title}</extra>",
        )
    return layout(figure, 400, barmode="group", yaxis_title=f"{measure}, interquartile mean")


def profiles(methods: dict[str, Profile], measure: str) -> go.Figure:
    """Share of (run, context) scores above each threshold (K,), with pointwise intervals."""
    figure = go.Figure()
    for name, profile in methods.items():
        colour = METHOD_COLOURS[name]
        fill = translucent(colour, BAND if len(methods) <= FEW else FAINT_BAND)
        add_band(figure, profile.thresholds, profile.low, profile.high, fill, showlegend=False, legendgroup=name)
        figure.add_scatter(
            x=profile.thresholds,
            y=profile.share,
            name=METHODS[name].title,
            legendgroup=name,
            mode="lines",
            line={"color": colour, "width": 2, "dash": METHOD_DASHES[name]},
            hovertemplate="%{y:.0%} of scores above %{x:.3g}<extra>" + METHODS[name].title + "</extra>",
        )
    share = {"title": "share of contexts and runs above", "range": [-0.02, 1.02], "tickformat": ".0%"}
    return layout(figure, 400, xaxis_title=measure, yaxis=share)


def improvement(regimes: dict[str, Estimate], first: str, second: str) -> go.Figure:
    """Probability that a run of the first method beats one of the second on the same context, by regime."""
    names, estimates = list(regimes), list(regimes.values())
    figure = go.Figure(
        go.Scatter(
            x=[e.value for e in estimates],
            y=names,
            mode="markers",
            marker={"color": BLUE, "size": 12},
            error_x=error_bars(estimates, BLUE),
            customdata=[[e.low, e.high] for e in estimates],
            hovertemplate="%{y}: %{x:.2f} (95 % %{customdata[0]:.2f} to %{customdata[1]:.2f})<extra></extra>",
        )
    )
    figure.add_vline(0.5, line={"color": GREY, "dash": "dot"})
    title = f"P({METHODS[first].title} > {METHODS[second].title})"
    return layout(
        figure,
        120 + 50 * len(names),
        xaxis={"title": title, "range": [-0.02, 1.02]},
        yaxis={"title": "contexts", "autorange": "reversed"},
    )


def paper_bars(figures: dict[str, dict[str, float | None]], methods: Sequence[str]) -> go.Figure:
    """What the paper reports, figures[regime][method], hatched so that nobody takes it for a result of this app."""
    figure = go.Figure()
    for name in methods:
        regimes = [r for r in figures if figures[r].get(name) is not None]
        if regimes:
            figure.add_bar(
                x=regimes,
                y=[figures[r][name] for r in regimes],
                name=METHODS[name].title,
                marker={"color": METHOD_COLOURS[name], "pattern": {"shape": "/", "fillmode": "overlay"}},
                hovertemplate=f"%{{x}}: %{{y:.3f}}<extra>{METHODS[name].title}, reported by the paper</extra>",
            )
    return layout(
        figure,
        380,
        barmode="group",
        xaxis={"title": "contexts", "categoryorder": "array", "categoryarray": list(figures)},
        yaxis={"title": "normalised return, interquartile mean (reported)", "range": [0, 1.05]},
    )


def _train_spans(feature: ContextFeature, values: np.ndarray) -> list[tuple[float, float]]:
    """First and last edge, in cells, of the sorted values that lie in each part of the train range."""
    parts = [np.flatnonzero((values >= low) & (values <= high)) for low, high in feature.train_intervals]
    return [(part[0] - 0.5, part[-1] + 0.5) for part in parts if len(part)]
