"""What the counterfactuals page saves: films for talks, figures and tables for papers, traces, and a manifest."""

from dataclasses import replace
from functools import partial

import streamlit as st

from dali.dreams.film import Film, FilmSource
from dali.export.bundle import SUFFIXES, Bundle
from dali.export.look import WIDTHS, Look
from dali.export.paper import COLUMNS
from dali.export.pictures import SIZE
from dali.studio.film.second import SecondRun, summary_of
from dali.studio.film.url import PageState
from dali.studio.film.view import checkpoint_digest, pinned_film
from dali.studio.loaders import Run, Stamp
from dali.studio.style import download, shown_path

FILES = {
    "mp4": ("mp4", "video/mp4"),
    "gif": ("GIF", "image/gif"),
    "png": ("PNG strip", "image/png"),
    "csv": ("CSV", "text/csv"),
    "npz": ("NPZ", "application/zip"),
}
# Offered, the first by default.
SPEEDS, HOLDS, LOOPS = (1.0, 0.5, 0.25, 0.1, 2.0), (0.0, 0.5, 1.0, 2.0, 5.0), (1, 2, 3, 5)
PAPER_FILES = {
    "pdf": ("PDF", "application/pdf"),
    "svg": ("SVG", "image/svg+xml"),
    "pgfplots": ("CSV for pgfplots", "text/csv"),
    "tex": ("LaTeX table", "application/x-tex"),
}


def show_export(
    source: FilmSource, key: Stamp, run: Run, state: PageState, film: Film, second: SecondRun | None
) -> None:
    """Downloads, made when they are asked for, and the command that makes the film again."""
    folder, agent = shown_path(run.folder), source.agent
    bundle = Bundle(
        film,
        agent.spec,
        agent.method,
        SIZE,
        state.extras,
        pinned_film(source, key, state),
        None if second is None else replace(second.exported, run=shown_path(second.run.folder)),
        name=run.name,
        summary=summary_of(run),
        second_summary=None if second is None else summary_of(second.run),
    )
    name = f"{run.name}-e{film.request.episode}-t{film.request.t}"
    with st.expander("Export", icon=":material/download:"):
        bundle = replace(bundle, look=_choose_look())
        with st.container(horizontal=True):
            for kind, (label, mime) in FILES.items():
                _download(bundle, kind, label, mime, name)

            def manifest() -> str:
                files = {"film.mp4": bundle.make("mp4")}
                return bundle.manifest(source.episodes, folder, checkpoint_digest(key), files)

            download("Manifest", manifest, f"{name}.json", "application/json", "film_save_json")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            width = st.segmented_control(
                "For a paper, as wide as a", list(COLUMNS), default="column", required=True, key="film_paper",
                format_func=str.capitalize, width="content", persist_state="session",
            )  # fmt: skip
            paper = replace(bundle, width=width)
            for kind, (label, mime) in PAPER_FILES.items():
                _download(paper, kind, label, mime, name)
        st.caption("The same film, byte for byte, without the dashboard:")
        st.code(bundle.command_line(folder, checkpoint_digest(key)), language="bash", wrap_lines=True)


def _download(bundle: Bundle, kind: str, label: str, mime: str, name: str) -> None:
    suffix = SUFFIXES.get(kind, kind)
    file = f"{name}.{suffix}" if suffix == kind else f"{name}-{kind}.{suffix}"
    download(label, partial(bundle.make, kind), file, mime, f"film_save_{kind}")


def _choose_look() -> Look:
    """How large, how fast and how often films are saved."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        height = st.segmented_control(
            "Size", [0, *WIDTHS], default=0, required=True, key="film_height", width="content",
            format_func=lambda h: f"{h}p" if h else "As drawn", persist_state="session",
        )  # fmt: skip
        speed = st.selectbox(
            "Speed", SPEEDS, key="film_speed", width=110, format_func="{:g}×".format, persist_state="session",
            help="Of real time; below 1 is slow motion.",
        )  # fmt: skip
        hold = st.selectbox(
            "Hold the end", HOLDS, key="film_hold", width=110, format_func="{:g} s".format, persist_state="session",
        )  # fmt: skip
        loops = st.selectbox(
            "Repeat", LOOPS, key="film_loops", width=110, format_func="{}×".format, persist_state="session",
        )  # fmt: skip
        clock = st.toggle(
            "Clock and errors", key="film_clock", persist_state="session", help="Burned in under the panes.",
        )  # fmt: skip
    return Look(height or None, hold, speed, loops, clock)
