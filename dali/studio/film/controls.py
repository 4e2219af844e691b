"""The widgets of the counterfactuals page."""

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dali.dreams.counterfactual import ACTION_SOURCES
from dali.dreams.film import Film, FilmSource
from dali.dreams.request import longest_horizon
from dali.envs.spec import ContextFeature
from dali.export.pictures import EXTRAS, quantity
from dali.studio.film.state import (
    PIN,
    SEED,
    PageState,
    change_episode,
    code_range,
    decimals_of,
    fit_times,
    reset,
    step_of,
)
from dali.studio.loaders import Stamp

ACTION_TITLES = {"recorded": "Recorded", "zero": "Zero", "policy": "Policy"}
SHORT_REGIMES = {"train": "trained", "interpolation": "held out", "extrapolation": "outside", "mixed": "half outside"}
TOLD = 0.05  # share of the squared move of the code from which a dimension is named


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
    row.number_input(
        "Start (step)", 0, length - 1, key="film_t", on_change=fit_times, args=(source,), width=120,
        help=f"The agent watches the episode up to here, then dreams. One step is {seconds:g} s.",
    )  # fmt: skip
    longest = longest_horizon(session["film_actions"], length, session["film_t"])
    row.number_input("Horizon (steps)", 1, longest, key="film_h", help=f"At most {longest} from here.", width=130)
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
    if session["film_latents"] == SEED:
        row.number_input("Seed", 0, 2**31 - 1, key="film_seed", width=90)


def show_physics(source: FilmSource) -> list:
    """A slider and an entry per context feature; returns a place under each for what its move brings."""
    places = []
    own = source.episodes.context[st.session_state["film_episode"]]
    for feature, value in zip(source.agent.spec.features, own, strict=True):
        decimals, unit = decimals_of(feature), "×" if feature.unit == "x" else feature.unit
        slider = _slider_with_entry(
            f"{feature.label.capitalize()} ({unit})", f"film_{feature.name}", feature.limits, step_of(feature), decimals
        )
        slider.html(_train_range_bar(feature, value))
        places.append(st.empty())
    return places


def show_codes(source: FilmSource) -> None:
    """A slider and an entry per code dimension, in the data's standard deviations."""
    size = source.episodes.code.shape[-1]
    if size == 0:
        return
    moved = sum(1 for j in range(size) if st.session_state[f"film_z{j}"])
    with st.expander(f"Code sliders (σ){f': {moved} moved' if moved else ''}", icon=":material/tune:"):
        st.caption("Change of each code dimension, in standard deviations σ of the data, on top of the physics.")
        for j in range(size):
            _slider_with_entry(f"z{j} (σ)", f"film_z{j}", code_range(), 0.1, 1, "%+.1f")
    st.button("Reset sliders", icon=":material/restart_alt:", on_click=reset, args=(source,), width="stretch")


def show_view(source: FilmSource, state: PageState) -> None:
    """Which panes and plots are shown, and the pin."""
    spec, session = source.agent.spec, st.session_state
    columns = st.columns([1.6, 3, 1.4], vertical_alignment="bottom")
    columns[0].pills(
        "More panes", EXTRAS, selection_mode="multi", key="film_extras", format_func=str.capitalize,
        help="Ghost: the dream drawn over the real run. Difference: where their pixels differ.",
    )  # fmt: skip
    columns[1].multiselect(
        "Plots", range(spec.obs_dim), key="film_dims", format_func=lambda i: spec.observation_names[i],
        help="Observation dimensions whose course is plotted under the film.",
    )  # fmt: skip
    if state.pinned is None:
        columns[2].button(
            "Pin this dream", icon=":material/keep:", on_click=session.update, args=({PIN: state.request},),
            width="stretch", help="Keeps this counterfactual dream beside the next ones.",
        )  # fmt: skip
    else:
        columns[2].button(
            "Unpin", icon=":material/keep_off:", on_click=session.update, args=({PIN: None},), width="stretch"
        )


def explain_move(source: FilmSource, film: Film, places: list) -> None:
    """Under each physics slider: the episode's own value, the error of the way back; below: the codes that move."""
    for i, (feature, place) in enumerate(zip(source.agent.spec.features, places, strict=True)):
        text = f"Episode: {quantity(feature, film.context[i])}."
        if film.back_error is not None:
            error = abs(film.back_error[i])
            text += f" Way back: ±{quantity(feature, error)}."
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
    label: str, key: str, ends: tuple[float, float], step: float, decimals: int, form: str | None = None
) -> DeltaGenerator:
    """A slider that keeps the value under ``key`` and a number entry that follows it; returns the slider's column."""
    entry = f"{key}_entry"
    st.session_state[entry] = round(st.session_state[key], decimals)
    plain = f"%.{decimals}f"
    left, right = st.columns([2, 1], vertical_alignment="center")
    left.slider(label, *ends, step=step, key=key, format=form or plain)
    right.number_input(
        f"{label}, exactly", *ends, step=step, key=entry, format=plain, label_visibility="collapsed",
        on_change=_take_entry, args=(key,),
    )  # fmt: skip
    return left


def _take_entry(key: str) -> None:
    value = st.session_state[f"{key}_entry"]
    if value is not None:
        st.session_state[key] = value


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
    """A strip under a slider: the train range in blue, a mark at the episode's own value."""
    low, high = feature.limits
    left, right, mark = (100 * (v - low) / (high - low) for v in (*feature.train, own))
    title = f"Train range {quantity(feature, feature.train[0])} to {quantity(feature, feature.train[1])}"
    return (
        f'<div title="{title}" aria-label="{title}" style="position:relative;height:6px;margin:0 8px;'
        'background:color-mix(in srgb, currentColor 14%, transparent);border-radius:3px">'
        f'<div style="position:absolute;left:{left:.1f}%;width:{right - left:.1f}%;height:6px;background:#0072B2;'
        'opacity:.55;border-radius:3px"></div>'
        f'<div style="position:absolute;left:calc({mark:.1f}% - 1px);width:2px;top:-3px;height:12px;'
        'background:currentColor"></div></div>'
    )
