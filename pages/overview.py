"""The checkpoints, what each is, and its figures."""

import streamlit as st

from dali.runs.folder import analysis_command
from dali.studio.loaders import choose_run, list_checkpoints, show_damaged
from dali.studio.overview import (
    add_returns,
    analysis_of,
    context_text,
    factor_table,
    is_evaluated,
    show_card,
    show_table,
    show_training,
    show_way_on,
    table,
)
from dali.studio.style import header, recomputed_by, shown_path, train_range

header(
    "DALI Studio",
    "An agent cannot see gravity, friction or the length of a string, but what its actions do tells of them: DALI "
    "infers a small code z from the last moments and dreams under it. This page lists the trained checkpoints with "
    "their figures; the others show what z has learned, and let you turn the physics of a dream.",
)
run = choose_run()
runs, damaged = list_checkpoints()
rows, place = table(runs), st.empty()
show_table(place, rows)
show_damaged(damaged)

st.subheader(run.name, anchor=False)
method, train = run.config.method, run.config.train
st.markdown(
    f"**{run.title}.** Its context: {context_text(method)}. Trained for {train.steps:,} environment steps in "
    f"{train.contexts} contexts drawn from the train range of "
    + ", ".join(f"{f.label} ({train_range(f)})" for f in run.spec.features)
    + "."
)
show_training(run)
show_way_on(run)
record, state = analysis_of(run)
if record:
    if state != "up to date":
        st.warning("These figures were computed from earlier weights of this run.", icon=":material/history:")
    st.dataframe(
        factor_table(run, record["summary"]),
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="%.2f")
            for name in (
                "Probe R² inside", "outside", "shuffled", "Steering skill, 25 steps", "50 steps",
                "Effective physics: slope", "R²",
            )
        },
    )  # fmt: skip
    counts = record["summary"]["contexts"]
    st.caption(
        "Probe: physics read off the code of contexts never trained on, inside and outside the train range, beside a "
        "control with shuffled contexts. Steering skill: 1 where a moved dream is the moved simulator, 0 where moving "
        "the code is useless. Effective physics: the simulator physics nearest to the dream, against that asked for. "
        f"{counts.get('interpolation', 0)} contexts inside, {counts.get('extrapolation', 0)} outside."
    )
    recomputed_by(analysis_command(shown_path(run.folder), record["summary"]))
elif method.infers_context:
    st.info(f"No figures: {state}. This computes them, in about a minute:", icon=":material/info:")
    st.code(f"python -m dali analyse {shown_path(run.folder)}", language="bash")
else:
    st.info(f"{method.title} infers no code, so there is none to probe or to steer.", icon=":material/info:")
show_card(run)

if any(is_evaluated(item) for item in runs):
    show_table(place, add_returns(rows, runs))
    st.caption(
        "Return: mean under the default physics, of the agent and in brackets of random actions, where evaluated with "
        "`python -m dali evaluate RUN`."
    )
