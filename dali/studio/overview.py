"""The overview: a film that shows what this is about, the checkpoints by environment, the figures of the chosen one."""

import sys
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dali.envs.spec import EnvSpec
from dali.errors import CheckpointError, DaliError
from dali.files.text import code_span, markdown, without_images
from dali.methods import Method
from dali.runs.folder import EVAL_FILE, analysis_command, exists
from dali.studio.loaders import CHOSEN, Run, figures_are_current, first_choice, load_analysis
from dali.studio.preview import Preview, make_preview, stored_preview
from dali.studio.style import MISSING, amount, demote_headings, number, recomputed_by, shown_path, train_range

SHOWN = "overview_shown"  # session state: the run whose row was clicked

CONTEXTS = {"none": "none", "given": "the true physics", "inferred": "inferred code z"}
PAGES = (
    ("latent_space", "What its code knows", ":material/scatter_plot:"),
    ("counterfactuals", "Turn its physics", ":material/movie:"),
    ("generalization", "How it generalises", ":material/public:"),
)
ROW_HEIGHT, MOST_ROWS = 32, 20  # of a table of checkpoints; height in pixels
RETURN_HELP = (
    "Mean return of an episode on the protocol's held-out contexts inside the train range, as in the model card; blank "
    "where the run was not evaluated on all of them."
)


def context_text(method: Method) -> str:
    """What a method knows of the physics, and which modules read it."""
    if method.source == "none":
        return "none, it is trained over random physics and sees none of it"
    what = CONTEXTS[method.source]
    where = "read by the posterior" if method.shallow else "read by sequence model, heads, actor and critic"
    return f"{what}, {where}" + ("; also trained to agree with the latent state" if method.cross_modal else "")


def analysis_of(run: Run) -> tuple[dict[str, Any] | None, str]:
    """A run's figures, if there are any, and their state in a few words."""
    if not run.config.method.infers_context:
        return None, "no code"
    try:
        record = load_analysis(run)
        if record is None:
            return None, "not analysed yet"
        factor_table(run, record["summary"])
        return record, "up to date" if figures_are_current(run) else "older than the weights"
    except CheckpointError as error:
        return None, str(error)
    except (KeyError, TypeError):
        return None, "made by another version"


def table(runs: list[Run]) -> list[dict[str, Any]]:
    """One row a checkpoint of one environment, its figures as numbers; what is not known is None."""
    # Evaluations need an import of seconds, for which the first screen does not wait.
    returns = {run.name: held_out_return(run) for run in runs} if evaluations_readable() else {}
    rows = []
    for run in runs:
        record, state = analysis_of(run)
        summary = record["summary"] if record else None
        config = run.config
        agent, random = returns.get(run.name) or (None, None)
        row: dict[str, Any] = {"Checkpoint": run.name, "Method": config.method.title, "Return": agent, "Random": random}
        for title, part, key in FIGURES:
            for feature in run.spec.features:
                value = summary[part][feature.name][key] if summary else None
                row[f"{title} {feature.label}"] = None if value is None else round(value, 2) + 0.0  # never "-0.00"
        row |= {"Steps": config.train.steps, "Seed": config.seed, "Preset": config.preset, "Figures": state}
        rows.append(row)
    return rows


FIGURES = (("R²", "probe", "r2_inside"), ("Skill", "steering", "skill_25"))


def by_environment(runs: list[Run]) -> dict[str, list[Run]]:
    """Runs by environment; the flagship's environment first, and in each its flagship."""
    flagship = first_choice(runs)
    groups: dict[str, list[Run]] = {flagship.config.env: []}
    for run in runs:
        groups.setdefault(run.config.env, []).append(run)
    return {env: sorted(found, key=lambda run: run != first_choice(found)) for env, found in groups.items()}


def show_tables(runs: list[Run]) -> None:
    """The checkpoints, a table an environment; a click on a cell opens its run."""
    for env, found in by_environment(runs).items():
        spec = found[0].spec
        ranges = ", ".join(f"{f.label} {train_range(f)}" for f in spec.features)
        st.subheader(spec.title, anchor=False)
        st.caption(f"Hidden physics, with the range of training: {ranges}. Click a row to open its run.")
        rows = table(found)
        st.dataframe(
            rows,
            hide_index=True,
            height=ROW_HEIGHT * (1 + min(len(rows), MOST_ROWS)) + 3,
            row_height=ROW_HEIGHT,
            column_config=_columns(spec),
            key=f"checkpoints:{env}",
            on_select=_click(env, [run.name for run in found]),
            selection_mode="single-cell",
            placeholder=MISSING,
        )
    if not evaluations_readable() and any(is_evaluated(run) for run in runs):
        return
    st.caption(
        "R²: how well a linear probe reads the physics off the code, on contexts never trained on. Skill: how much "
        "less a dream errs for being moved to another physics, over 25 steps; 1 is ideal, 0 useless. Return: "
        + RETURN_HELP[0].lower() + RETURN_HELP[1:]
    )  # fmt: skip


def _columns(spec: EnvSpec) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "Checkpoint": st.column_config.TextColumn(pinned=True, width=230),
        "Return": st.column_config.NumberColumn(format="%.1f", help=RETURN_HELP),
        "Random": st.column_config.NumberColumn(format="%.1f", help="The same of random actions."),
        "Steps": st.column_config.NumberColumn(format="localized"),
    }
    for title, *_ in FIGURES:
        for feature in spec.features:
            columns[f"{title} {feature.label}"] = st.column_config.NumberColumn(format="%.2f")
    return columns


def _click(env: str, names: list[str]):
    """What a click on a cell does: chooses its run and opens it."""

    def follow() -> None:
        cells = st.session_state[f"checkpoints:{env}"].selection.cells
        if cells:
            name = names[cells[0][0]]
            st.session_state[CHOSEN] = st.query_params[CHOSEN] = st.session_state[SHOWN] = name

    return follow


def open_clicked(runs: list[Run]) -> None:
    """Shows the run whose row was clicked, over the page, once."""
    name = st.session_state.pop(SHOWN, None)
    run = next((run for run in runs if run.name == name), None)
    if run is not None:
        st.dialog(markdown(run.name), width="large")(show_summary)(run)


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
    elif method.infers_context:
        st.info(f"No figures: {markdown(state)}. This computes them, in about a minute:", icon=":material/info:")
        st.code(f"python -m dali analyse {shown_path(run.folder)}", language="bash")
    else:
        st.info(f"{method.title} infers no code, so there is none to probe or to steer.", icon=":material/info:")


def show_run(run: Run) -> None:
    """The figures of the chosen run, how they are meant and made, how it was trained, and its card."""
    st.header(markdown(run.name), anchor=False)
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
    left, right = st.columns([5, 4], gap="large", vertical_alignment="center")
    with right:
        st.markdown(first_sentence(run, record["summary"]))
        place = FilmPlace(run, left.empty(), st.empty())
    film = stored_preview(run)
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


def _show_film(place: FilmPlace, film: Preview) -> None:
    with place.film.container():
        st.video(film.film, loop=True, autoplay=True, muted=True)
        st.caption(f"{markdown(film.asked)}: {markdown(film.measured)}. Half speed.")
    if place.way.button("Turn its physics", type="primary", icon=":material/movie:", key="first_way"):
        st.switch_page("pages/counterfactuals.py", query_params=film.url)


def first_sentence(run: Run, summary: dict[str, Any]) -> str:
    """A run's figures of the feature that it knows best, in one sentence."""
    feature = max(run.spec.features, key=lambda f: summary["probe"][f.name]["r2_inside"] or -1.0)
    probe, skill = summary["probe"][feature.name], summary["steering"][feature.name]["skill_25"]
    known = amount(feature, probe["mae_inside"])
    return (
        f"**{markdown(run.name)}** was never told the {feature.label} of its {run.spec.title.lower()}. From its last "
        f"moments it reads it to ± {known} (R² {number(probe['r2_inside'])}, on physics that it was never trained "
        f"under), and a dream that is moved to another {feature.label} errs {max(skill or 0.0, 0.0):.0%} less against "
        "the real simulator than one that is not."
    )


def factor_table(run: Run, summary: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a context feature: what probe, steering and effective physics came to."""
    rows = []
    for feature in run.spec.features:
        probe, steering, effective = (summary[part][feature.name] for part in ("probe", "steering", "effective"))
        rows.append(
            {
                "Feature": f"{feature.title}",
                "Train range": train_range(feature),
                "Probe R² inside": probe["r2_inside"],
                "outside": probe["r2_outside"],
                "shuffled": probe["r2_control"],
                "Probe error": f"± {amount(feature, probe['mae_inside'])}",
                "Steering skill, 25 steps": steering["skill_25"],
                "50 steps": steering["skill_50"],
                "Effective physics: slope": effective["slope"],
                "R²": effective["r2"],
                "error": f"± {amount(feature, effective['mae'])}",
            }
        )
    return rows


def show_way_on(run: Run) -> None:
    """Links to the pages that have something to show of a run."""
    with st.container(horizontal=True):
        for page, label, icon in PAGES:
            if page != "latent_space" or run.config.method.infers_context:
                st.page_link(f"pages/{page}.py", label=label, icon=icon, query_params={CHOSEN: run.name})


def is_evaluated(run: Run) -> bool:
    """True where returns were recorded, of whatever weights."""
    return exists(run.folder / EVAL_FILE)


def evaluations_readable() -> bool:
    """False until something has imported torch, which evaluations need."""
    return "dali.returns.play" in sys.modules


def read_evaluations(runs: list[Run]) -> None:
    """Draws the page again with returns, once what reads evaluations has been imported."""
    if not evaluations_readable() and any(is_evaluated(run) for run in runs):
        import dali.returns.play  # noqa: F401

        st.rerun()


def held_out_return(run: Run) -> tuple[float, float] | None:
    """Mean return on the protocol's contexts inside the train range, of the agent and of random actions.

    None where it was not evaluated on all of them.
    """
    from dali.returns.held_out import held_out_returns  # torch takes seconds to import
    from dali.studio.returns.evaluations import load_evaluation

    try:
        found = held_out_returns(run.spec, load_evaluation(run))
    except CheckpointError:
        return None
    return None if found is None else (float(found.agent.mean()), float(found.random.mean()))


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
