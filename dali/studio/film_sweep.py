"""The sweep of the counterfactuals page: asked for, watched while a process renders it, shown."""

import shutil
import tempfile
from pathlib import Path

import streamlit as st

from dali.analysis.film import Stage
from dali.studio import jobs
from dali.studio.film_state import MOST_SWEPT, PageState, sweep_axes
from dali.studio.loaders import Run

FOLDER, ABOUT = "film_sweep_folder", "film_sweep_about"


def show_sweep(stage: Stage, run: Run, state: PageState) -> None:
    """One quantity over its range, everything else as the page has it."""
    spec, session = stage.agent.spec, st.session_state
    method = stage.agent.method
    titles = {f.name: f"{f.label} ({f.limits[0]:g} to {f.limits[1]:g} {f.unit})" for f in spec.features}
    with st.expander("Sweep", icon=":material/view_column:"):
        if method.source == "none":
            st.caption(f"{method.title} reads no context: its dream is the same all along; the real runs are not.")
        columns = st.columns([3, 1.4, 1.6], vertical_alignment="bottom")
        axis = columns[0].selectbox(
            "Swept quantity", sweep_axes(stage), key="film_sweep_axis",
            format_func=lambda a: titles.get(a, f"code dimension {a} (−3 to 3 σ)"),
        )  # fmt: skip
        count = columns[1].number_input("Values", 2, MOST_SWEPT, key="film_sweep_count")
        if columns[2].button("Render sweep", icon=":material/play_arrow:", width="stretch"):
            _start(run, state, axis, int(count), titles.get(axis, axis))
        folder: Path | None = session.get(FOLDER)
        if folder is None:
            return
        status = jobs.watch(folder / "status.json", "Sweep")
        if status is None or status.state == "running":
            return
        if status.state == "done":
            st.caption(session[ABOUT])
            film = (folder / "sweep.mp4").read_bytes()
            st.video(film, loop=True)
            with st.container(horizontal=True):
                st.download_button("mp4", film, "sweep.mp4", "video/mp4", on_click="ignore", icon=":material/download:")
                st.download_button(
                    "CSV", (folder / "sweep.csv").read_bytes(), "sweep.csv", "text/csv", on_click="ignore",
                    icon=":material/download:",
                )  # fmt: skip
        elif status.state == "cancelled":
            st.info("The sweep was cancelled.", icon=":material/stop:")
        else:
            st.error(f"The sweep failed: {status.text}", icon=":material/error:")


def _start(run: Run, state: PageState, axis: str, count: int, about: str) -> None:
    """Has the sweep rendered by the command line's own command, so that what a page shows can be made without it."""
    folder = _fresh_folder()
    asked = [*state.request.arguments(), "--sweep", axis, "--count", str(count)]
    results = ["--output", str(folder / "sweep.mp4"), "--csv", str(folder / "sweep.csv")]
    status = folder / "status.json"
    jobs.start(["counterfactual", str(run.folder.resolve()), *asked, *results, "--status", str(status)], status)
    request = state.request
    st.session_state[ABOUT] = f"{about} · episode {request.episode}, from step {request.t}, {request.horizon} steps"


def _fresh_folder() -> Path:
    """An empty folder for this session's sweep; the one before goes."""
    old = st.session_state.get(FOLDER)
    if old is not None:
        jobs.cancel(old / "status.json")
        shutil.rmtree(old, ignore_errors=True)
    st.session_state[FOLDER] = folder = Path(tempfile.mkdtemp(prefix="dali-sweep-"))
    return folder
