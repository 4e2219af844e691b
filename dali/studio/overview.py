"""The overview: a film that shows what this is about, the checkpoints by environment, the figures of the chosen one."""

from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dali.envs.units import quantity, train_range
from dali.errors import CheckpointError, DaliError
from dali.files.text import code_span, markdown, without_images
from dali.methods import Method
from dali.runs.folder import WEIGHTS, analysis_command, missing
from dali.studio import folders, jobs
from dali.studio.loaders import CHOSEN, Run, find_run, first_choice, name_of
from dali.studio.looping import looping_film
from dali.studio.preview import Preview, make_preview, stored_preview
from dali.studio.style import dark_theme, demote_headings, number, recomputed_by, shown_path
from dali.studio.tables import SHOWN, analysis_of, factor_table

FILM_WIDTH, TEXT_WIDTH = 560, 400  # pixels, at most
CONTEXTS = {"none": "none", "given": "the true physics", "inferred": "inferred code z"}
PAGES = (
    ("latent_space", "What its code knows", ":material/scatter_plot:"),
    ("counterfactuals", "Turn its physics", ":material/movie:"),
    ("generalization", "How it generalises", ":material/public:"),
)


def context_text(method: Method) -> str:
    """What a method knows of the physics, and which modules read it."""
    if method.source == "none":
        return "none, it is trained over random physics and sees none of it"
    what = CONTEXTS[method.source]
    where = "read by the posterior" if method.shallow else "read by sequence model, heads, actor and critic"
    return f"{what}, {where}" + ("; also trained to agree with the latent state" if method.cross_modal else "")


def open_clicked(runs: list[Run]) -> None:
    """Shows the run whose row was clicked, over the page, once."""
    name = st.session_state.pop(SHOWN, None)
    run = find_run(runs, name)
    if run is not None:
        st.dialog(markdown(name_of(run)), width="large")(show_summary)(run)


def show_summary(run: Run) -> None:
    """What a run is, the pages that show it, and its figures."""
    method, train = run.config.method, run.config.train
    st.markdown(
        f"**{markdown(run.title)}.** Its context: {context_text(method)}. Trained for {train.steps:,} environment "
        f"steps in {train.contexts} contexts drawn from the train range of "
        + ", ".join(f"{f.label} ({train_range(f)})" for f in run.spec.features)
        + "."
    )
    show_way_on(run)
    record, state = analysis_of(run)
    if record:
        if state != "up to date":
            st.warning("These figures were computed from earlier weights of this run.", icon=":material/history:")
        names = ("Probe R² inside", "outside", "shuffled", "Steering skill, 25 steps", "50 steps",
                 "Effective physics: slope", "R²")  # fmt: skip
        columns = {name: st.column_config.NumberColumn(format="%.2f") for name in names}
        st.dataframe(factor_table(run, record["summary"]), hide_index=True, column_config=columns)
    elif run.figures_only:
        st.info(markdown(missing(run.folder, WEIGHTS)), icon=":material/info:")
    elif method.infers_context:
        st.info(f"No figures: {markdown(state)}. This computes them, in about a minute:", icon=":material/info:")
        st.code(f"python -m dali analyse {shown_path(run.folder)}", language="bash")
    else:
        st.info(f"{method.title} infers no code, so there is none to probe or to steer.", icon=":material/info:")


def show_folders() -> None:
    """The folders that are shown, and a field that adds one; only where the visitor sits at this machine."""
    shown, given = folders.checkpoints_folders(), folders.given_folders()
    if not jobs.allowed():
        return
    with st.expander(f"Folders of checkpoints: {len(shown)}", icon=":material/folder:"):
        for folder in shown:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(code_span(shown_path(folder)), width="content")
                if folder not in given:
                    st.button(
                        "Remove", key=f"folder_remove:{folder}", on_click=folders.remove_folder, args=(folder,),
                        icon=":material/close:",
                    )  # fmt: skip
        with (
            st.form("folders_form", clear_on_submit=False, border=False),
            st.container(horizontal=True, vertical_alignment="bottom"),
        ):
            text = st.text_input("Add a folder", key="folder_text", placeholder="/home/me/runs", width=420)
            sent = st.form_submit_button("Add", icon=":material/create_new_folder:")
        if sent:
            try:
                folders.add_folder(text.strip())
            except DaliError as error:
                st.error(markdown(error), icon=":material/error:")
            else:
                st.rerun()
        st.caption(
            "For this session. To have several always, start the dashboard with `python -m dali app --checkpoints DIR "
            f"--checkpoints DIR`, or list them in {folders.ENVIRONMENT_VARIABLE}."
        )


def show_run(run: Run) -> None:
    """The figures of the chosen run, how they are meant and made, how it was trained, and its card."""
    st.header(markdown(name_of(run)), anchor=False)
    show_summary(run)
    record, _ = analysis_of(run)
    if record:
        counts = record["summary"]["contexts"]
        st.caption(
            "Probe: physics read off the code of contexts never trained on, inside and outside the train range, beside "
            "a control with shuffled contexts. Steering skill: 1 where a moved dream is the moved simulator, 0 where "
            "moving the code is useless. Effective physics: the simulator physics nearest to the dream, against that "
            f"asked for. {counts.get('interpolation', 0)} contexts inside, {counts.get('extrapolation', 0)} outside."
        )
        recomputed_by(analysis_command(shown_path(run.folder), record["summary"]))
    show_training(run)
    show_card(run)


@dataclass(frozen=True)
class FilmPlace:
    """Where a run's film and the way into it are to be shown."""

    run: Run
    film: DeltaGenerator
    way: DeltaGenerator


def show_first_minute(run: Run, runs: list[Run]) -> FilmPlace | None:
    """A film of the chosen run, or of the flagship where that has none to show, its figures, and the way into it.

    Returns:
        The place of a film that is still to be made; None where it is shown, or where there is none to show.
    """
    run = next((r for r in (run, first_choice(runs)) if r.config.method.infers_context and analysis_of(r)[0]), run)
    record, _ = analysis_of(run)
    if record is None:
        return None
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):  # one below the other where narrow
        left, right = st.container(width=FILM_WIDTH), st.container(width=TEXT_WIDTH)
    with right:
        st.markdown(first_sentence(run, record["summary"]))
        film = stored_preview(run)
        # A container stays while the page is drawn again, and the film in it plays on.
        place = FilmPlace(run, left.empty(), st.empty()) if film is None else FilmPlace(run, left, st.container())
    if film is not None:
        _show_film(place, film)
        return None
    place.film.info("The film of this run is made once, and stands here in a moment.", icon=":material/movie:")
    return place


def make_film(place: FilmPlace) -> None:
    """Makes the film that `show_first_minute` lacked and shows it in its place; the page has been drawn by now."""
    try:
        with place.film, st.spinner("Dreaming …", show_time=False):
            film = make_preview(place.run)
    except DaliError as error:
        place.film.info(f"There is no film of this run. {markdown(error)}", icon=":material/movie:")
        return
    _show_film(place, film)


def import_for_other_pages() -> None:
    """Imports what takes seconds and most other pages need, while a person reads this one."""
    import dali.studio.film.view  # noqa: F401


def _show_film(place: FilmPlace, film: Preview) -> None:
    with place.film.container():
        # The film is kept once, on light ground.
        looping_film(film.film, film.asked, key="first_film", invert=dark_theme())
        st.caption(f"{markdown(film.asked)}: {markdown(film.measured)}. Half speed.")
    if place.way.button("Turn its physics", type="primary", icon=":material/movie:", key="first_way"):
        # The film is kept with its run, whose name may be another's as well where folders were added.
        st.switch_page("pages/counterfactuals.py", query_params={**film.url, CHOSEN: name_of(place.run)})


def first_sentence(run: Run, summary: dict[str, Any]) -> str:
    """A run's figures of the feature that it knows best, in one sentence."""
    feature = max(run.spec.features, key=lambda f: summary["probe"][f.name]["r2_inside"] or -1.0)
    probe, skill = summary["probe"][feature.name], summary["steering"][feature.name]["skill_25"]
    known = quantity(feature, probe["mae_inside"])
    return (
        f"**{markdown(name_of(run))}** was never told the {feature.label} of its {run.spec.title.lower()}. From its "
        f"last moments it reads it to ± {known} (R² {number(probe['r2_inside'])}, on physics that it was never trained "
        f"under), and a dream that is moved to another {feature.label} errs {max(skill or 0.0, 0.0):.0%} less against "
        "the real simulator than one that is not."
    )


def show_way_on(run: Run) -> None:
    """Links to the pages that have something to show of a run."""
    with st.container(horizontal=True):
        for page, label, icon in PAGES:
            if page != "latent_space" or run.config.method.infers_context:
                st.page_link(f"pages/{page}.py", label=label, icon=icon, query_params={CHOSEN: name_of(run)})


def show_training(run: Run) -> None:
    """How the run was trained, as far as it says so itself."""
    try:
        record = run.record()
    except CheckpointError as error:
        st.warning(markdown(error))
        return
    if record is None:
        return
    seconds, steps, machine, command = (record[k] for k in ("wall_seconds", "env_steps", "machine", "command"))
    text = f"{steps:,} environment steps in {seconds / 60:.0f} minutes on {markdown(machine)}."
    st.caption(f"{text} Train it anew with {code_span(command)}")


def show_card(run: Run) -> None:
    """The model card, if the run has one; its images are links, so that looking at it fetches nothing."""
    try:
        text = run.card()
    except CheckpointError as error:
        st.warning(markdown(error))
        return
    if text is not None:
        with st.expander("Model card", icon=":material/description:"):
            st.markdown(demote_headings(without_images(text), 2))
