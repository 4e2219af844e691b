"""What if the physics were another? A dream beside the real simulator, steered by sliders."""

import streamlit as st

from dali.errors import DaliError
from dali.studio.loaders import choose_run, stop_with
from dali.studio.style import header

header(
    "Counterfactuals",
    "The agent dreams on from a recorded moment under the physics that you ask for; beside it the real simulator, from "
    "the same state with the same actions.",
)
try:
    with st.spinner("Loading …", show_time=False):
        # torch takes seconds to import, and what stands above needs none of it
        from dali.studio.film import ahead as film_ahead
        from dali.studio.film import controls as film_controls
        from dali.studio.film import export as film_export
        from dali.studio.film import second as film_second
        from dali.studio.film import state as film_state
        from dali.studio.film import sweep as film_sweep
        from dali.studio.film import view as film_view

        bare = film_state.is_bare_url()
        run = choose_run()
        source, key = film_view.open_film_source(run)
    others = film_second.others_of(run)
    film_view.warn_if_stale(run)
    film_state.follow_url(source, bare, others)
    film_controls.show_setup(source, key)
    film_view.show_said()
    verdict = st.container()
    left, physics, rest = film_view.lay_out()
    with physics:
        places = film_controls.show_physics(source)
    with rest:
        moves, figures, codes = st.container(), st.container(), st.container()
    state = film_state.read_widgets(source)
    with left, film_view.wait_for_first_film():
        film = film_view.film_of(source, key, state.request)
        film_state.write_url(state, source)
        with verdict:
            second = film_second.second_of(source, key, state, film, film_view.checkpoint_digest)
        film_view.show_player(source, key, state, film, second)
    # What is below takes longer than the film, which the browser has by now.
    with codes:
        film_controls.show_codes(source)
    film_ahead.make_next(source, key, state)
    with verdict:
        film_view.show_verdict(source, film)
    with moves:
        film_controls.explain_move(source, film, places)
    with figures:
        film_view.show_badges(source, film)
        film_view.show_numbers(source, key, state, film)
        if second:
            film_second.show_both(source, run, film, second)
    with rest:
        film_controls.show_view(source, state, others)
        film_sweep.show_sweep(source, run, state)
        film_export.show_export(source, key, run, state, film, second)
except DaliError as error:
    stop_with(error)
