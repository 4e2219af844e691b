"""Dreams along the path of the map: as one film whose code turns, or side by side; kept, exported and read back."""

from collections.abc import Callable
from functools import partial

import numpy as np
import streamlit as st

from dali.codes.paths import CodePath, codes_along, path_table, read_path, waypoints_of
from dali.codes.selections import FORMATS, write_selection
from dali.dreams.along import Along, dreams_side_by_side, turning_dream
from dali.dreams.counterfactual import Engine, engines
from dali.dreams.film import FilmSource
from dali.episodes import Episodes
from dali.errors import DaliError
from dali.export.along import strip_frames, turning_frames
from dali.export.pictures import SIZE, draw_run, physics_text
from dali.figures.style import with_unit
from dali.files.text import markdown
from dali.studio.film.controls import ENGINE_TITLES
from dali.studio.film.defaults import default_request
from dali.studio.film.view import open_film_source
from dali.studio.latent import path as paths
from dali.studio.latent.keeping import NamedFiles
from dali.studio.loaders import Run, Stamp
from dali.studio.looping import looping_film
from dali.studio.player import Pane, PlayerFilm, Series, Trace, player
from dali.studio.style import download
from dali.video import encode_mp4, png_strip

TURN, SIDE = "One dream, the code turning", "Dreams side by side"
COUNT, MOST = 7, 9  # dreams side by side
DREAM = "dream"  # of the URL: episode, step, horizon
PICTURES = 8  # moments in a strip of the turning film
FAR = 0.99  # share of the data's codes beyond which a code is called off the data


def show_path(run: Run, episodes: Episodes) -> None:
    """The path's points, what can be done with it, and the dreams along it."""
    paths.show_said()
    path = paths.get_path(run)
    if not path.records:
        return
    st.subheader("Dreams along the path", anchor=False)
    _show_points(run, path)
    if not path.is_whole:
        st.caption("One point so far; click the next one on the map.")
        return
    try:
        codes_along(waypoints_of(path, episodes), 2)
    except DaliError as error:
        st.info(markdown(error), icon=":material/info:")
        return
    source, key = open_film_source(run)
    kind, start, engine = _choose(run, source)
    if kind == TURN:
        _show_turning(run, source, key, path, start, engine)
    else:
        _show_side_by_side(run, source, key, path, start, engine)


def _show_points(run: Run, path: CodePath) -> None:
    named = " → ".join(f"episode {episode}, step {t}" for episode, t in path.records)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(named, width="content")
        st.button("Take back", icon=":material/undo:", on_click=paths.take_back, args=(run,))
        st.button("Clear path", icon=":material/close:", on_click=paths.clear, args=(run,))


def _choose(run: Run, source: FilmSource) -> tuple[str, tuple[int, int, int], Engine]:
    """How to dream along the path, and the record and horizon to dream from; of the URL, of before, or the default."""
    session, lengths = st.session_state, source.episodes.length
    default = default_request(source)
    kept: tuple[int, int, int] = session.get(f"path_start:{run.folder}", (default.episode, default.t, default.horizon))
    text, written = st.query_params.get(DREAM), session.get(f"path_start_written:{run.folder}")
    moved = written is not None and "-".join(map(str, kept)) != written  # by an entry, which the URL has yet to follow
    if text is not None and text != written and not moved:
        parts = text.split("-")
        if len(parts) == 3 and all(p.isascii() and p.isdigit() and len(p) < 7 for p in parts):
            kept = (int(parts[0]), int(parts[1]), int(parts[2]))
        else:
            st.warning("The URL's dream= was not followed: expected episode-step-horizon, such as 12-60-50.")
    episode = min(max(kept[0], 0), len(lengths) - 1)
    t = min(max(kept[1], 0), int(lengths[episode]) - 1)
    start = episode, t, min(max(kept[2], 2), max(2, int(lengths[episode]) - t))
    if start[1] + start[2] > lengths[episode]:  # one step is left, and a path needs two
        start = episode, max(0, int(lengths[episode]) - 2), 2
    session["path_episode"], session["path_t"], session["path_h"] = start

    def follow() -> None:
        session[f"path_start:{run.folder}"] = tuple(int(session[f"path_{name}"] or 0) for name in ("episode", "t", "h"))

    shallow = source.agent.method.shallow
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.segmented_control(
            "As", [SIDE] if shallow else [TURN, SIDE], default=SIDE if shallow else TURN, required=True,
            key=f"path_as:{shallow}", persist_state="session", width="content",
        )  # fmt: skip
        st.number_input("From episode", key="path_episode", step=1, on_change=follow, width=130)
        st.number_input("Step", key="path_t", step=1, on_change=follow, width=110)
        st.number_input("Horizon (steps)", key="path_h", step=1, on_change=follow, width=130)
        offered, engine = engines(source.agent), "rssm"
        if len(offered) > 1:
            engine = st.segmented_control(
                "Dreamt by", offered, default="rssm", required=True, key="path_engine", persist_state="session",
                format_func=ENGINE_TITLES.__getitem__, width="content",
            )  # fmt: skip
    if start != kept:
        st.caption(
            f"There are episodes 0 to {len(lengths) - 1}, and episode {start[0]} has {lengths[start[0]]} steps: the "
            f"dream is of {start[2]} steps from step {start[1]} of episode {start[0]}."
        )
    session[f"path_start:{run.folder}"] = start
    written = "-".join(map(str, start))
    if st.query_params.get(DREAM) != written:
        st.query_params[DREAM] = written
    session[f"path_start_written:{run.folder}"] = written
    return kind, start, engine  # type: ignore[return-value]  # of those offered


def _show_turning(
    run: Run, source: FilmSource, key: Stamp, path: CodePath, start: tuple[int, int, int], engine: Engine
) -> None:
    spec = source.agent.spec
    along, frames = _turning(key, path, start, engine, source)
    ends = [physics_text(spec, along.physics[i]) for i in (0, -1)]
    root = float(np.sqrt((along.error[1:] ** 2).mean()))
    st.markdown(f"**As the probe reads it, the code goes from {ends[0]} to {ends[1]}; the dream errs {root:.2f} σ.**")
    titles = ("Real, physics turned", "real_counterfactual"), ("Dream, code turned", "dream_counterfactual")
    panes = [
        Pane(title, "as the probe reads the code" if i == 0 else "from the same record, by the same actions",
             shown, style=style)
        for i, ((title, style), shown) in enumerate(zip(titles, frames, strict=True))
    ]  # fmt: skip
    traces = [Trace("Error of the dream", "σ of the data", [Series("Dream, code turned", along.error, titles[1][1])])]
    traces += [
        Trace(f"{f.label}, read off the code", f.unit, [Series("Probe", along.physics[:, i], titles[0][1])])
        for i, f in enumerate(spec.features)
    ]
    player(PlayerFilm(panes, traces, spec.timestep), "path_film")
    _explain(along)
    tiled = partial(turning_frames, along, spec)
    every = max(1, len(along.code) // PICTURES)
    _show_exports(run, tiled, every)


def _show_side_by_side(
    run: Run, source: FilmSource, key: Stamp, path: CodePath, start: tuple[int, int, int], engine: Engine
) -> None:
    count = st.slider("Dreams", 2, MOST, COUNT, key="path_count", width=260, persist_state="session")
    along, film = _side_by_side(key, path, start, engine, count, source)
    looping_film(film, f"{count} dreams side by side, along the path of codes", key="path_films")
    _explain(along)
    tiled = partial(strip_frames, along, source.agent.spec)
    _show_exports(run, tiled, start[2])


def _explain(along: Along) -> None:
    text = "No simulator has these codes: the real run is under the physics that the probe reads off each of them."
    off = float((along.outlying >= FAR).mean())
    if off:
        text += f" {off:.0%} of the way lies off the data's codes, farther out than {FAR:.0%} of them."
    st.caption(text)


def _show_exports(run: Run, tiled: Callable[[], np.ndarray], every: int) -> None:
    spec = run.spec
    with st.container(horizontal=True):
        for label, kind, mime, make in (
            ("mp4", "mp4", "video/mp4", lambda: encode_mp4(tiled(), 1.0 / spec.timestep)),
            ("PNG strip", "png", "image/png", lambda: png_strip(tiled(), every, spec.timestep)),
        ):
            download(label, make, f"{run.name}-path.{kind}", mime, f"path_save_{kind}")


def show_keeping(run: Run, episodes: Episodes) -> None:
    """A path that is kept under a name, exported as a table, or comes back from either."""
    files = NamedFiles(run, "paths", "path")
    files.show_error()
    path = paths.get_path(run)
    with st.expander("Keep, export and read paths", icon=":material/route:"):
        if path.is_whole:
            source, _ = open_film_source(run)
            assert source.steering is not None
            table = path_table(path, episodes, source.agent.spec, source.steering.probe, source.steering.support)
            files.show_saving({form: partial(write_selection, table, form) for form in FORMATS})
            names = ", ".join(with_unit(f"{f.name}_read", f.unit) for f in source.agent.spec.features)
            st.caption(f"One row a point along the path: leg, episode and t of its points, z, {names}, outlying.")
        shown = files.show_reading(lambda data, name: read_path(data, name, episodes))
        if shown is not None:
            paths.set_path(run, shown)
            st.rerun()


@st.cache_resource(max_entries=4, show_spinner="Dreaming along the path …")
def _turning(
    key: Stamp, path: CodePath, start: tuple[int, int, int], engine: Engine, _source: FilmSource
) -> tuple[Along, list[np.ndarray]]:
    episode, t, horizon = start
    codes = codes_along(waypoints_of(path, _source.episodes), horizon + 1)
    along = turning_dream(_source, episode, t, codes, engine)
    spec = _source.agent.spec
    return along, [draw_run(run, spec, along.physics, SIZE) for (run,) in (along.real, along.dream)]


@st.cache_resource(max_entries=4, show_spinner="Dreaming along the path …")
def _side_by_side(
    key: Stamp, path: CodePath, start: tuple[int, int, int], engine: Engine, count: int, _source: FilmSource
) -> tuple[Along, bytes]:
    episode, t, horizon = start
    codes = codes_along(waypoints_of(path, _source.episodes), count)
    along = dreams_side_by_side(_source, episode, t, horizon, codes, engine)
    spec = _source.agent.spec
    return along, encode_mp4(strip_frames(along, spec), 1.0 / spec.timestep)
