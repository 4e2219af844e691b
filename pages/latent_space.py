"""What the code has learned of the physics: its map, its course in time, its probes."""

import streamlit as st

from dali.errors import DaliError
from dali.studio.address import choose_view
from dali.studio.loaders import choose_run, stop_with
from dali.studio.overview import show_way_on
from dali.studio.recording import recorded_episodes
from dali.studio.style import header

VIEWS = ("Map", "One episode", "Dreams", "Probes", "Dimensions")

header(
    "Latent space",
    "Each point is the code z that the agent inferred from its last moments; colours and axes tell the true physics, "
    "which it never saw. Where colours are ordered the code knows that physics, and the probes say how well.",
)
run = choose_run()
if not run.config.method.infers_context:
    st.info(
        f"{run.config.method.title} infers no context code, so there is no latent space to explore. Its dreams can "
        "still be seen beside the real simulator under other physics, and its returns compared. Or choose a DALI run "
        "in the sidebar.",
        icon=":material/info:",
    )
    show_way_on(run)
    st.stop()
view = choose_view("latent_view", VIEWS)
try:
    with st.spinner("Loading …", show_time=False):
        episodes = recorded_episodes(run)
        if episodes is None:
            st.stop()
        # scikit-learn takes seconds to import, and what stands above needs none of it
        from dali.studio.latent import dreams as latent_dreams
        from dali.studio.latent import effects as latent_effects
        from dali.studio.latent import episode as latent_episode
        from dali.studio.latent import keeping as latent_keeping
        from dali.studio.latent import map as latent_map
        from dali.studio.latent import path as latent_path
        from dali.studio.latent import path_dreams as latent_path_dreams
        from dali.studio.latent import probes as latent_probes
        from dali.studio.latent import selection as latent_selection

    if view == "Map":
        latent_probes.show_summary(run, episodes)
        latent_path.follow_url(run, episodes)
        latent_map.show_map(run, episodes, latent_map.settings(run, episodes))
        latent_path.write_url(run)
        latent_path_dreams.show_path(run, episodes)
        latent_selection.show_clicked(run, episodes)
        latent_selection.show_selection(run, episodes, hint=not latent_path.get_path(run).records)
        latent_keeping.show_keeping(run, episodes)
        latent_path_dreams.show_keeping(run, episodes)
    elif view == "One episode":
        latent_episode.show_episode(run, episodes)
    elif view == "Dreams":
        latent_dreams.show_dreams(run, episodes)
    elif view == "Probes":
        verdicts = st.container()  # above the figures, but they take longer
        latent_probes.show_probes(run, episodes)
        with verdicts:
            latent_probes.show_verdicts(run, episodes)
    else:
        latent_probes.show_associations(run, episodes)
        latent_effects.show_effects(run, latent_probes.load_disentanglement(run, episodes))
except DaliError as error:
    stop_with(error)
