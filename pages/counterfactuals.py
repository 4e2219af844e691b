"""What if the physics were another? A dream beside the real simulator, steered by sliders."""

import streamlit as st

from dali.errors import DaliError
from dali.studio.loaders import choose_run, stop_with
from dali.studio.style import header

header(
    "Counterfactuals",
    "From one moment of a recorded episode the agent dreams on, once under the code it inferred and once under the "
    "physics or code that you ask for. Beside each dream runs the real simulator, from the same state with the same "
    "actions, so that you see how right the dream is.",
)
run = choose_run()
try:
    with st.spinner("Loading …", show_time=False):
        # torch takes seconds to import, and what stands above needs none of it
        from dali.studio import film_controls, film_state, film_sweep, film_view

        stage, key = film_view.open_stage(run)
    film_view.warn_if_stale(run)
    film_state.follow_url(stage)
    film_controls.show_setup(stage, key)
    with st.sidebar:
        places = film_controls.show_physics(stage)
        below = st.container()
        film_controls.show_codes(stage)
    state = film_state.read_widgets(stage)
    film = film_view.film_of(stage, key, state.request)
    film_state.write_url(state)
    with below:
        film_controls.explain_move(stage, film, places)
    film_view.show_badges(stage, film)
    film_view.show_numbers(stage, key, state, film)
    film_view.show_player(stage, key, state, film)
    film_controls.show_view(stage, state)
    film_sweep.show_sweep(stage, run, state)
    film_view.show_export(stage, key, run, state, film)
except DaliError as error:
    stop_with(error)
