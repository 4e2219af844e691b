"""Learning curves of runs, those in training live, and trainings started in the background."""

import streamlit as st

from dali.studio.style import header

header(
    "Training",
    "What each run logged while it learned: the policy's return, the losses of the world model and of the context "
    "encoder, and its speed. A run in training is followed live; a new one can be started below.",
)

from dali.figures.training import AXES, default_quantities, quantities, title_of  # noqa: E402  takes seconds to import
from dali.files.text import markdown  # noqa: E402
from dali.studio.training import films, start  # noqa: E402
from dali.studio.training import views as training  # noqa: E402

runs = training.logged_runs()
keep = {"persist_state": "session"}
if runs:
    chosen = training.choose_runs(runs)
    logs = [run.log().rows for run in chosen.values()]
    known = quantities(logs)
    keys = st.multiselect("Quantities", known, default_quantities(known), format_func=title_of)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        axis = st.segmented_control(
            "Over", list(AXES), default="env_steps", required=True, format_func=AXES.get, key="training_axis", **keep
        )
        colours = st.segmented_control(
            "Colours", ("run", "method"), default="method" if training.many(runs) else "run", required=True,
            key="training_colours", **keep,
            help="By method: one colour a method, a dash a run.",
        )  # fmt: skip
        weight = st.slider(
            "Smoothing", 0.0, 0.99, 0.6, 0.01, key="training_smoothing", width=220, **keep,
            help="Weight of the past in an exponential moving average; 0 shows the rows as logged.",
        )  # fmt: skip
    drawn_as = training.styles(runs, colours == "method")
    training.show_curves(chosen, keys, axis, weight, drawn_as, start.training_now())
    films.show_films(chosen)
    if young := [name for name, run in runs.items() if not training.can_be_opened(run)]:
        st.caption(f"No checkpoint yet, so not on the other pages: {markdown(', '.join(young))}.")
else:
    st.info(f"No run in {training.folders_text()} has a log.", icon=":material/info:")
with st.expander("Start a training", icon=":material/model_training:", expanded=not runs):
    start.show_start()
