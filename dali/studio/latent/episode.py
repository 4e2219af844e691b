"""One record and its episode: what the code says of the physics as evidence accumulates, and who is near."""

from typing import Any

import numpy as np
import streamlit as st

from dali.codes.identification import Estimates, default_tolerance, estimates, identification
from dali.codes.points import nearest
from dali.codes.probes import identified_after
from dali.codes.settled import SETTLED
from dali.envs.spec import ContextFeature
from dali.envs.units import quantity
from dali.episodes import Episodes
from dali.figures.probes import estimate_over_time
from dali.figures.style import REGIME_TITLES, with_unit
from dali.studio.latent.selection import describe, focus, link_to_studio, physics_cells, set_focus
from dali.studio.loaders import Run, load_readout

READINGS = ("code of the moment", "mean so far")


def show_episode(run: Run, episodes: Episodes) -> None:
    """The episode of the focused record: the probe's estimate over time, in units, with the error usual by then."""
    episode, step = choose_record(run, episodes)
    st.markdown(f"**Episode {episode}:** {describe(run, episodes, episode)}.")
    probe = load_readout(run).probe
    how = st.segmented_control(
        "Read", READINGS, default=READINGS[0], required=True, key="reading", persist_state="session",
        help="The agent acts and dreams on the code of the moment. The mean of all codes so far (from step "
        f"{SETTLED} on) is what the episode has told by then.",
    )  # fmt: skip
    average = how == READINGS[1]
    read = estimates(episodes, probe, episode, average)
    for i, (feature, column) in enumerate(zip(run.spec.features, st.columns(len(run.spec.features)), strict=True)):
        with column:
            _show_feature(run, episodes, episode, read, feature, i, step, average)
    st.caption(
        "A ridge probe, fitted on the mean codes of training contexts, reads the physics from z at every step. The "
        "band is its mean absolute error at that time over held-out episodes inside the train range, acted in alike; "
        "the dotted line is the chosen record. Identified means: within the tolerance from then to the end."
    )
    st.markdown(f"**Nearest codes** to episode {episode} at step {step}, one record of each other episode, by distance "
                "in the code space itself and not on the map:")  # fmt: skip
    st.dataframe(neighbour_table(run, episodes, episode, step), hide_index=True)


def choose_record(run: Run, episodes: Episodes) -> tuple[int, int]:
    """Episode and step, as typed here or looked at last."""
    episode, step = focus(run, episodes)
    last = int(episodes.length[episode])

    def follow() -> None:
        typed = st.session_state["record_episode"]
        set_focus(run, typed, min(st.session_state["record_step"], int(episodes.length[typed])))

    # The widgets follow the focus, which outlives a change of page.
    st.session_state["record_episode"], st.session_state["record_step"] = episode, step
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input("Episode", 0, len(episodes.obs) - 1, key="record_episode", on_change=follow, width=160)
        st.number_input(f"Step t (of {last})", 0, last, key="record_step", on_change=follow, width=160)
        link_to_studio(run, episodes, episode, step)
    return episode, step


def neighbour_table(run: Run, episodes: Episodes, episode: int, step: int) -> list[dict[str, Any]]:
    """One row a neighbour."""
    found = nearest(episodes, episode, step)
    return [
        {
            "Episode": int(e),
            "Step": int(t),
            "Distance (code units)": round(float(d), 4),
            **physics_cells(run, episodes, int(e)),
            "Physics": REGIME_TITLES.get(str(episodes.regime[e]), str(episodes.regime[e])),
        }
        for e, t, d in zip(found.episode, found.step, found.distance, strict=True)
    ]


def _show_feature(
    run: Run,
    episodes: Episodes,
    episode: int,
    read: Estimates,
    feature: ContextFeature,
    index: int,
    step: int,
    average: bool,
) -> None:
    usual = default_tolerance(run.spec, index)
    tolerance = st.number_input(
        with_unit(f"Tolerance for {feature.label}", feature.unit),
        min_value=0.0,
        value=usual,
        step=usual / 5,
        format="%.3g",
        key=f"tolerance:{run.config.env}:{feature.name}",
        persist_state="session",
        width=220,
    )
    seconds = np.arange(len(read.value)) * run.spec.timestep
    figure = estimate_over_time(
        seconds, read.value[:, index], read.usual_error[:, index], read.truth[index], feature, step * run.spec.timestep
    )
    st.plotly_chart(figure, key=f"estimate:{feature.name}")
    after = identified_after(read.value[:, index], read.truth[index], tolerance)
    within = f"to ± {quantity(feature, tolerance)}"
    if after is None:
        off = np.abs(read.value[len(read.value) // 2 :, index] - read.truth[index]).max()
        here = f"**{feature.label.capitalize()} is not identified {within} by the end**"
        here += f"; in the second half the reading stays within ± {quantity(feature, float(off))}."
    else:
        here = f"**Identified {feature.label} {within} after {after} steps** ({after * run.spec.timestep:.2f} s)."
    st.markdown(here)
    explored = bool(episodes.explored[episode])
    everywhere = identification(episodes, load_readout(run).probe, index, tolerance, explored, average)
    if everywhere.episodes:
        acted = "exploratory noise" if explored else "the policy"
        text = f"Of {everywhere.episodes} held-out episodes of {acted} {everywhere.share:.0%} identify it"
        text += f", half of them all within {everywhere.median} steps." if everywhere.median is not None else "."
        st.caption(text)
