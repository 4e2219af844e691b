"""A checkpoint's films for the counterfactuals page: kept between reruns, shown by the player, exported."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dali.dreams.film import Factual, Film, FilmSource, make_factual, make_film, make_film_source
from dali.dreams.request import Request
from dali.dreams.surprise import film_surprise
from dali.envs.spec import EnvSpec
from dali.envs.units import quantity, train_range
from dali.export.pictures import SIZE, Picture, code_text, draw_pictures, draw_pinned, physics_text
from dali.export.second import draw_second
from dali.export.tables import runs
from dali.export.verdict import can_be_judged, verdict
from dali.runs.artifacts import EPISODES_FILE
from dali.runs.film_source import find_episodes
from dali.runs.folder import ANALYSIS_FILE, CONFIG, WEIGHTS, digest
from dali.studio.film.effective import find_effective
from dali.studio.film.second import SecondRun
from dali.studio.film.state import fitted, take_said
from dali.studio.film.url import FRAME, PageState
from dali.studio.loaders import Run, Stamp, figures_are_current, load_agent, load_episodes, load_readout, stamp
from dali.studio.player import Pane, PlayerFilm, Series, Trace, player
from dali.studio.recording import recorded_episodes
from dali.studio.style import number, plain, shown_path

SEEN = "film_seen"  # session state: whether a film was shown
RUN_TITLES = {
    "real_factual": "Real, factual",
    "real_counterfactual": "Real, counterfactual",
    "dream_factual": "Dream, factual",
    "dream_counterfactual": "Dream, counterfactual",
    "second_factual": "Second dream, factual",
    "second_counterfactual": "Second dream, counterfactual",
}


# Film and sliders stand side by side where both have room, whatever the sidebar takes; where they don't, the physics
# stand above the film, and what is read at leisure below it.
_LAYOUT = """
:has(> .st-key-film_desk) {container-type: inline-size}
.st-key-film_desk {
  display: grid; gap: 0.6rem 1.5rem; align-items: start;
  grid-template: "physics" "film" "rest" / minmax(0, 1fr);
}
.st-key-film_desk > :has(> .st-key-film_left) {grid-area: film}
.st-key-film_desk > :has(> .st-key-film_physics) {grid-area: physics}
.st-key-film_desk > :has(> .st-key-film_rest) {grid-area: rest}
.st-key-film_desk > * {width: 100%; min-width: 0}
@container (min-width: 780px) {
  .st-key-film_desk {
    grid-template: "film physics" auto "film rest" 1fr / minmax(0, 1.25fr) minmax(0, 1fr);
  }
}
@media (min-width: 1200px) {.st-key-film_left {--above: 445px}}
.st-key-film_physics, .st-key-film_rest {gap: 0.6rem}
.st-key-film_figures [data-testid=stMetricValue] {font-size: 1.25rem}
"""


def lay_out() -> tuple[DeltaGenerator, DeltaGenerator, DeltaGenerator]:
    """Three places: for the film, for the physics that are asked for, and for the rest."""
    st.html(f"<style>{_LAYOUT}</style>")
    desk = st.container(key="film_desk")
    return desk.container(key="film_left"), desk.container(key="film_physics"), desk.container(key="film_rest")


@contextmanager
def wait_for_first_film() -> Iterator[None]:
    """A spinner where the film will be, in a session that has seen none; later films replace the one that is shown."""
    place = st.empty()  # in either case, so that the player below it stays the same element
    if st.session_state.get(SEEN):
        yield
        return
    with place, st.spinner("Dreaming …", show_time=False):
        yield
    st.session_state[SEEN] = True


def open_film_source(run: Run) -> tuple[FilmSource, Stamp]:
    """The source of a run, shared between sessions, and what its films are keyed by. Ends the script where the run's
    episodes must be recorded first, and offers that.

    Raises:
        DaliError: the run cannot be opened.
    """
    if run.config.method.infers_context:
        if recorded_episodes(run) is None:
            st.stop()
        key = stamp(run.folder, CONFIG, WEIGHTS, EPISODES_FILE)
    else:
        present = [EPISODES_FILE] if (run.folder / EPISODES_FILE).exists() else []
        key = stamp(run.folder, CONFIG, WEIGHTS, *present)
    return _stage(key, run), key


def warn_if_stale(run: Run) -> None:
    """Says so where the recorded codes were inferred by other weights than those that dream now."""
    if (run.folder / ANALYSIS_FILE).exists() and not figures_are_current(run):
        st.warning(
            f"The weights have changed since these episodes were recorded, so codes and dreams don't belong together. "
            f"Record them anew: `python -m dali analyse {shown_path(run.folder)}`",
            icon=":material/history:",
        )


@st.cache_resource(max_entries=4, show_spinner="Preparing episodes …")
def _stage(key: Stamp, _run: Run) -> FilmSource:
    agent = load_agent(_run)
    if agent.method.infers_context:
        return make_film_source(agent, load_episodes(_run), load_readout(_run))
    return make_film_source(agent, find_episodes(_run.folder, agent), None)


def film_of(source: FilmSource, key: Stamp, request: Request) -> Film:
    """The film of a request, remembered for a while. Never changed by anyone.

    Raises:
        DaliError: the request does not fit.
    """
    return _film(key, request, source)


@st.cache_resource(max_entries=16, show_spinner=False)
def _film(key: Stamp, request: Request, _stage: FilmSource) -> Film:
    return make_film(_stage, request, _factual(key, replace(request, physics=(), code=()), _stage))


@st.cache_resource(max_entries=8, show_spinner=False)
def _factual(key: Stamp, unchanged: Request, _stage: FilmSource) -> Factual:
    return make_factual(_stage, unchanged)


@st.cache_data(max_entries=8, show_spinner=False)
def checkpoint_digest(key: Stamp) -> str:
    """SHA-256 of the checkpoint whose files are stamped."""
    return digest(Path(key[0][0]).parent)


def show_player(source: FilmSource, key: Stamp, state: PageState, film: Film, second: SecondRun | None) -> None:
    """The panes and traces of a film, with the pinned dream and a second agent's beside them."""
    spec, method = source.agent.spec, source.agent.method
    pictures = draw_pictures(film, spec, method, SIZE, state.extras)
    pinned = pinned_film(source, key, state)
    if pinned:
        pictures.append(draw_pinned(pinned, spec))
    elif state.pinned:
        st.caption(":material/keep_off: The pinned dream's episode is too short for this horizon.")
    if second:
        pictures += draw_second(second.exported, spec, SIZE)
    panes = [pane_of(picture, spec, film, pinned) for picture in pictures]
    traces = _traces(film, pinned, second, spec, method.source != "none", state.dimensions)
    if source.steering is not None:
        traces.insert(1, _surprise(source, film))
    player(PlayerFilm(panes, traces, spec.timestep), "film", FRAME)


def pane_of(picture: Picture, spec: EnvSpec, film: Film, pinned: Film | None) -> Pane:
    """A picture as the player shows it, with an arrow for the gravity of its physics."""
    contexts = dict.fromkeys(("real_factual", "dream_factual", "second_factual"), film.context)
    if pinned:
        contexts["pinned"] = pinned.context_to
    gravity = 0.0
    for i, feature in enumerate(spec.features):
        if feature.unit == "m/s²" and picture.style:
            gravity = float(contexts.get(picture.style, film.context_to)[i]) / feature.limits[1]
    drawn = not picture.digest.startswith("difference-")  # its brightness is a number
    frames = partial(getattr, picture, "frames")  # drawn where the player has no sheets of that digest
    return Pane(picture.title, picture.caption, frames, picture.digest, picture.style, gravity, drawn)


def pinned_film(source: FilmSource, key: Stamp, state: PageState) -> Film | None:
    """The pinned film over the present one's steps; None without a pin, or where its episode is too short."""
    asked = fitted(state.pinned, state.request, source) if state.pinned else None
    return film_of(source, key, asked) if asked else None


def _traces(
    film: Film,
    pinned: Film | None,
    second: SecondRun | None,
    spec: EnvSpec,
    changes: bool,
    dimensions: Sequence[int],
) -> list[Trace]:
    other = second.film if second else None
    left_out = set() if changes else {"dream_counterfactual"}
    if second and second.run.config.method.source == "none":
        left_out.add("second_counterfactual")
    shown = {name: run for name, run in runs(film, None, other).items() if name not in left_out}
    errors = [Series("Dream, factual", film.error, "dream_factual")]
    title = "Dream, counterfactual" if changes else "Dream against real counterfactual"
    errors.append(Series(title, film.error_counterfactual, "dream_counterfactual"))
    if pinned:
        errors.append(Series("Dream, pinned", pinned.error_counterfactual, "pinned"))
    if other:
        errors.append(Series(RUN_TITLES["second_factual"], other.error, "second_factual"))
        errors.append(Series(RUN_TITLES["second_counterfactual"], other.error_counterfactual, "second_counterfactual"))
    traces = [Trace("Error of the dream", "σ of the data", errors)]
    for i in dimensions:  # of an agent of pixels those of real runs alone: its dreams are pictures
        series = [
            Series(RUN_TITLES[name], run.obs[:, i], name, None if run.spread is None else run.spread[:, i])
            for name, run in shown.items()
            if run.obs is not None
        ]
        if pinned and pinned.dream_counterfactual.obs is not None:
            series.append(Series("Dream, pinned", pinned.dream_counterfactual.obs[:, i], "pinned"))
        traces.append(Trace(spec.observation_names[i], spec.observation_units[i], series))
    return traces


def _surprise(source: FilmSource, film: Film) -> Trace:
    assert source.steering is not None
    before, after = film_surprise(source.agent, film, source.steering.support.std)
    series = [Series("Forward dynamics, z", before, "dream_factual")]
    series.append(Series("Forward dynamics, z'", after, "dream_counterfactual"))
    return Trace("Surprise at the real counterfactual", "σ of a step's change", series)


def show_said() -> None:
    """What of a URL or an entry was not followed, in one box."""
    said = take_said()
    if said:
        st.warning("  \n".join(plain(sentence) for sentence in said), icon=":material/info:")


def show_verdict(source: FilmSource, film: Film) -> None:
    """The one sentence that says what the film shows."""
    find_effective(film)
    text = verdict(film, source.agent.spec, source.agent.method, source.scale)
    st.markdown(f"**{text}**")


def show_badges(source: FilmSource, film: Film) -> None:
    """What a person must know of this request before trusting the dream."""
    spec, method = source.agent.spec, source.agent.method
    with st.container(horizontal=True):
        for feature, value in zip(spec.features, film.context_to, strict=True):
            if feature.name in film.outside:
                away = quantity(feature, feature.outside_by(value))
                text = f"{feature.label} is {away} outside the train range {train_range(feature)}"
                st.badge(text, icon=":material/warning:", color="orange")
        if film.support is not None and not film.support.inside:
            text = f"code is off the data: {film.support.ratio:.1f} times the distance 99 % of codes keep"
            st.badge(text, icon=":material/warning:", color="orange")
        elif film.support is not None:
            st.badge("code within the data", icon=":material/check:", color="green")
        if method.shallow:
            st.badge("shallow: z' acts while the steps before the start are observed again", icon=":material/info:")
        if source.metric.observer.pictures and film.request.physics:
            st.badge("the changed dream starts from what the agent would see at that physics", icon=":material/info:")
        if method.source == "given":
            st.badge("told the true physics: its slider changes what the dream is told", icon=":material/info:")
        if method.source == "none":
            st.badge("no context: sliders change the real run alone", icon=":material/info:")


def show_numbers(source: FilmSource, key: Stamp, state: PageState, film: Film) -> None:
    """The figures of this request, and in a line those of the pinned one."""
    spec, method = source.agent.spec, source.agent.method
    horizon = film.request.horizon
    row = st.container(horizontal=True, key="film_figures")  # wraps where the window is narrow
    row.metric(
        "Error, factual", number(film.mean_error, 2, "σ"), help=f"Dream against real, {horizon} steps.", width=160,
    )  # fmt: skip
    row.metric(
        "Error, counterfactual", number(film.mean_error_counterfactual, 2, "σ"),
        help=f"Dream against the real run at the asked physics. Unsteered: {film.mean_error_unsteered:.2f} σ.",
        width=160,
    )  # fmt: skip
    row.metric(
        "Steering skill",
        number(film.skill if method.source != "none" and can_be_judged(film, source.scale) else None),
        help=f"1 - error steered / error unsteered, over {horizon} steps. 1 is ideal, 0 useless. A dash where no "
        "physics is asked for, or too small a change to judge.", width=160,
    )  # fmt: skip
    for i, feature in enumerate(spec.features):
        row.metric(
            f"Effective {feature.label}", quantity(feature, film.effective[i]),
            delta=f"asked {quantity(feature, film.context_to[i])}", delta_color="off", delta_arrow="off",
            help="The physics whose real run is nearest to the counterfactual dream, over its first 25 steps; "
            f"that run is still {film.effective_error[i]:.2f} σ away.", width=160,
        )  # fmt: skip
    pinned = pinned_film(source, key, state)
    if pinned:
        find_effective(pinned)
        st.caption(":material/keep: " + _pinned_text(source, pinned))


def _pinned_text(source: FilmSource, film: Film) -> str:
    """What was pinned and how right it is, in the order of the figures above."""
    spec = source.agent.spec
    asked = ", ".join(x for x in (physics_text(spec, film.context_to), code_text(film)) if x)
    parts = [f"error {film.mean_error_counterfactual:.2f} σ"]
    if source.agent.method.source != "none" and can_be_judged(film, source.scale):
        parts.append(f"steering skill {number(film.skill)}")
    parts += [f"effective {f.label} {quantity(f, c)}" for f, c in zip(spec.features, film.effective, strict=True)]
    return f"Pinned, {asked}: {', '.join(parts)}."
