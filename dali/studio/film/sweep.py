"""The sweep of the counterfactuals page: asked for, watched while a process renders it, shown."""

import csv
import io
import shutil
import tempfile
from functools import partial
from pathlib import Path

import streamlit as st

from dali.dreams.film import FilmSource
from dali.export.sweep import MOST
from dali.figures.style import with_unit
from dali.studio import jobs
from dali.studio.film.state import SWEEP, decimals_of, say, step_of, sweep_axes, whole_sweep
from dali.studio.film.url import PageState
from dali.studio.loaders import Run
from dali.studio.style import download

FOLDER, ABOUT = "film_sweep_folder", "film_sweep_about"


def show_sweep(source: FilmSource, run: Run, state: PageState) -> None:
    """One quantity over its range, everything else as the page has it."""
    method = source.agent.method
    with st.expander("Sweep", icon=":material/view_column:"):
        if method.source == "none":
            st.caption(f"{method.title} reads no context: its dream is the same all along; the real runs are not.")
        _show_choice(source, run, state)
        folder: Path | None = st.session_state.get(FOLDER)
        if folder is None:
            return
        status = jobs.watch(folder / "status.json", "Sweep")
        if status is None or status.state == "running":
            return
        if status.state == "done":
            _show_result(folder)
        elif status.state == "cancelled":
            st.info("The sweep was cancelled.", icon=":material/stop:")
        else:
            st.error(f"The sweep failed: {status.text}", icon=":material/error:")


def _show_choice(source: FilmSource, run: Run, state: PageState) -> None:
    session = st.session_state
    features = {f.name: f for f in source.agent.spec.features}

    def title(axis: str) -> str:
        feature = features.get(axis)
        return f"code dimension {axis} (σ)" if feature is None else with_unit(feature.label, feature.unit)

    with st.container(horizontal=True, vertical_alignment="bottom"):
        axis = st.selectbox(
            "Swept quantity", sweep_axes(source), key="film_sweep_axis", format_func=title,
            on_change=_widen, args=(source,), width=260,
        )  # fmt: skip
        step = step_of(features[axis]) if axis in features else 0.1
        form = f"%.{decimals_of(features[axis]) if axis in features else 1}f"
        fit = partial(_fit, source)
        st.number_input("From", step=step, format=form, key="film_sweep_from", width=120, on_change=fit)
        st.number_input("To", step=step, format=form, key="film_sweep_to", width=120, on_change=fit)
        st.number_input("Values", step=1, key="film_sweep_count", width=110, on_change=fit)
        if st.button("Render sweep", icon=":material/play_arrow:"):
            if session["film_sweep_from"] >= session["film_sweep_to"]:
                st.warning("A sweep goes from the smaller value to the larger one.", icon=":material/warning:")
            else:
                _start(run, state, title(axis))


def _show_result(folder: Path) -> None:
    st.caption(st.session_state[ABOUT])
    film, table = (folder / "sweep.mp4").read_bytes(), (folder / "sweep.csv").read_text(encoding="utf-8")
    st.video(film, loop=True)
    rows = [
        {name: round(float(text), 3) if text else None for name, text in row.items()}
        for row in csv.DictReader(io.StringIO(table))
    ]
    st.dataframe(rows, hide_index=True)
    with st.container(horizontal=True):
        download("mp4", film, "sweep.mp4", "video/mp4")
        download("CSV", table, "sweep.csv", "text/csv")


def _widen(source: FilmSource) -> None:
    """Another quantity is swept over all that it can go over."""
    session = st.session_state
    session["film_sweep_from"], session["film_sweep_to"] = whole_sweep(session["film_sweep_axis"], source)[2:]


def _fit(source: FilmSource) -> None:
    """Keeps the ends and the number of values in their ranges, and says what was changed."""
    session = st.session_state
    low, high = whole_sweep(session["film_sweep_axis"], source)[2:]
    for key, name, least, most in (
        ("film_sweep_from", "first value", low, high),
        ("film_sweep_to", "last value", low, high),
        ("film_sweep_count", "number of values", 2, MOST),
    ):
        near = min(max(session[key], least), most)
        if near != session[key]:
            say(f"The sweep's {name} is {near:g} now: it lies between {least:g} and {most:g}.")
            session[key] = near


def _start(run: Run, state: PageState, about: str) -> None:
    """Has the sweep rendered by the command line's own command, so that what a page shows can be made without it."""
    folder = _fresh_folder()
    axis, count, low, high = (st.session_state[key] for key in SWEEP)
    asked = ["--sweep", axis, "--count", str(count), "--from", str(low), "--to", str(high)]
    results = ["--output", str(folder / "sweep.mp4"), "--csv", str(folder / "sweep.csv")]
    status, request = folder / "status.json", state.request
    words = ["counterfactual", str(run.folder.resolve()), *request.arguments(), *asked, *results]
    jobs.start([*words, "--status", str(status)], status)
    st.session_state[ABOUT] = f"{about} · episode {request.episode}, from step {request.t}, {request.horizon} steps"


def _fresh_folder() -> Path:
    """An empty folder for this session's sweep; the one before goes."""
    old = st.session_state.get(FOLDER)
    if old is not None:
        jobs.cancel(old / "status.json")
        shutil.rmtree(old, ignore_errors=True)
    st.session_state[FOLDER] = folder = Path(tempfile.mkdtemp(dir=_scratch().name))
    return folder


def _discard(scratch: tempfile.TemporaryDirectory[str]) -> None:
    """Ends what a session that is gone had asked for, and removes its files."""
    for status in Path(scratch.name).glob("*/status.json"):
        jobs.cancel(status)
    scratch.cleanup()


@st.cache_resource(show_spinner=False, scope="session", on_release=_discard)
def _scratch() -> tempfile.TemporaryDirectory[str]:
    """Where this session's sweeps lie; it goes with the session, and in any case with the server."""
    return tempfile.TemporaryDirectory(prefix="dali-sweeps-", ignore_cleanup_errors=True)
