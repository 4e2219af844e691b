"""Where dreams go wrong: starts of episodes by the error of their dreams, each with a strip, a film and its place."""

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from dali.codes.points import Colouring, Points
from dali.dreams.errors import HORIZON, DreamErrors, error_of_records
from dali.dreams.request import Request
from dali.envs.spec import ContextFeature
from dali.envs.units import quantity
from dali.episodes import Episodes
from dali.export.bundle import Bundle
from dali.figures.style import REGIME_TITLES
from dali.runs.dream_errors import ERRORS_FILE, load_dream_errors
from dali.runs.folder import CACHE, CONFIG, EPISODES_FILE, WEIGHTS
from dali.studio import jobs
from dali.studio.film.view import film_of, open_film_source
from dali.studio.latent.selection import clicked_key, open_view, physics_cells, set_focus
from dali.studio.loaders import CHOSEN, Run, Stamp, name_of, stamp
from dali.studio.style import recomputed_by, shown_path

KINDS = {"counterfactual": "under another physics", "factual": "under its own physics"}
COLOURS = {kind: f"error of dreams {text}" for kind, text in KINDS.items()}  # of the map
ROWS = 300  # of the list; the worst come first
STRIP_SIZE = 160  # px a side of a pane of the strip


def show_dreams(run: Run, episodes: Episodes) -> None:
    """The list, sorted by an error; the chosen row's dream as a strip, with ways to its film and onto the map."""
    found = find_errors(run)
    if found is None:
        return
    kind = st.segmented_control(
        "Errors of dreams", list(KINDS), default="counterfactual", required=True, format_func=lambda kind: KINDS[kind],
        key="dreams_kind", persist_state="session",
    )  # fmt: skip
    values = getattr(found, kind)
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    st.markdown(
        f"**{len(values):,} dreams of {HORIZON} steps**, error in standard deviations of the data: half below "
        f"{middle:.2f} σ, a twentieth above {high:.2f} σ, a twentieth below {low:.2f} σ."
    )
    order = np.argsort(-values, kind="stable")[:ROWS]
    event = st.dataframe(
        error_table(run, episodes, found, order), hide_index=True, height=300, key=f"dreams_table:{kind}",
        on_select="rerun", selection_mode="single-row",
        column_config={name: st.column_config.NumberColumn(format="%.2f σ") for name in ERROR_TITLES.values()},
    )  # fmt: skip
    st.caption("The worst dream is shown below; choose another row to see its dream.")
    picked = [i for i in event.selection.rows if i < len(order)]
    _show_start(run, found, int(order[picked[0] if picked else 0]), kind)
    recomputed_by(f"python -m dali dreams {shown_path(run.folder)}")


ERROR_TITLES = {"factual": "Own physics", "counterfactual": "Another physics"}


def error_table(run: Run, episodes: Episodes, found: DreamErrors, order: np.ndarray) -> list[dict[str, Any]]:
    """One row a start, in an order of rows of the errors."""
    rows = []
    for i in order.tolist():
        episode = int(found.episode[i])
        rows.append(
            {
                "Episode": episode,
                "t": int(found.t[i]),
                **{title: float(getattr(found, kind)[i]) for kind, title in ERROR_TITLES.items()},
                **physics_cells(run, episodes, episode),
                "Asked": ", ".join(f"{f.label} {quantity(f, value)}" for f, value in _asked(run, episodes, found, i)),
                "Physics": REGIME_TITLES.get(str(episodes.regime[episode]), str(episodes.regime[episode])),
                "Acted by": "exploratory noise" if episodes.explored[episode] else "policy",
            }
        )
    return rows


def colouring_of(run: Run, name: str, points: Points) -> Colouring | None:
    """The colours of points by the error of dreams that start nearest to them; None where none was judged."""
    found = stored_errors(run)
    if found is None:
        return None
    kind = next(kind for kind, title in COLOURS.items() if title == name)
    values = error_of_records(getattr(found, kind), found, points.episode, points.step)
    return Colouring("error of the dream", "σ", values)


def stored_errors(run: Run) -> DreamErrors | None:
    """The stored errors of the present weights; None where there are none."""
    path = run.folder / CACHE / ERRORS_FILE
    made_from = [name for name in (CONFIG, WEIGHTS, EPISODES_FILE) if (run.folder / name).exists()]
    return _stored(stamp(path.parent, path.name), stamp(run.folder, *made_from)) if path.exists() else None


def find_errors(run: Run) -> DreamErrors | None:
    """The stored errors; where there are none, the job that makes them is started, and None until it is done."""
    found = stored_errors(run)
    if found is not None:
        return found
    status = run.folder / CACHE / "dreams.status.json"
    arguments = ["dreams", str(run.folder), "--status", str(status)]
    job = jobs.read(status)
    if job is None or job.state == "done":  # done for other weights than those here
        jobs.start(arguments, status)
    if jobs.running(status, "Judging dreams", "The dreams could not be judged: "):
        st.caption("Some seconds to a minute, once a checkpoint. It goes on while you look at other pages.")
        return None
    st.button("Judge the dreams", on_click=jobs.start, args=(arguments, status), icon=":material/play_arrow:")
    return None


def _show_start(run: Run, found: DreamErrors, row: int, kind: str) -> None:
    """A start's dream: a strip, and the ways to its film and onto the map."""
    episode, t = int(found.episode[row]), int(found.t[row])
    source, key = open_film_source(run)
    asked = []
    if kind == "counterfactual":
        asked = [(f.name, value) for f, value in _asked(run, source.episodes, found, row)]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**Episode {episode}, step {t}:** {getattr(found, kind)[row]:.2f} σ", width="content")
        st.page_link(
            "pages/counterfactuals.py", label="Open the film", icon=":material/movie:",
            query_params={CHOSEN: name_of(run), "episode": str(episode), "t": str(t), "h": str(HORIZON),
                          **{name: f"{value:g}" for name, value in asked}},
        )  # fmt: skip
        st.button("Show on the map", icon=":material/scatter_plot:", on_click=_to_map, args=(run, episode, t, kind))
    film = film_of(source, key, Request(episode, t, HORIZON, tuple(asked)))
    strip = Bundle(film, run.spec, run.config.method, STRIP_SIZE, (), None).make("png")
    st.image(strip, width="stretch")


def _to_map(run: Run, episode: int, t: int, kind: str) -> None:
    """Turns the page to its map, coloured by the error, the record ringed."""
    st.session_state[f"map_colour:{run.config.env}"] = COLOURS[kind]
    set_focus(run, episode, t)
    st.session_state[clicked_key(run)] = True
    open_view("Map")


def _asked(run: Run, episodes: Episodes, found: DreamErrors, row: int) -> list[tuple[ContextFeature, float]]:
    """The physics that a start's dream is asked for, of the features in which it is not its episode's own."""
    own = episodes.context[int(found.episode[row])]
    pairs = zip(run.spec.features, found.asked[row].tolist(), own, strict=True)
    return [(feature, value) for feature, value, before in pairs if abs(value - before) > 1e-6]


@st.cache_resource(max_entries=16, show_spinner=False)
def _stored(file: Stamp, weights: Stamp) -> DreamErrors | None:
    return load_dream_errors(Path(file[0][0]).parents[1])
