"""The dashboard: ``streamlit run app.py``. Navigation over pages/ and the page configuration, nothing else."""

# Whole, before any page draws: plotly looks for the pandas that is there, and breaks on one that a thread of another
# session has only begun to import.
import pandas  # noqa: F401
import streamlit as st

from dali.studio.style import HEADINGS, ICON, LOGO, begin_app

st.set_page_config(page_icon=ICON, layout="wide")  # titles are the pages' own
st.logo(LOGO, icon_image=ICON, size="large")
begin_app()
st.html(HEADINGS)
st.navigation(
    [
        st.Page("pages/overview.py", title="Overview", icon=":material/home:", default=True),
        st.Page("pages/latent_space.py", title="Latent space", icon=":material/scatter_plot:"),
        st.Page("pages/counterfactuals.py", title="Counterfactuals", icon=":material/movie:"),
        st.Page("pages/play.py", title="Play", icon=":material/sports_esports:"),
        st.Page("pages/generalization.py", title="Generalisation", icon=":material/public:"),
        st.Page("pages/training.py", title="Training", icon=":material/show_chart:"),
    ]
).run()
