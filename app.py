"""The dashboard: ``streamlit run app.py``. Navigation over pages/ and the page configuration, nothing else."""

import streamlit as st

st.set_page_config(page_title="DALI Studio", page_icon=":material/orbit:", layout="wide")
st.navigation(
    [
        st.Page("pages/overview.py", title="Overview", icon=":material/home:", default=True),
    ]
).run()
