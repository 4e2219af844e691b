"""The dashboard: ``streamlit run app.py``. Navigation over pages/ and the page configuration, nothing else."""

import streamlit as st

from dali.studio.style import set_spacing

st.set_page_config(page_title="DALI Studio", page_icon=":material/orbit:", layout="wide")
set_spacing()
st.navigation(
    [
        st.Page("pages/overview.py", title="Overview", icon=":material/home:", default=True),
        st.Page("pages/latent_space.py", title="Latent space", icon=":material/scatter_plot:"),
    ]
).run()
