"""What the code has learned of the physics: its map, its course in time, its probes."""

import streamlit as st

from dali.errors import DaliError
from dali.studio.loaders import choose_run, load_episodes, stop_with
from dali.studio.style import header

header(
    "Latent space",
    "Each point is the code z that the agent inferred from its last moments; colours and axes tell the true physics, "
    "which it never saw. Where colours are ordered the code knows that physics, and the probes say how well.",
)
run = choose_run()
if not run.config.method.infers_context:
    st.info(
        f"{run.config.method.title} infers no context code, so there is no latent space to explore. "
        "Choose a DALI run in the sidebar; this one still has its place on the overview.",
        icon=":material/info:",
    )
    st.page_link("pages/overview.py", label="Overview", icon=":material/home:", query_params={"run": run.name})
    st.stop()
try:
    episodes = load_episodes(run)
except DaliError as error:
    stop_with(error)

from dali.studio import latent_map  # noqa: E402  scikit-learn takes seconds to import; the states above need none of it

chosen = latent_map.settings(run, episodes)
try:
    latent_map.show_map(run, episodes, chosen)
except DaliError as error:
    stop_with(error)
latent_map.show_selection(run, episodes)
