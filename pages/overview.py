"""The checkpoints, what each is, and its figures."""

import streamlit as st

from dali.studio.loaders import choose_run

st.title("DALI Studio")
run = choose_run()
st.write(run.title)
