"""Take over: act in the dream and in the simulator at once, and turn the physics while both go on."""

import streamlit as st

from dali.errors import DaliError
from dali.studio.loaders import choose_run, stop_with
from dali.studio.style import header

header(
    "Play",
    "Your keys act in four runs at once: the simulator and the agent's dream, under the episode's own physics and "
    "under those that you ask for. Turn the sliders while they run.",
)
run = choose_run()
try:
    with st.spinner("Loading …", show_time=False):
        from dali.studio.film import play as film_play
        from dali.studio.film import play_page
        from dali.studio.film import view as film_view

        source, key = film_view.open_film_source(run)
    film_view.warn_if_stale(run)
    session = play_page.session_of(source, key)
    film_play.show(session)
    play_page.show_notes(source)
    play_page.show_export(key, run, session)
except DaliError as error:
    stop_with(error)
