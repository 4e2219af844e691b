"""A film that shows what this is about, the checkpoints by environment, and the figures of the chosen one."""

import streamlit as st

from dali.studio import overview, tables
from dali.studio.loaders import choose_run, list_checkpoints, show_damaged
from dali.studio.style import header

header(
    "DALI Studio",
    "An agent cannot see gravity, friction or the length of a string, but what its actions do tells of them: DALI "
    "infers a small code z from the last moments and dreams under it. Turn the physics of a dream, and see beside it "
    "what the real simulator does.",
)
run = choose_run()
runs, damaged = list_checkpoints()
overview.open_clicked(runs)
without_film = overview.show_first_minute(run, runs)

st.header("Checkpoints", anchor=False)
tables.show_tables(runs)
show_damaged(damaged)
overview.show_folders()
overview.show_run(run)

if without_film is not None:
    overview.make_film(without_film)

overview.import_for_other_pages()
