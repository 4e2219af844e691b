"""Maps of context codes: scatter in two and three dimensions, a grid of all pairs, the path of one episode.

Shapes: M points, k map dimensions, Z code, T steps.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dali.codes.points import Colouring, Points, returns
from dali.envs.spec import EnvSpec
from dali.episodes import Episodes
from dali.figures.style import (
    BLUE,
    ORANGE,
    PALE,
    PALETTE,
    REGIME_TITLES,
    REGIMES,
    VERMILION,
    Tools,
    compact,
    continuous,
    layout,
    translucent,
    with_unit,
)

HEIGHT = 540
FADED = 0.12  # opacity of points outside a selection
BEHIND = 0.18  # and of points behind a path
EYE = {"x": 1.5, "y": 1.5, "z": 0.9}  # far enough that no axis title is cut
NAMED_TIMES = 5  # of a path


@dataclass(frozen=True)
class MapView:
    """How a map of M points in k dimensions is shown.

    Attributes:
        selected: (M,) bool, drawn strongly, the rest faintly.
        path: (T, k) of one episode's records, drawn as a line whose dots tell the time.
        way: a line (N, k) and its numbered points (W, k). ring: (k,) a place to ring.
        revision: zoom and view are kept while it stays the same. drag: what dragging does, "lasso" or "pan".
        dark: the page is dark.
    """

    selected: np.ndarray | None = None
    path: np.ndarray | None = None
    way: tuple[np.ndarray, np.ndarray] | None = None
    ring: np.ndarray | None = None
    revision: str = ""
    drag: str = "lasso"
    dark: bool = False


def map_figure(
    coordinates: np.ndarray,
    points: Points,
    episodes: Episodes,
    spec: EnvSpec,
    colour: Colouring,
    axes: tuple[str, ...],
    view: MapView,
) -> go.Figure:
    """The map of M points, coloured; hovering tells the physics in units.

    Args:
        coordinates: (M, k), k of 2 or 3. axes: k titles.
    """
    figure = go.Figure()
    for name, where, marker in _marks(colour, view.dark):
        chosen = points.take(where)
        told = _told(name, chosen, episodes, spec, colour)
        selected = None if view.selected is None else view.selected[where]
        figure.add_trace(_cloud(coordinates[where], marker, selected, points.means, told))
    if view.path is not None:
        figure.update_traces(marker_opacity=BEHIND)
        figure.add_traces(_path(view.path, spec.timestep))
    if view.way is not None:
        figure.add_traces(_way(*view.way, view.dark))
    if view.ring is not None:
        figure.add_trace(_ring(view.ring, view.dark))
    tools: Tools = "right" if colour.categories else "above"
    titles: dict[str, Any] = {f"{axis}axis": {"title": title} for axis, title in zip("xyz", axes, strict=False)}
    times = _times(view.path, spec.timestep, view.dark)
    if coordinates.shape[1] == 2:
        titles |= {"dragmode": view.drag, "annotations": times, "legend_itemsizing": "constant"}
        return layout(figure, HEIGHT, tools, uirevision=view.revision, **titles)
    scene = {**titles, "uirevision": view.revision, "aspectmode": "cube", "camera": {"eye": EYE}, "annotations": times}
    return layout(figure, HEIGHT, tools, uirevision=view.revision, scene=scene)


def _cloud(
    coordinates: np.ndarray, marker: dict[str, Any], selected: np.ndarray | None, means: bool, told: dict[str, Any]
) -> go.Scattergl | go.Scatter3d:
    """Points (M, k) of a mark, those of ``selected`` (M,) strongly; ``told`` is what hovering and legend tell."""
    places = {axis: compact(column) for axis, column in zip("xyz", coordinates.T, strict=False)}
    if len(places) == 2:
        flat = go.Scattergl(**places, **told, mode="markers", marker={**marker, "size": 7 if means else 4})
        if selected is not None:
            flat.update(selectedpoints=np.flatnonzero(selected), unselected={"marker": {"opacity": FADED}})
        return flat
    # A 3-D trace has no selection of its own; what is not selected is left out of the cloud, not faded.
    if selected is not None:
        places = {axis: np.where(selected, values, np.nan) for axis, values in places.items()}
    return go.Scatter3d(**places, **told, mode="markers", marker={**marker, "size": 5 if means else 2})


def pair_grid(
    points: Points,
    episodes: Episodes,
    spec: EnvSpec,
    colour: Colouring,
    selected: np.ndarray | None = None,
    dark: bool = False,
) -> go.Figure:
    """All pairs of raw code dimensions, as one figure (one WebGL context)."""
    size = points.code.shape[1]
    figure = go.Figure()
    for name, where, marker in _marks(colour, dark):
        chosen = points.take(where)
        trace = go.Splom(
            dimensions=[{"label": f"z{i}", "values": compact(chosen.code[:, i])} for i in range(size)],
            marker={**marker, "size": 3},
            diagonal_visible=False,
            showupperhalf=False,
            **_told(name, chosen, episodes, spec, colour),
        )
        if selected is not None:
            trace.update(selectedpoints=np.flatnonzero(selected[where]), unselected={"marker": {"opacity": FADED}})
        figure.add_trace(trace)
    return layout(
        figure, 860, "right" if colour.categories else "above", dragmode="select", legend_itemsizing="constant"
    )


def hover_template(spec: EnvSpec, means: bool) -> str:
    """What hovering tells of a point whose customdata are (episode, t, context..., return) and text who acted."""
    lines = ["episode %{customdata[0]}" + (" (mean code)" if means else ", step %{customdata[1]}")]
    lines += [
        f"{feature.title} = %{{customdata[{i + 2}]:.3g}} {_unit(feature.unit)}"
        for i, feature in enumerate(spec.features)
    ]
    lines += ["%{text}", f"return %{{customdata[{len(spec.features) + 2}]:.1f}}"]
    return "<br>".join(lines) + "<extra></extra>"


def dimension_bars(told: np.ndarray, label: str) -> go.Figure:
    """How well each dimension alone tells what colours the map, (Z,) in [0, 1]."""
    names = [f"z{j}" for j in range(len(told))]
    hover = f"%{{y}} tells {label}: %{{x:.2f}}<extra></extra>"
    figure = go.Figure(go.Bar(x=told, y=names, orientation="h", marker_color=BLUE, hovertemplate=hover))
    figure.update_xaxes(range=[0, 1], title=f"tells {label}")
    return layout(figure, 120 + 26 * len(told), "above", yaxis={"autorange": "reversed"})


def context_histogram(
    episodes: Episodes, spec: EnvSpec, feature: int, selected: np.ndarray, bins: int = 30
) -> go.Figure:
    """True values of one context feature, of the selected records (E, T + 1) against all, as shares of each."""
    values = episodes.context[:, feature]
    edges = np.histogram_bin_edges(values, bins)
    middle, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    everything, held = episodes.alive().sum(1), (selected & episodes.alive()).sum(1)
    item = spec.features[feature]
    figure = go.Figure()
    for name, weight, colour in (("all", everything, PALE), ("selected", held, ORANGE)):
        share = np.histogram(values, edges, weights=weight)[0] / max(weight.sum(), 1)
        hover = f"%{{x:.3g}} {_unit(item.unit)}: %{{y:.1%}} of {name}<extra></extra>"
        marker = {"color": colour, "opacity": 0.75}
        figure.add_bar(x=middle, y=share, width=width, name=name, marker=marker, hovertemplate=hover)
    for low, high in item.train_intervals:
        figure.add_vrect(low, high, line_width=0, fillcolor="#7F7F7F", opacity=0.12, layer="below")
    return layout(
        figure,
        260,
        barmode="overlay",
        xaxis_title=with_unit(item.title, item.unit) + ", grey: train range",
        yaxis={"title": "share of records", "tickformat": ".0%"},
    )


def _marks(colour: Colouring, dark: bool) -> list[tuple[str, np.ndarray, dict[str, Any]]]:
    """Name, rows and marker of each trace: one for numbers, one a category for names."""
    if not colour.categories:
        bar = {"title": {"text": with_unit(colour.label, colour.unit), "side": "right"}, "thickness": 14}
        marker = {"color": compact(colour.values), "colorscale": continuous(dark), "colorbar": bar, "opacity": 0.75}
        return [(colour.label, np.arange(len(colour.values)), marker)]
    marks = []
    for i, category in enumerate(colour.categories):
        shade, symbol = REGIMES.get(category, (PALETTE[i], ("circle", "x")[i % 2]))
        where = np.flatnonzero(colour.values == category)
        marks.append((REGIME_TITLES.get(category, category), where, {"color": shade, "symbol": symbol, "opacity": 0.6}))
    return marks


def _told(name: str, points: Points, episodes: Episodes, spec: EnvSpec, colour: Colouring) -> dict[str, Any]:
    """What hovering and the legend tell of points; in few letters, since 100,000 of them travel to the browser."""
    at = points.episode
    columns = [at, points.step, *episodes.context[at].T, returns(episodes)[at]]
    acted = np.where(episodes.explored, " · exploring", " · policy")
    return {
        "name": name,
        "customdata": compact(np.stack(columns, 1)),
        "text": np.char.add(episodes.regime, acted)[at],
        "hovertemplate": hover_template(spec, points.means),
        "showlegend": bool(colour.categories),
    }


def _times(path: np.ndarray | None, timestep: float, dark: bool) -> list[dict[str, Any]]:
    """Names a few times along a path (T, k), its start and its end among them."""
    if path is None:
        return []
    named = np.unique(np.linspace(0, len(path) - 1, NAMED_TIMES).round().astype(int))
    style = {"font": {"color": VERMILION, "size": 13}, "arrowcolor": VERMILION, "arrowwidth": 1.2, "arrowhead": 0}
    style |= {"bgcolor": "rgba(16,21,28,0.85)" if dark else "rgba(255,255,255,0.85)", "borderpad": 1}
    return [
        {
            **dict(zip("xyz", path[t].tolist(), strict=False)),
            "text": f"{t * timestep:.1f} s",
            # Fanned out, since the late ones lie close together.
            "ax": 46 * float(np.cos(2.1 - 1.05 * i)),
            "ay": -46 * float(np.sin(2.1 - 1.05 * i)),
            **style,
        }
        for i, t in enumerate(named)
    ]


def _path(path: np.ndarray, timestep: float) -> list[go.Scattergl | go.Scatter3d]:
    """The line of a path (T, k) and its dots, darker with time."""
    seconds = np.arange(len(path)) * timestep
    common = {"x": path[:, 0], "y": path[:, 1], "name": "one episode", "showlegend": False}
    hover = "z(t) at %{customdata:.2f} s<extra></extra>"
    dots = {"color": seconds, "colorscale": "Reds", "cmin": -seconds[-1] / 3, "showscale": False, "opacity": 1}
    dots |= {"cmax": seconds[-1]}
    if path.shape[1] == 3:
        kind = go.Scatter3d
        common |= {"z": path[:, 2]}
        line, dot_size = {"color": VERMILION, "width": 4}, 4
    else:
        kind = go.Scattergl
        line, dot_size = {"color": translucent(VERMILION, 0.6), "width": 1.2}, 6
    marker = {**dots, "size": dot_size}
    return [
        kind(**common, mode="lines", line=line, hoverinfo="skip"),
        kind(**common, mode="markers", marker=marker, customdata=seconds, hovertemplate=hover),
    ]


def _way(line: np.ndarray, waypoints: np.ndarray, dark: bool) -> list[go.Scattergl | go.Scatter3d]:
    """A line (N, k) and its points (W, k), numbered in the order that they are passed; clicks go through to the map."""
    kind = go.Scatter3d if line.shape[1] == 3 else go.Scattergl  # others would lie below the points
    ink, paper = ("#ffffff", "#10151c") if dark else ("#000000", "#ffffff")
    common = {"showlegend": False, "hoverinfo": "skip"}
    passed = [dict(zip("xyz", part.T, strict=False)) for part in (line, waypoints)]
    names = [str(i + 1) for i in range(len(waypoints))]
    marker = {"size": 17 if line.shape[1] == 2 else 8, "color": paper, "line": {"width": 1.5, "color": ink}}
    return [
        kind(**passed[0], mode="lines", line={"color": ink, "width": 2.5}, **common),
        kind(
            **passed[1], mode="markers+text", marker=marker, text=names, textfont={"color": ink, "size": 11}, **common
        ),
    ]


def _ring(place: np.ndarray, dark: bool) -> go.Scattergl | go.Scatter3d:
    """A ring around a place (k,) of the map."""
    kind = go.Scatter3d if len(place) == 3 else go.Scattergl
    marker = {
        "symbol": "circle-open",
        "size": 14 if len(place) == 2 else 9,
        "color": "#ffffff" if dark else "#000000",
        "line": {"width": 2},
    }
    where = {axis: [float(value)] for axis, value in zip("xyz", place, strict=False)}
    return kind(**where, mode="markers", marker=marker, showlegend=False, hoverinfo="skip")


def _unit(unit: str) -> str:
    return "× its model's own" if unit == "x" else unit
