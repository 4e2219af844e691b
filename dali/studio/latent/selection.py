"""What was picked on the map: the lasso's records and the clicked one, which outlive recolouring and other pages."""

from typing import Any

import numpy as np
import streamlit as st

from dali.codes.points import returns
from dali.envs.units import quantity
from dali.episodes import Episodes
from dali.figures import latent as figures
from dali.figures.style import REGIME_TITLES, with_unit
from dali.studio.loaders import CHOSEN, Run, name_of

VIEW_KEY, EPISODE_VIEW = "latent_view", "One episode"
TABLE_ROWS = 200


def selection_key(run: Run) -> str:
    return f"selection:{run.folder}"


def clicked_key(run: Run) -> str:
    return f"clicked:{run.folder}"


def selected_records(run: Run, episodes: Episodes) -> np.ndarray | None:
    """(E, T + 1) bool: what the last lasso held, or None. It outlives recolouring and other pages."""
    records = st.session_state.get(selection_key(run))
    return records if records is not None and records.shape == episodes.obs.shape[:2] else None


def focus(run: Run, episodes: Episodes) -> tuple[int, int]:
    """The record (episode, t) that was looked at last; by default the last of the first exploratory held-out one."""
    first = int(((episodes.regime == "interpolation") & episodes.explored).argmax())
    default = first, int(episodes.length[first])
    episode, step = st.session_state.get(f"focus:{run.folder}", default)
    return (episode, step) if episode < len(episodes.obs) and step <= episodes.length[episode] else default


def set_focus(run: Run, episode: int, step: int) -> None:
    st.session_state[f"focus:{run.folder}"] = (int(episode), int(step))


def show_clicked(run: Run, episodes: Episodes) -> None:
    """The record that was clicked on the map, with ways to its episode and to its dreams."""
    if not st.session_state.get(clicked_key(run)):
        return
    episode, step = focus(run, episodes)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**Episode {episode}, step {step}:** {describe(run, episodes, episode)}.", width="content")
        st.button("Open the episode", icon=":material/timeline:", on_click=open_view, args=(EPISODE_VIEW,))
        link_to_studio(run, episodes, episode, step)


def open_view(view: str) -> None:
    """Turns the page to another of its views."""
    st.session_state[VIEW_KEY] = view


def show_selection(run: Run, episodes: Episodes, hint: bool = True) -> None:
    """What the lasso holds: a table of episodes, and the physics in it against all.

    Args:
        hint: say what the mouse can do where nothing is selected.
    """
    records = selected_records(run, episodes)
    if records is None:
        if hint:
            st.info(
                "Draw a lasso or a box on the map in two dimensions: what it holds shows here. To open the episode of "
                "a point, set the mouse to Click; to dream along a path of codes, set it to Path or Draw.",
                icon=":material/lasso_select:",
            )
        return
    counts = records.sum(1)
    left, right = st.columns([4, 1], vertical_alignment="center")
    left.markdown(f"**{int(counts.sum()):,} records of {int((counts > 0).sum()):,} episodes selected**")
    right.button("Clear selection", on_click=_clear, args=(run,), width="stretch")
    columns = st.columns(len(run.spec.features))
    for i, column in enumerate(columns):
        column.plotly_chart(figures.context_histogram(episodes, run.spec, i, records), key=f"histogram:{i}")
    rows = selection_table(run, episodes, records)
    event = st.dataframe(
        rows, hide_index=True, height=260, key="selection_table", on_select="rerun", selection_mode="single-row"
    )
    picked = [i for i in event.selection.rows if i < len(rows)]
    row = rows[picked[0] if picked else 0]
    more = f"The {TABLE_ROWS} episodes with the most selected records. " if (counts > 0).sum() > TABLE_ROWS else ""
    st.caption(f"{more}Choose a row to open another episode at its first selected record.")
    link_to_studio(run, episodes, row["Episode"], row["First t"])


def selection_table(run: Run, episodes: Episodes, records: np.ndarray) -> list[dict[str, Any]]:
    """One row an episode of the selection, the one with most records first."""
    counts, total = records.sum(1), returns(episodes)
    order = [e for e in np.argsort(-counts, kind="stable") if counts[e] > 0][:TABLE_ROWS]
    return [
        {
            "Episode": int(e),
            "Records": int(counts[e]),
            "First t": int(records[e].argmax()),
            **physics_cells(run, episodes, int(e)),
            "Physics": REGIME_TITLES.get(str(episodes.regime[e]), str(episodes.regime[e])),
            "Acted by": "exploratory noise" if episodes.explored[e] else "policy",
            "Return": round(float(total[e]), 1),
        }
        for e in order
    ]


def physics_cells(run: Run, episodes: Episodes, episode: int) -> dict[str, float]:
    """An episode's physics as cells of a table, each headed with its unit."""
    values = zip(run.spec.features, episodes.context[episode].tolist(), strict=True)
    return {with_unit(f.title, f.unit): round(value, 3) for f, value in values}


def link_to_studio(run: Run, episodes: Episodes, episode: int, step: int) -> None:
    """A link to the counterfactuals from a record; from an episode's last record nothing can follow."""
    step = min(step, max(0, int(episodes.length[episode]) - 1))
    st.page_link(
        "pages/counterfactuals.py",
        label=f"Dream on from episode {episode}, step {step}",
        icon=":material/movie:",
        query_params={CHOSEN: name_of(run), "episode": str(episode), "t": str(step)},
    )


def describe(run: Run, episodes: Episodes, episode: int) -> str:
    """An episode's physics in units, where it lies, and who acted."""
    physics = ", ".join(
        f"{f.title} = {quantity(f, float(episodes.context[episode, i]))}" for i, f in enumerate(run.spec.features)
    )
    acted = "exploratory noise" if episodes.explored[episode] else "the policy"
    regime = str(episodes.regime[episode])
    return f"{physics} ({REGIME_TITLES.get(regime, regime)}), acted by {acted}"


def _clear(run: Run) -> None:
    st.session_state[selection_key(run)] = None
    st.session_state.pop(clicked_key(run), None)
    forget_lasso(run)


def forget_lasso(run: Run) -> None:
    """Draws the map anew with the selection that is kept: the browser forgets the lasso that it still shows."""
    st.session_state.pop(f"baked:{run.folder}", None)
    # Another key makes another chart.
    st.session_state[generation(run)] = st.session_state.get(generation(run), 0) + 1


def generation(run: Run) -> str:
    """The key under which a run's map counts how often it was made anew."""
    return f"map_generation:{run.folder}"
