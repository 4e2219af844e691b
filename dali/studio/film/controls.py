"""The widgets of the counterfactuals page."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dali.dreams.counterfactual import ACTION_SOURCES, engines
from dali.dreams.film import Film, FilmSource
from dali.dreams.request import longest_horizon
from dali.envs.spec import ContextFeature
from dali.export.pictures import EXTRAS, quantity
from dali.studio.address import follower
from dali.studio.film.second import choose_second
from dali.studio.film.state import (
    PIN,
    SEED,
    change_episode,
    code_range,
    decimals_of,
    fit_times,
    reset,
    say,
    step_of,
    take_entry,
)
from dali.studio.film.url import PageState
from dali.studio.loaders import Stamp

ACTION_TITLES = {"recorded": "Recorded", "zero": "Zero", "policy": "Policy"}
ENGINE_TITLES = {"rssm": "World model", "dynamics": "Dynamics"}
SHORT_REGIMES = {"train": "trained", "interpolation": "held out", "extrapolation": "outside", "mixed": "half outside"}
TOLD = 0.05  # share of the squared move of the code from which a dimension is named
MULTIPLES = {"½×": 0.5, "1×": 1.0, "2×": 2.0}  # of the episode's own physics
SURFACES = {"Moon": 1.62, "Mars": 3.71, "Earth": 9.81, "Jupiter": 24.79}  # m/s², gravity at the surface


def show_setup(source: FilmSource, key: Stamp) -> None:
    """Episode, start, horizon, actions and sampling."""
    session = st.session_state
    before = session["film_episode"]
    titles = _episode_titles(key, source)
    row = st.container(horizontal=True, vertical_alignment="bottom")  # wraps where the window is narrow
    row.selectbox(
        "Episode",
        range(len(source.episodes.obs)),
        key="film_episode",
        format_func=titles.__getitem__,
        on_change=change_episode,
        args=(source, before),
        width=310,
    )
    length = int(source.episodes.length[session["film_episode"]])
    seconds = source.agent.spec.timestep
    # Entries without limits: with them, a number beyond is refused by a red frame and no word.
    row.number_input(
        "Start (step)", key="film_t", step=1, on_change=fit_times, args=(source,), width=120,
        help=f"The agent watches the episode up to here, then dreams. One step is {seconds:g} s. "
        f"At most {length - 1}.",
    )  # fmt: skip
    longest = longest_horizon(session["film_actions"], length, session["film_t"])
    row.number_input(
        "Horizon (steps)", key="film_h", step=1, on_change=fit_times, args=(source,), width=130,
        help=f"At most {longest} from here.",
    )  # fmt: skip
    row.segmented_control(
        "Actions", ACTION_SOURCES, key="film_actions", required=True, format_func=ACTION_TITLES.__getitem__,
        on_change=fit_times, args=(source,), width="content",
        help="Recorded: those of the episode. Policy: the agent's own, in its dream. The real run repeats the dream's.",
    )  # fmt: skip
    row.segmented_control(
        "Latents", ("mean", SEED, "mode"), key="film_latents", required=True, format_func=str.capitalize,
        width="content",
        help="Mean: each step hands on the expected latent, without noise; figures are made so. Sample: latents drawn "
        "with a seed, the same draws for both dreams. Mode: the likeliest class of each latent.",
    )  # fmt: skip
    if len(engines(source.agent)) > 1:
        row.segmented_control(
            "Dreamt by", engines(source.agent), key="film_engine", required=True, format_func=ENGINE_TITLES.__getitem__,
            width="content",
            help="World model: the imagination that the policy was trained in. Dynamics: the ensemble that predicts "
            "the next observation from the last; the band in the plots is how far its members differ.",
        )  # fmt: skip
    if session["film_latents"] == SEED:
        row.number_input("Seed", key="film_seed", step=1, on_change=fit_times, args=(source,), width=90)


def show_physics(source: FilmSource) -> list[DeltaGenerator]:
    """A slider, an entry and chips per context feature; returns a place under each for what its move brings."""
    places = []
    own = source.episodes.context[st.session_state["film_episode"]]
    for feature, value in zip(source.agent.spec.features, own, strict=True):
        decimals, unit = decimals_of(feature), "×" if feature.unit == "x" else feature.unit
        label, key = f"{feature.label.capitalize()} ({unit})", f"film_{feature.name}"
        slider = _slider_with_entry(
            label, key, feature.limits, step_of(feature), decimals, partial(take_entry, feature)
        )  # fmt: skip
        slider.html(_train_range_bar(feature, value))
        _show_chips(feature, float(value), label)
        places.append(st.empty())
    return places


def chips(feature: ContextFeature, own: float) -> dict[str, float]:
    """Values of a feature that have a name: multiples of the episode's own, and where it is gravity, of the planets."""
    named = {name: factor * own for name, factor in MULTIPLES.items()}
    return named | SURFACES if feature.unit == "m/s²" else named


def _show_chips(feature: ContextFeature, own: float, label: str) -> None:
    session, key, named = st.session_state, f"film_{feature.name}", chips(feature, own)
    low, high = feature.limits
    near = (name for name, v in named.items() if abs(min(max(v, low), high) - session[key]) < step_of(feature) / 2)

    def take(chosen: str | None) -> None:
        if chosen is not None:
            take_entry(feature, named[chosen])

    # The slider's value is what counts; the chips only show it.
    follow = follower(f"{key}_chip", next(near, None), take)
    st.pills(f"{label}, by name", list(named), **follow, label_visibility="collapsed")


def show_codes(source: FilmSource) -> None:
    """A slider and an entry per code dimension, in the data's standard deviations."""
    size = source.episodes.code.shape[-1]
    if size == 0:
        return
    # Its label stays what it is: with another one it would be another expander, and closed.
    with st.expander("Code sliders (σ)", icon=":material/tune:"):
        moved = [f"z{j}" for j in range(size) if st.session_state[f"film_z{j}"]]
        st.caption(
            "Change of each code dimension, in standard deviations σ of the data, on top of the physics. "
            f"{'Moved: ' + ', '.join(moved) if moved else 'None is moved'}."
        )
        for j in range(size):
            _slider_with_entry(f"z{j} (σ)", f"film_z{j}", code_range(), 0.1, 1, partial(_take_code, j), "%+.1f")
    st.button("Reset sliders", icon=":material/restart_alt:", on_click=reset, args=(source,), width="stretch")


def show_view(source: FilmSource, state: PageState, others: Sequence[str]) -> None:
    """Which panes and plots are shown, the pin, and the second agent among ``others``."""
    spec, session = source.agent.spec, st.session_state
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.pills(
            "More panes", EXTRAS, selection_mode="multi", key="film_extras", format_func=str.capitalize,
            width="content", help="Ghost: the dream drawn over the real run. Difference: where their pixels differ.",
        )  # fmt: skip
        if state.pinned is None:
            st.button(
                "Pin this dream", icon=":material/keep:", on_click=session.update, args=({PIN: state.request},),
                help="Keeps this counterfactual dream beside the next ones.",
            )  # fmt: skip
        else:
            st.button("Unpin", icon=":material/keep_off:", on_click=session.update, args=({PIN: None},))
    choose_second(others)
    st.multiselect(
        "Plots", range(spec.obs_dim), key="film_dims", format_func=lambda i: spec.observation_names[i],
        help="Observation dimensions whose course is plotted under the film.",
    )  # fmt: skip


def explain_move(source: FilmSource, film: Film, places: list[DeltaGenerator]) -> None:
    """Under each physics slider: the episode's own value, the round-trip error; below: the codes that move."""
    for i, (feature, place) in enumerate(zip(source.agent.spec.features, places, strict=True)):
        text = f"Episode: {quantity(feature, film.context[i])}."
        if film.back_error is not None:
            error = abs(film.back_error[i])
            text += f" Round trip: ±{quantity(feature, error)}."
        place.caption(
            text, help="The code map puts this physics somewhere in the code; the probe reads it back so far off."
        )
    total = float((film.moved_by_physics**2).sum())
    if total > 0:
        order = np.argsort(-np.abs(film.moved_by_physics))
        told = [j for j in order if film.moved_by_physics[j] ** 2 / total > TOLD]
        moves = ", ".join(f"z{j} {film.moved_by_physics[j]:+.2f} σ" for j in told)
        st.caption(f"Physics moves {moves}.".replace("-", "−"))


def _slider_with_entry(
    label: str,
    key: str,
    ends: tuple[float, float],
    step: float,
    decimals: int,
    take: Callable[[float | None], None],
    form: str | None = None,
) -> DeltaGenerator:
    """A slider that keeps the value under ``key`` and an entry that follows it; returns the slider's column.

    Args:
        take: is handed what is typed into the entry, in range or not.
    """
    follow = follower(f"{key}_entry", round(st.session_state[key], decimals), take)
    plain = f"%.{decimals}f"
    left, right = st.columns([2.4, 1], vertical_alignment="center")
    left.slider(label, *ends, step=step, key=key, format=form or plain)
    right.number_input(f"{label}, exactly", step=step, format=plain, label_visibility="collapsed", **follow)
    return left


def _take_code(j: int, value: float | None) -> None:
    if value is None:
        return
    low, high = code_range()
    near = min(max(value, low), high)
    if near != value:
        say(f"A change of z{j} by {value:g} σ is out of range, which is {low:g} to {high:g}: it is {near:g} σ now.")
    st.session_state[f"film_z{j}"] = near


@st.cache_data(max_entries=8, show_spinner=False)
def _episode_titles(key: Stamp, _stage: FilmSource) -> list[str]:
    """Of all episodes, hundreds, which every move of a slider would format anew."""
    spec, episodes = _stage.agent.spec, _stage.episodes
    titles = []
    for index, context in enumerate(episodes.context):
        physics = ", ".join(quantity(f, c) for f, c in zip(spec.features, context, strict=True))
        regime = str(episodes.regime[index])
        acted = "noise" if episodes.explored[index] else "policy"
        titles.append(f"{index}: {physics} · {SHORT_REGIMES.get(regime, regime)}, {acted}")
    return titles


def _train_range_bar(feature: ContextFeature, own: float) -> str:
    """A strip under a slider: the train range in blue, without its gap, and a mark at the episode's own value."""
    low, high = feature.limits

    def place(value: float) -> float:
        return 100 * (value - low) / (high - low)

    ranges = (f"{quantity(feature, a)} to {quantity(feature, b)}" for a, b in feature.train_intervals)
    title = f"Train range {' and '.join(ranges)}"
    trained = "".join(
        f'<div style="position:absolute;left:{place(a):.1f}%;width:{place(b) - place(a):.1f}%;height:6px;'
        'background:#0072B2;opacity:.55;border-radius:3px"></div>'
        for a, b in feature.train_intervals
    )
    return (
        f'<div title="{title}" role="img" aria-label="{title}" style="position:relative;height:6px;margin:-14px 8px 0;'
        'background:color-mix(in srgb, currentColor 14%, transparent);border-radius:3px">'
        f'{trained}<div style="position:absolute;left:calc({place(own):.1f}% - 1px);width:2px;top:-3px;height:12px;'
        'background:currentColor"></div></div>'
    )
