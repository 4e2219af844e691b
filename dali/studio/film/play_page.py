"""What stands around the performance of the page Play: where a take starts, and what it is saved as."""

import streamlit as st

from dali.dreams.counterfactual import engines
from dali.dreams.film import FilmSource
from dali.export.take import take_csv, take_film, take_manifest
from dali.studio.film.controls import ENGINE_TITLES
from dali.studio.film.defaults import default_request
from dali.studio.film.play import Session, start
from dali.studio.film.state import say
from dali.studio.film.view import checkpoint_digest, show_said
from dali.studio.loaders import Run, Stamp
from dali.studio.style import download, shown_path

SESSION = "play_session"  # what it was started from, and the session itself


def session_of(source: FilmSource, key: Stamp) -> Session:
    """The take of this tab: a new one where another start is chosen, the present one otherwise."""
    session = st.session_state
    default = default_request(source)
    count = len(source.episodes.obs)
    kept = session.get(SESSION)
    if kept is None or kept[0][0] != key:  # the first visit, or another checkpoint
        wanted = (key, default.episode, default.t, default.engine)
        kept = session[SESSION] = (wanted, start(source, *wanted[1:], default.physics))
    _, episode, t, engine = kept[0]
    session["play_episode"], session["play_t"], session["play_engine"] = episode, t, engine

    def begin_again() -> None:
        asked, lengths = session["play_episode"] or 0, source.episodes.length
        chosen = min(max(asked, 0), count - 1)
        first = min(max(session["play_t"] or 0, 0), int(lengths[chosen]) - 1)
        if (chosen, first) != (asked, session["play_t"]):
            say(
                f"There are episodes 0 to {count - 1}, and episode {chosen} has {lengths[chosen]} steps: the take "
                f"starts at step {first} of episode {chosen}."
            )
        asked_physics = session[SESSION][1].performance.contexts[-1][1]
        physics = tuple((f.name, float(v)) for f, v in zip(source.agent.spec.features, asked_physics, strict=True))
        wanted = (key, chosen, first, session["play_engine"])
        session[SESSION] = (wanted, start(source, *wanted[1:], physics))

    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input("Episode", key="play_episode", step=1, width=130, on_change=begin_again)
        st.number_input("Start (step)", key="play_t", step=1, width=130, on_change=begin_again)
        if len(engines(source.agent)) > 1:
            st.segmented_control(
                "Dreamt by", engines(source.agent), key="play_engine", required=True, on_change=begin_again,
                format_func=ENGINE_TITLES.__getitem__, width="content",
            )  # fmt: skip
        st.button("New take", icon=":material/restart_alt:", on_click=begin_again)
    show_said()
    return kept[1]


def show_notes(source: FilmSource) -> None:
    """What a person must know of this agent before trusting its dream."""
    method = source.agent.method
    if method.source == "none":
        st.caption(f"{method.title} reads no physics: both dreams are the same.")
    elif method.shallow:
        st.caption(
            f"{method.title} reads its code while it observes, not while it dreams: physics that are asked for at the "
            "start reach the dream, physics turned later reach the simulator alone."
        )


def show_export(key: Stamp, run: Run, session: Session) -> None:
    """Downloads of the take as it stands when they are asked for."""
    name = f"{run.name}-take"
    with st.container(horizontal=True):
        for label, file, mime, make in (
            ("mp4", f"{name}.mp4", "video/mp4", lambda: take_film(session.performance)),
            ("CSV", f"{name}.csv", "text/csv", lambda: take_csv(session.performance)),
            ("Manifest", f"{name}.json", "application/json", lambda: _manifest(key, run, session)),
        ):
            download(label, make, file, mime, f"play_save_{label}")
    st.caption(
        "The manifest holds every action and every turn of a slider: `python -m dali play RUN take.json --output "
        "take.mp4` makes the same film from it, byte for byte."
    )


def _manifest(key: Stamp, run: Run, session: Session) -> str:
    files = {"take.mp4": take_film(session.performance)}
    return take_manifest(session.performance, shown_path(run.folder), checkpoint_digest(key), files)
