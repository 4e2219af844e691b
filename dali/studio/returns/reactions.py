"""Which physics the policies of a group of runs react to, from the reaction.json beside each."""

from pathlib import Path

import streamlit as st

from dali.envs.units import MISSING
from dali.errors import CheckpointError
from dali.export.reaction import reaction_rows, reaction_sentence
from dali.figures import reaction as figures
from dali.files.text import markdown
from dali.methods import METHODS
from dali.returns.sensitivity import Reaction
from dali.runs.folder import CONFIG, exists, weights_name
from dali.runs.reaction import REACTION_FILE, load_reaction
from dali.studio import jobs
from dali.studio.loaders import Run, Stamp, name_of, stamp
from dali.studio.returns.views import chart
from dali.studio.style import shown_path

STATUS = Path("cache") / "react.json"
WIDTH = 520  # px of a figure: two beside each other on a wide screen, one on a narrow one


def show_reactions(run: Run, alike: list[Run]) -> None:
    """Sentences, figures and the table of the runs with a context; a button for each that was not measured."""
    told = [other for other in alike if other.config.method.source != "none"]
    if not told:
        st.info("None of these methods has a context, so no policy here can react to one.", icon=":material/info:")
        return
    found: dict[str, list[tuple[str, Reaction]]] = {}
    missing = []
    for name in METHODS:
        for other in (other for other in told if other.config.method_name == name):
            try:
                found.setdefault(name, []).append((f"seed {other.config.seed}", _load_present(other)))
            except CheckpointError as error:
                missing.append((other, str(error)))
    found = {name: runs for name, runs in found.items() if runs}
    if found:
        _show(run, found)
    if missing:
        with st.expander(f"Not measured: {len(missing)}", icon=":material/pending:", expanded=not found):
            for other, reason in missing:
                _offer(other, reason)


def _show(run: Run, found: dict[str, list[tuple[str, Reaction]]]) -> None:
    spec = run.spec
    sentences = [f"- {reaction_sentence(name, runs, spec)}" for name, runs in found.items()]
    st.markdown("\n".join(sentences))
    rows = [(m, f"{METHODS[m].title} · {name}", reaction) for m, runs in found.items() for name, reaction in runs]
    normalised = all(lost.normalised is not None for _, _, reaction in rows for lost in reaction.lost)
    with st.container(horizontal=True):
        for i, feature in enumerate(spec.features):
            with st.container(width=WIDTH):
                # As text of the page, since a figure cuts its titles where the page is narrow.
                st.markdown(f"**{feature.label.capitalize()} moved** by a quarter of its train range")
                chart(figures.action_changes(rows, i, feature), f"reaction-{feature.name}")
        with st.container(width=WIDTH):
            st.markdown("**What is lost** with the context frozen, shuffled or delayed")
            chart(figures.returns_lost(rows, normalised), "reaction-lost")
    st.dataframe(reaction_rows(found, spec), hide_index=True, placeholder=MISSING)
    one = rows[0][2]
    st.caption(
        f"On {one.contexts} held-out contexts, {one.episodes} episodes each, by the modes of latents and actions; 95 % "
        "intervals over contexts. Action: the context alone is moved for one step, as a quarter of a feature's train "
        "range moves it, or as far in a random direction; actions lie in [-1, 1]. Lost: episodes played with the "
        "context frozen at its mean, with another episode's (shuffled), or with its own of some steps ago (delayed)."
    )


def _offer(run: Run, reason: str) -> None:
    """Why a run has no figures, the command that makes them, and a button that runs it."""
    st.markdown(f"**{markdown(name_of(run))}**: {markdown(reason.split(';')[0].removesuffix('.'))}.")
    status = run.folder / STATUS
    if jobs.running(status, f"Measuring {name_of(run)}"):
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.code(f"python -m dali react {shown_path(run.folder)}", language="bash")
        st.button(
            "Measure, about a minute", key=f"react:{run.folder}", on_click=jobs.start,
            args=(["react", str(run.folder), "--status", str(status)], status),
        )  # fmt: skip


def _load_present(run: Run) -> Reaction:
    """Raises CheckpointError where there is none, it is damaged, or of other weights."""
    if not exists(run.folder / REACTION_FILE):
        return load_reaction(run.folder)
    return _load(stamp(run.folder, CONFIG, weights_name(run.folder), REACTION_FILE))


@st.cache_resource(max_entries=64, show_spinner=False)
def _load(files: Stamp) -> Reaction:
    return load_reaction(Path(files[0][0]).parent)
