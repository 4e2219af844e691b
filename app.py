"""The dashboard: ``streamlit run app.py``. Navigation over pages/ and the page configuration, nothing else."""

import streamlit as st

from dali.studio.style import ICON, LOGO, set_spacing

st.set_page_config(page_title="DALI Studio", page_icon=ICON, layout="wide")
st.logo(LOGO, icon_image=ICON, size="large")
set_spacing()
st.navigation(
    [
        st.Page("pages/overview.py", title="Overview", icon=":material/home:", default=True),
        st.Page("pages/latent_space.py", title="Latent space", icon=":material/scatter_plot:"),
    ]
).run()
