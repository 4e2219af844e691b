"""The map of codes: its controls, the lasso, and what the lasso holds."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import streamlit as st

from dali.analysis import explore
from dali.analysis.explore import Points
from dali.analysis.projection import Method
from dali.analysis.rollouts import Episodes
from dali.figures import latent as figures
from dali.figures.style import REGIME_TITLES
from dali.studio.loaders import CHOSEN, Run
from dali.studio.maps import MAP_TITLES, find_map
from dali.studio.style import number

RECORDS, MEANS = "records (episode, t)", "episode means"
PAIRS = "raw axes"
DRAWN = (5_000, 20_000, 100_000)
PAIR_LIMIT = 3_000
TABLE_ROWS = 200


@dataclass(frozen=True)
class Settings:
    """What the controls ask for."""

    method: str
    dimensions: int
    means: bool
    colour: str
    drawn: int
    path_of: int | None


def selection_key(run: Run) -> str:
    return f"selection:{run.folder}"


def selected_records(run: Run, episodes: Episodes) -> np.ndarray | None:
    """(E, T + 1) bool: what the last lasso held, or None. It outlives recolouring and other pages."""
    records = st.session_state.get(selection_key(run))
    return records if records is not None and records.shape == episodes.obs.shape[:2] else None


def focus(run: Run, episodes: Episodes) -> tuple[int, int]:
    """The record (episode, t) that was looked at last; the first of the first episode by default."""
    episode, step = st.session_state.get(f"focus:{run.folder}", (0, 0))
    return (episode, step) if episode < len(episodes.obs) and step <= episodes.length[episode] else (0, 0)


def set_focus(run: Run, episode: int, step: int) -> None:
    st.session_state[f"focus:{run.folder}"] = (int(episode), int(step))


def settings(run: Run, episodes: Episodes) -> Settings:
    """The controls above the map."""
    names = explore.colour_names(run.spec)
    labels = {f.name: f"{f.title} ({f.unit})" for f in run.spec.features} | {"time": "time (s)"}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = st.selectbox(
            "Map",
            [*MAP_TITLES, PAIRS],
            format_func=lambda m: MAP_TITLES.get(m, m),
            key="map_method",
            width=140,
            persist_state="session",
        )
        dimensions = st.selectbox(
            "Dimensions", [2, 3], disabled=method == PAIRS, key="map_dimensions", width=110, persist_state="session"
        )
        rows = st.selectbox("Points", [RECORDS, MEANS], key="map_points", width=200, persist_state="session")
        colour = st.selectbox(
            "Colour",
            names,
            format_func=lambda c: labels.get(c, c),
            key=f"map_colour:{run.config.env}",
            width=190,
            persist_state="session",
        )
        drawn = st.selectbox(
            "Drawn, at most", DRAWN, 1, format_func="{:,}".format, key="map_drawn", width=130, persist_state="session"
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
            width=150,
            persist_state="session",
        )
    return Settings(method, dimensions, rows == MEANS, colour, drawn, shown)


def show_map(run: Run, episodes: Episodes, chosen: Settings) -> None:
    """The map with its lasso, and in a sentence what is drawn."""
    points = explore.episode_points(episodes) if chosen.means else explore.record_points(episodes)
    grid = chosen.method == PAIRS
    rows = explore.thin(len(points.code), min(chosen.drawn, PAIR_LIMIT) if grid else chosen.drawn)
    shown = points.take(rows)
    colour = explore.colouring(chosen.colour, shown, episodes, run.spec)
    held = _baked_selection(run, episodes, chosen)
    mark = explore.points_of(held, shown) if held is not None else None
    note = ""
    if grid:
        coordinates = points.code
        figure = figures.pair_grid(shown, episodes, run.spec, colour, mark)
    else:
        projected = find_map(run, points, cast(Method, chosen.method), chosen.dimensions)
        if projected is None:
            return
        coordinates = projected.points
        path = projected.path(episodes, chosen.path_of) if chosen.path_of is not None else None
        figure = figures.map_figure(
            coordinates[rows], shown, episodes, run.spec, colour, projected.axes, mark, path, _revision(chosen)
        )
        note = projected.note

    def follow() -> None:
        _follow_selection(run, episodes, points, coordinates, st.session_state[key].selection)

    key = f"map:{run.folder}:{st.session_state.get(_generation(run), 0)}"
    flat = grid or chosen.dimensions == 2
    # Plotly draws four times the points of the screen; with software rendering a lasso then takes twice as long.
    st.plotly_chart(
        figure,
        key=key if flat else f"{key}:3d",
        on_select=follow if flat else "ignore",
        selection_mode=("box", "lasso"),
        config={"displaylogo": False, "scrollZoom": True, "plotGlPixelRatio": 1},
    )
    kind = "episode means" if chosen.means else "records"
    sampled = "" if len(rows) == len(points.code) else ", drawn at random without replacement (seed 0)"
    lasso = "A lasso holds all that lie inside it, drawn or not." if flat else "Lasso in two dimensions."
    st.caption(f"{len(rows):,} of {len(points.code):,} {kind}{sampled}. {lasso} {note}")


def show_selection(run: Run, episodes: Episodes) -> None:
    """What the lasso holds: a table of episodes, and the physics in it against all."""
    records = selected_records(run, episodes)
    if records is None:
        st.info("Draw a lasso or a box on the map: what it holds shows here.", icon=":material/lasso_select:")
        return
    counts = records.sum(1)
    left, right = st.columns([4, 1], vertical_alignment="center")
    left.markdown(f"**{int(counts.sum()):,} records of {int((counts > 0).sum()):,} episodes selected**")
    right.button("Clear selection", on_click=_clear, args=(run,), width="stretch")
    columns = st.columns(len(run.spec.features))
    for i, column in enumerate(columns):
        column.plotly_chart(figures.context_histogram(episodes, run.spec, i, records), key=f"histogram:{i}")
    rows = selection_table(run, episodes, records)
    event = st.dataframe(
        rows, hide_index=True, height=260, key="selection_table", on_select="rerun", selection_mode="single-row"
    )
    picked = [i for i in event.selection.rows if i < len(rows)]
    row = rows[picked[0] if picked else 0]
    more = f"The {TABLE_ROWS} episodes with the most selected records. " if (counts > 0).sum() > TABLE_ROWS else ""
    st.caption(f"{more}Choose a row to open another episode at its first selected record.")
    link_to_studio(run, episodes, row["Episode"], row["First t"])


def selection_table(run: Run, episodes: Episodes, records: np.ndarray) -> list[dict]:
    """One row an episode of the selection, the one with most records first."""
    counts, total = records.sum(1), explore.returns(episodes)
    order = [e for e in np.argsort(-counts, kind="stable") if counts[e] > 0][:TABLE_ROWS]
    return [
        {
            "Episode": int(e),
            "Records": int(counts[e]),
            "First t": int(records[e].argmax()),
            **{
                f"{f.title} ({f.unit})": round(float(episodes.context[e, i]), 3)
                for i, f in enumerate(run.spec.features)
            },
            "Physics": REGIME_TITLES.get(str(episodes.regime[e]), str(episodes.regime[e])),
            "Acted by": "exploratory noise" if episodes.explored[e] else "policy",
            "Return": round(float(total[e]), 1),
        }
        for e in order
    ]


def link_to_studio(run: Run, episodes: Episodes, episode: int, step: int) -> None:
    """A link to the counterfactuals from a record; from an episode's last record nothing can follow."""
    step = min(step, max(0, int(episodes.length[episode]) - 1))
    st.page_link(
        "pages/counterfactuals.py",
        label=f"Dream on from episode {episode}, step {step}",
        icon=":material/movie:",
        query_params={CHOSEN: run.name, "episode": str(episode), "t": str(step)},
    )


def describe(run: Run, episodes: Episodes, episode: int) -> str:
    """An episode's physics in units, where it lies, and who acted."""
    physics = ", ".join(
        f"{f.title} = {number(float(episodes.context[episode, i]), 2, f.unit)}" for i, f in enumerate(run.spec.features)
    )
    acted = "exploratory noise" if episodes.explored[episode] else "the policy"
    regime = str(episodes.regime[episode])
    return f"{physics} ({REGIME_TITLES.get(regime, regime)}), acted by {acted}"


def _revision(chosen: Settings) -> str:
    """Zoom survives whatever leaves the coordinates alone."""
    return f"{chosen.method}:{chosen.dimensions}:{chosen.means}"


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


def _follow_selection(run: Run, episodes: Episodes, points: Points, coordinates: np.ndarray, selection) -> None:
    """Keeps what the browser selected: a lasso or box, as records."""
    shapes = [_corners(shape) for shape in selection.get("lasso", [])] + [
        _corners(shape) for shape in selection.get("box", [])
    ]
    if not shapes:
        return
    chosen = np.zeros(len(coordinates), bool)
    for axes, corners in shapes:
        chosen |= explore.inside_polygon(coordinates[:, axes], corners)
    st.session_state[selection_key(run)] = explore.records_of(points, chosen, episodes) if chosen.any() else None


def _corners(shape: dict) -> tuple[list[int], np.ndarray]:
    """The two coordinates that a lasso or box spans, and its corners (P, 2). Axis "x" is the first, "x3" the third."""
    x, y = np.asarray(shape["x"], float), np.asarray(shape["y"], float)
    if len(x) == 2:  # a box, by two opposite corners
        x, y = x[[0, 1, 1, 0]], y[[0, 0, 1, 1]]
    return [_axis(shape.get("xref", "x"), 0), _axis(shape.get("yref", "y"), 1)], np.stack([x, y], 1)


def _axis(reference: str, alone: int) -> int:
    """Index of the coordinate on an axis; a plain "x" or "y" of a single plot is coordinate 0 or 1."""
    number_ = reference[1:]
    return int(number_) - 1 if number_ else alone


def _clear(run: Run) -> None:
    st.session_state[selection_key(run)] = None
    st.session_state.pop(f"baked:{run.folder}", None)
    # Another key makes another chart: the browser forgets the lasso that it still shows.
    st.session_state[_generation(run)] = st.session_state.get(_generation(run), 0) + 1


def _generation(run: Run) -> str:
    return f"map_generation:{run.folder}"
