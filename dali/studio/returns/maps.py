"""Maps of scores over the physics: differences from a method, cells that tell of themselves and open an episode."""

from functools import partial

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dali.errors import DaliError
from dali.figures import generalization as figures
from dali.figures.style import DIVERGING, Scale, continuous
from dali.files.text import markdown
from dali.methods import METHODS
from dali.returns.comparison import sentence
from dali.returns.scoring import Scores
from dali.studio.loaders import CHOSEN, Run, load_episodes, name_of
from dali.studio.recording import recorded_episodes
from dali.studio.returns.views import chart, digits_of, first_of, versus
from dali.studio.style import dark_theme, number

MAP_WIDTH = 388  # px: two beside each other on a wide screen, one on a narrow one
CLICKED = "generalization_clicked"  # (method, context) of the last click on a map
BASELINE = "dreamer_dr"  # what differences are taken from at first: the method that knows nothing of the physics
SCORES = "scores"
# The details of a cell stay in sight while maps scroll by, where they stand beside them; where there is no room for
# that, whatever the sidebar takes, they stand above.
_LAYOUT = """
@media (min-width: 641px) {.st-key-cell_details {position: sticky; top: 4rem}}
:has(> .st-key-maps_desk) {container-type: inline-size}
@container (max-width: 800px) {
  .st-key-maps_desk > * > [data-testid=stHorizontalBlock] {flex-direction: column-reverse}
  .st-key-maps_desk > * > [data-testid=stHorizontalBlock] > [data-testid=stColumn] {width: 100%; flex: none}
}
"""


def show_maps(run: Run, scores: dict[str, Scores], seeds: dict[str, tuple[int, ...]], controls: DeltaGenerator) -> None:
    """One map a method, differences from a method or scores; a click on a cell tells of it beside the maps.

    Args:
        seeds: of each method's runs, in the order of its scores. controls: where the choice of what is shown stands.
    """
    if run.spec.context_dim != 2:
        st.info(f"{run.spec.title} has {run.spec.context_dim} context features; a map needs two.")
        return
    names = list(scores)
    with controls:
        baseline = _choose_baseline(names)
    st.html(f"<style>{_LAYOUT}</style>")
    left, right = st.container(key="maps_desk").columns([7, 2], gap="medium")
    with left:
        if baseline is None:
            _draw_scores(run, scores)
        else:
            _draw_differences(run, scores, seeds, baseline)
        st.caption(
            "Cells are equally wide, the values along the axes are not equally spaced. Blank: not in the protocol's "
            "grid, or not evaluated. The red box is the range of training."
        )
    method, context = st.session_state.get(CLICKED, (None, None))
    index = next((i for i, c in enumerate(map(tuple, first_of(scores).contexts.tolist())) if c == context), None)
    with right, st.container(key="cell_details"):
        if method not in scores or index is None:
            st.info("Click a cell to compare the methods there, and to open an episode.", icon=":material/touch_app:")
        else:
            _show_context(run, scores, index, baseline)


def _choose_baseline(names: list[str]) -> str | None:
    """The method that differences are taken from; None for scores as they are."""
    if len(names) < 2:
        return None
    options = [*names, SCORES]
    chosen = st.selectbox(
        "Maps show",
        options,
        options.index(BASELINE) if BASELINE in options else 0,
        format_func=lambda name: SCORES if name == SCORES else f"differences from {METHODS[name].title}",
        key=f"maps_show:{','.join(names)}",
        width=300,
    )
    return None if chosen == SCORES else chosen


def _draw_scores(run: Run, scores: dict[str, Scores]) -> None:
    means = {name: found.runs.mean(0) for name, found in scores.items()}
    limits = min(m.min() for m in means.values()), max(m.max() for m in means.values())
    colours = continuous(dark_theme())
    _draw_bar(limits, first_of(scores).measure.capitalize(), colours)
    with st.container(horizontal=True):
        for name, found in scores.items():
            _draw(run, found, name, means[name], found.measure, limits, colours)


def _draw_differences(run: Run, scores: dict[str, Scores], seeds: dict[str, tuple[int, ...]], baseline: str) -> None:
    base = scores[baseline]
    differences = {name: found.runs.mean(0) - base.runs.mean(0) for name, found in scores.items() if name != baseline}
    limit = max(float(np.abs(d).max()) for d in differences.values())
    label = f"{base.measure}, less that of {METHODS[baseline].title}"
    _draw_bar((-limit, limit), f"{label[0].upper()}{label[1:]}: blue is better, red is worse", DIVERGING)
    above = st.empty()
    with st.container(horizontal=True):
        for name, difference in differences.items():
            _draw(run, scores[name], name, difference, label, (-limit, limit), DIVERGING)
    below = st.empty()
    # The intervals are drawn anew thousands of times, which takes seconds at first; the maps do not wait for them.
    with below, st.spinner("Drawing intervals …", show_time=False):
        told = {name: versus(scores, seeds, name, baseline) for name in differences}
    lines = {
        name: sentence(METHODS[name].title, METHODS[baseline].title, found, digits_of(base))
        for name, found in told.items()
    }
    below.markdown("\n".join(f"- {line}" for name, line in lines.items() if name != run.config.method_name))
    if run.config.method_name in lines:
        above.markdown(f"**{lines[run.config.method_name]}**")


def _draw_bar(limits: tuple[float, float], title: str, colours: Scale) -> None:
    st.markdown(title)  # a figure's own title would be cut where the page is narrow
    st.plotly_chart(figures.colour_bar(limits, colours), key="maps_bar", config={"displayModeBar": False})


def _draw(
    run: Run,
    found: Scores,
    name: str,
    values: np.ndarray,
    label: str,
    limits: tuple[float, float],
    colours: Scale,
) -> None:
    with st.container(width=MAP_WIDTH):
        runs = "1 run" if len(found.runs) == 1 else f"mean of {len(found.runs)} runs"
        st.markdown(f"**{METHODS[name].title}** · {runs}")
        chart(
            figures.heat_map(run.spec, found.contexts, values, label, limits, colours),
            f"map-{name}",
            on_select=partial(_keep_click, name, found.contexts),
            selection_mode="points",
        )


def _keep_click(method: str, contexts: np.ndarray) -> None:
    """Keeps the cell clicked last, of whichever map; restyling empties a chart's own selection."""
    points = st.session_state[f"generalization:map-{method}"].selection.points
    if points:
        st.session_state[CLICKED] = method, tuple(contexts[points[0]["point_index"]].tolist())


def _show_context(run: Run, scores: dict[str, Scores], index: int, baseline: str | None) -> None:
    """One context's scores, and the way to an episode of the chosen run recorded at or near it."""
    first = first_of(scores)
    context, digits = first.contexts[index], digits_of(first)
    named = ", ".join(f"{f.label} {v:g} {f.unit}" for f, v in zip(run.spec.features, context, strict=True))
    st.markdown(f"**{named}** ({first.regimes[index]})")
    base = scores[baseline].runs[:, index].mean() if baseline else None
    rows = []
    for name, found in scores.items():
        score = float(found.runs[:, index].mean())
        rows.append({"Method": METHODS[name].title, first.measure.capitalize(): round(score, digits)})
        if base is not None:
            rows[-1]["Difference"] = round(score - float(base), digits) + 0.0
    rows.append({"Method": "random policy", first.measure.capitalize(): round(float(first.random[index]), digits)})
    st.dataframe(rows, hide_index=True)
    asked = {f.name: f"{v:g}" for f, v in zip(run.spec.features, context.tolist(), strict=True)}
    try:
        if run.config.method.infers_context and recorded_episodes(run) is None:
            return
        episode, which = _nearest_episode(run, context)
        asked["episode"] = str(episode)
    except DaliError as error:
        if run.config.method.infers_context:
            st.info(markdown(error), icon=":material/info:")
            return
        which = "an episode"  # such methods are not analysed: the page plays episodes of its own
    st.page_link(
        "pages/counterfactuals.py",
        label=f"Open {name_of(run)} there: {which}, dreamed on under {named}",
        icon=":material/movie:",
        query_params={CHOSEN: name_of(run), **asked},
    )


def _nearest_episode(run: Run, context: np.ndarray) -> tuple[int, str]:
    """The recorded episode of the policy whose physics is nearest to (F,), each feature in units of its range.

    Raises:
        CheckpointError: none are recorded.
    """
    episodes = load_episodes(run)
    low, high = np.array([f.limits for f in run.spec.features]).T
    distance = np.linalg.norm((episodes.context - context) / (high - low), axis=1) + 10.0 * episodes.explored
    episode = int(distance.argmin())
    near = zip(run.spec.features, episodes.context[episode], strict=True)
    return episode, f"its nearest recorded episode ({', '.join(f'{f.label} {number(v, 2, f.unit)}' for f, v in near)})"
