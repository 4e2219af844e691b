"""The map of codes: its controls, and what the browser says was picked on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import streamlit as st

from dali.codes.grouped import subsample
from dali.codes.points import (
    Points,
    colour_names,
    colouring,
    episode_points,
    inside_polygon,
    points_of,
    record_points,
    records_of,
)
from dali.codes.projection import Method
from dali.codes.telling import told_by_dimension
from dali.episodes import Episodes
from dali.figures import latent as figures
from dali.figures.style import with_unit
from dali.studio.address import one_of, put, take
from dali.studio.latent import path as paths
from dali.studio.latent.dreams import COLOURS, colouring_of, stored_errors
from dali.studio.latent.projections import MAP_TITLES, find_map
from dali.studio.latent.selection import clicked_key, focus, generation, selected_records, selection_key, set_focus
from dali.studio.loaders import Run
from dali.studio.style import dark_theme

RECORDS, MEANS = "records (episode, t)", "episode means"
POINT_WORDS = {RECORDS: "records", MEANS: "means"}  # of the URL
PAIRS = "raw axes"
DRAWN = (5_000, 20_000, 100_000)
PAIR_LIMIT = 3_000
LASSO, CLICK, PATH, LINE = "Lasso", "Click", "Path", "Draw"
# What dragging does; Streamlit hears of clicks only where it selects nothing.
MOUSE = {LASSO: "lasso", CLICK: "pan", PATH: "pan", LINE: "lasso"}
MAP_WIDTH, BARS_WIDTH = 820, 200  # px: beside each other on a wide screen, the bars below on a narrow one


@dataclass(frozen=True)
class Settings:
    """What the controls ask for."""

    method: str
    dimensions: int
    means: bool
    colour: str
    drawn: int
    path_of: int | None
    mouse: str


def settings(run: Run, episodes: Episodes) -> Settings:
    """The controls above the map."""
    names = colour_names(run.spec)
    # Offered once the dreams were judged.
    if stored_errors(run) is not None:
        names += COLOURS.values()
    _follow_url(run, names)
    labels = {f.name: with_unit(f.title, f.unit) for f in run.spec.features} | {"time": "time (s)"}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = st.selectbox(
            "Map",
            [*MAP_TITLES, PAIRS],
            format_func=lambda m: MAP_TITLES.get(m, m),
            key="map_method",
            width=120,
            persist_state="session",
        )
        dimensions = st.selectbox(
            "Dimensions", [2, 3], disabled=method == PAIRS, key="map_dimensions", width=95, persist_state="session"
        )
        rows = st.selectbox("Points", [RECORDS, MEANS], key="map_points", width=185, persist_state="session")
        colour = st.selectbox(
            "Colour",
            names,
            format_func=lambda c: labels.get(c, c),
            key=f"map_colour:{run.config.env}",
            width=175,
            persist_state="session",
        )
        drawn = st.selectbox(
            "Drawn, at most", DRAWN, 1, format_func="{:,}".format, key="map_drawn", width=120, persist_state="session"
        )
        shown = st.number_input(
            "Path of episode",
            min_value=0,
            max_value=len(episodes.obs) - 1,
            value=None,
            placeholder="none",
            key=f"map_path:{run.folder}",
            help="Draws z(t) of this episode over the map, dark where it ends.",
            disabled=method == PAIRS,
            width=135,
            persist_state="session",
        )
        mouse = st.segmented_control(
            "Mouse", list(MOUSE), default=LASSO, required=True, key="map_mouse", persist_state="session",
            width="content", disabled=method == PAIRS or dimensions == 3,
            help="Lasso: dragging selects. Click: a click on a point looks at its episode, dragging moves the map. "
            "Path: each click on a point leads a path on. Draw: the line that you drag is the path, by the records "
            "nearest to it. What the agent dreams along a path shows below.",
        )  # fmt: skip
    colour_key = f"map_colour:{run.config.env}"
    for name, key, value, default in (
        ("map", "map_method", method, "pca"), ("dims", "map_dimensions", dimensions, 2),
        ("points", "map_points", POINT_WORDS[rows], POINT_WORDS[RECORDS]), ("colour", colour_key, colour, names[0]),
        ("drawn", "map_drawn", drawn, DRAWN[1]),
    ):  # fmt: skip
        put(name, key, value, default)
    return Settings(method, dimensions, rows == MEANS, colour, drawn, shown, mouse)


def _follow_url(run: Run, colours: list[str]) -> None:
    """The map that the URL asks for."""
    take("map", "map_method", "pca", one_of({**{m: m for m in MAP_TITLES}, PAIRS: PAIRS}))
    take("dims", "map_dimensions", 2, one_of((2, 3)))
    take("points", "map_points", RECORDS, one_of({word: rows for rows, word in POINT_WORDS.items()}))
    take("colour", f"map_colour:{run.config.env}", colours[0], one_of(colours))
    take("drawn", "map_drawn", DRAWN[1], one_of(DRAWN))


def show_map(run: Run, episodes: Episodes, chosen: Settings) -> None:
    """The map with its lasso, and in a sentence what is drawn."""
    points = episode_points(episodes) if chosen.means else record_points(episodes)
    grid = chosen.method == PAIRS
    rows = subsample(len(points.code), min(chosen.drawn, PAIR_LIMIT) if grid else chosen.drawn)
    shown = points.take(rows)
    colour = None if chosen.colour not in COLOURS.values() else colouring_of(run, chosen.colour, shown)
    colour = colour or colouring(chosen.colour, shown, episodes, run.spec)
    held = _baked_selection(run, episodes, chosen)
    mark = points_of(held, shown) if held is not None else None
    note = ""
    if grid:
        coordinates = points.code
        figure = figures.pair_grid(shown, episodes, run.spec, colour, mark, dark_theme())
    else:
        projected = find_map(run, points, cast(Method, chosen.method), chosen.dimensions)
        if projected is None:
            return
        coordinates = projected.points
        path = projected.path(episodes, chosen.path_of) if chosen.path_of is not None else None
        way, ring = paths.on_map(run, episodes, projected), _ringed(run, episodes, points, coordinates)
        revision = f"{chosen.method}:{chosen.dimensions}:{chosen.means}"  # zoom survives what leaves coordinates alone
        view = figures.MapView(mark, path, way, ring, revision, MOUSE[chosen.mouse], dark_theme())
        figure = figures.map_figure(coordinates[rows], shown, episodes, run.spec, colour, projected.axes, view)
        note = projected.note

    def follow() -> None:
        _follow_selection(
            run, episodes, points, coordinates, st.session_state[key].selection, LASSO if grid else chosen.mouse
        )

    key = f"map:{run.folder}:{st.session_state.get(generation(run), 0)}"
    flat = grid or chosen.dimensions == 2
    # Plotly draws four times the points of the screen; with software rendering a lasso then takes twice as long.
    with st.container(horizontal=True):
        place, beside = st.container(width=MAP_WIDTH), st.container(width=BARS_WIDTH)
    place.plotly_chart(
        figure,
        key=key if flat else f"{key}:3d",
        on_select=follow if flat else "ignore",
        selection_mode=("points", "box", "lasso"),
        config={"displaylogo": False, "scrollZoom": True, "plotGlPixelRatio": 1},
    )
    told = told_by_dimension(shown.code, colour)
    beside.plotly_chart(figures.dimension_bars(told, colour.label), key="map_bars", config={"displayModeBar": False})
    kind = "episode means" if chosen.means else "records"
    sampled = "" if len(rows) == len(points.code) else ", drawn at random without replacement (seed 0)"
    lasso = "A lasso holds all that lie inside it, drawn or not." if flat else "Lasso in two dimensions."
    bars = "Bars: how well each dimension alone tells the colour, by rank correlation (names: correlation ratio)."
    st.caption(f"{len(rows):,} of {len(points.code):,} {kind}{sampled}. {lasso} {note} {bars}")


def _baked_selection(run: Run, episodes: Episodes, chosen: Settings) -> np.ndarray | None:
    """The selection as it stood when these settings came up.

    The browser itself marks what is selected in the figure it shows. Were the figure changed too, its chart would
    become another widget, whose selection is empty; so the selection is written into a figure only as it restyles.
    """
    frozen = f"baked:{run.folder}"
    settings_before, records = st.session_state.get(frozen, (None, None))
    if settings_before != chosen:
        records = selected_records(run, episodes)
        st.session_state[frozen] = (chosen, records)
    return records if records is None or records.shape == episodes.obs.shape[:2] else None


def _follow_selection(
    run: Run,
    episodes: Episodes,
    points: Points,
    coordinates: np.ndarray,
    selection: Mapping[str, Any],
    mouse: str = LASSO,
) -> None:
    """Keeps what the browser selected: a lasso or box as records, a clicked point as the record looked at; or either
    as a path.
    """
    shapes = [_corners(shape) for kind in ("lasso", "box") for shape in selection.get(kind, [])]
    if not shapes:
        clicked = selection.get("points", [])
        record = _record(clicked[0].get("customdata")) if len(clicked) == 1 else None
        if record is not None and mouse == PATH:
            paths.add_point(run, *record)
        elif record is not None:
            set_focus(run, *record)
            st.session_state[clicked_key(run)] = True
            # The ring makes another figure, which must show the selection anew.
            st.session_state.pop(f"baked:{run.folder}", None)
        return
    if mouse == LINE:
        paths.take_line(run, shapes[-1][1], coordinates, points)
        return
    chosen = np.zeros(len(coordinates), bool)
    for axes, corners in shapes:
        chosen |= inside_polygon(coordinates[:, axes], corners)
    st.session_state[selection_key(run)] = records_of(points, chosen, episodes) if chosen.any() else None


def _ringed(run: Run, episodes: Episodes, points: Points, coordinates: np.ndarray) -> np.ndarray | None:
    """(k,) where the clicked record, or the mean of its episode, lies on the map."""
    if not st.session_state.get(clicked_key(run)):
        return None
    episode, step = focus(run, episodes)
    rows = np.flatnonzero((points.episode == episode) & (points.means | (points.step == step)))
    return coordinates[rows[0]] if len(rows) else None


def _record(customdata: object) -> tuple[int, int] | None:
    """Episode and step of a point's custom data, which the browser sends as a list or as an object of indices."""
    values = list(customdata.values()) if isinstance(customdata, Mapping) else customdata
    return (int(values[0]), int(values[1])) if isinstance(values, list) and len(values) > 1 else None


def _corners(shape: dict[str, Any]) -> tuple[list[int], np.ndarray]:
    """The two coordinates that a lasso or box spans, and its corners (P, 2). Axis "x" is the first, "x3" the third."""
    x, y = np.asarray(shape["x"], float), np.asarray(shape["y"], float)
    if len(x) == 2:  # a box, by two opposite corners
        x, y = x[[0, 1, 1, 0]], y[[0, 0, 1, 1]]
    return [_axis(shape.get("xref", "x"), 0), _axis(shape.get("yref", "y"), 1)], np.stack([x, y], 1)


def _axis(reference: str, alone: int) -> int:
    """Index of the coordinate on an axis; a plain "x" or "y" of a single plot is coordinate 0 or 1."""
    number_ = reference[1:]
    return int(number_) - 1 if number_ else alone
