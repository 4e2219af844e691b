"""How well agents act under physics that they were never trained on, and how methods compare there."""

import streamlit as st

from dali.studio.address import choose_view
from dali.studio.loaders import choose_run
from dali.studio.style import download, header, shown_path

VIEWS = ("Maps", "Curves", "Regimes", "Profiles", "Two methods", "Reaction", "Paper")

header(
    "Generalisation",
    "Each agent plays whole episodes under physics that it was never trained on, inside the range it was trained in "
    "and beyond. A score of 0 is a policy of random actions and 1 the reference named below the figures.",
)
run = choose_run()

from dali.envs.catalogue import folder_name  # noqa: E402
from dali.methods import METHODS  # noqa: E402
from dali.returns.scoring import NORMALISED  # noqa: E402  torch takes seconds to import, and what stands above needs none
from dali.studio.returns import maps, memory, reactions, views  # noqa: E402
from dali.studio.returns.evaluations import choose_comparable, evaluated_runs, show_missing  # noqa: E402

keep = {"persist_state": "session"}
view = choose_view("generalization_view", VIEWS)
row = st.container(horizontal=True, vertical_alignment="bottom")
with row:
    measure = st.segmented_control("Score", ("normalised", "return"), default="normalised", required=True,
                                   key="generalization_measure", **keep)  # fmt: skip
    st.segmented_control("Figures save as", ("SVG", "PNG"), default="SVG", required=True, key="figure_format", **keep,
                         help="By the camera at the upper right of each figure.")  # fmt: skip
if view == "Paper":
    views.show_paper(run.spec)
    st.stop()
alike = choose_comparable(run)
if view == "Reaction":
    reactions.show_reactions(run, alike)
    st.stop()
evaluated = evaluated_runs(alike)
if evaluated.missing:
    with st.expander(f"Without an evaluation: {len(evaluated.missing)}", icon=":material/pending:",
                     expanded=not evaluated.methods):  # fmt: skip
        show_missing(evaluated)
if not evaluated.methods:
    st.stop()

chosen = st.pills(
    "Methods",
    list(evaluated.methods),
    selection_mode="multi",
    default=list(evaluated.methods),
    format_func=lambda name: METHODS[name].title,
    key=f"methods:{','.join(evaluated.methods)}",
    label_visibility="collapsed",
)
if not chosen:
    st.info("Choose at least one method.")
    st.stop()
scores = evaluated.scores(run, [name for name in METHODS if name in chosen], measure == "normalised")
seeds = {name: tuple(other.config.seed for other, _ in evaluated.methods[name]) for name in scores}
first = views.first_of(scores)
if not len(first.contexts):
    st.info("These runs share no context that all of them were evaluated on.")
    st.stop()
if measure == "normalised" and first.measure != NORMALISED:
    st.info(f"No references ship for all of these contexts of {run.spec.title}, so returns are shown.")
if view == "Maps":
    maps.show_maps(run, scores, seeds, row)
elif view == "Curves":
    views.show_curves(run, scores)
elif view == "Regimes":
    views.show_regimes(run.spec, scores)
    memory.show_memory(run.spec, {name: evaluated.methods[name] for name in scores}, first.measure)
elif view == "Profiles":
    views.show_profiles(scores)
else:
    views.show_difference(scores, seeds)
if first.reference:
    st.caption(f"Score 0: the random policy. Score 1: {first.reference}. Both by `python -m dali reference`.")
runs = {name: [other for other, _ in evaluated.methods[name]] for name in scores}
table = views.scores_csv(run.spec, scores, runs)
download("Scores as CSV", table, f"{folder_name(run.config.env)}-scores.csv", "text/csv")
with st.expander("Recompute these figures", icon=":material/terminal:"):
    folders = [str(shown_path(other.folder)) for found in runs.values() for other in found]
    commands = [f"python -m dali evaluate {folder}" for folder in folders]
    st.code("\n".join([*commands, f"python -m dali compare {' '.join(folders)}"]), language="bash")
