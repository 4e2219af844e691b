"""The views of the generalisation page."""

import csv
import io
from functools import partial

import numpy as np
import streamlit as st

from dali.envs.spec import EnvSpec
from dali.errors import DaliError
from dali.figures import generalization as figures
from dali.figures.style import DIVERGING
from dali.methods import METHODS
from dali.returns.comparison import ALL, improvement, regime_masks
from dali.returns.estimators import Estimate, aggregate, context_means, performance_profile, resampling
from dali.returns.reference import paper_figures
from dali.returns.scoring import NORMALISED, Scores, single_grid
from dali.studio.loaders import Run, load_episodes
from dali.studio.recording import recorded_episodes
from dali.studio.style import MISSING, number

THRESHOLDS = 101
MAP_WIDTH, MAP_HEIGHT = 500, 440  # px: two beside each other on a wide screen, one on a narrow one
CLICKED = "generalization_clicked"  # (method, context) of the last click on a map


def chart(figure, key: str, **options):
    """A chart whose camera button saves in the chosen format."""
    form = st.session_state.get("figure_format", "SVG").lower()
    config = {
        "displaylogo": False,
        "displayModeBar": True,
        "modeBarButtons": [["toImage"]],
        "toImageButtonOptions": {"format": form, "filename": f"dali-{key}"},
    }
    return st.plotly_chart(figure, key=f"generalization:{key}", config=config, **options)


def show_heat_maps(run: Run, scores: dict[str, Scores], owners: dict[str, Run]) -> None:
    """One map a method; a click tells of that context, above the maps.

    Args:
        owners: the run of each method whose episodes are opened.
    """
    if run.spec.context_dim != 2:
        st.info(f"{run.spec.title} has {run.spec.context_dim} context features; a map needs two.")
        return
    above = st.container()
    place = st.container(horizontal=True)
    means = {name: found.runs.mean(0) for name, found in scores.items()}
    limits = min(m.min() for m in means.values()), max(m.max() for m in means.values())
    for name, found in scores.items():
        with place.container(width=MAP_WIDTH if len(scores) > 1 else "stretch"):
            st.markdown(f"**{METHODS[name].title}** · {_runs(found)}")
            chart(
                figures.heat_map(run.spec, found.contexts, means[name], found.measure, limits, height=MAP_HEIGHT),
                f"map-{name}",
                on_select=partial(_keep_click, name, found.contexts),
                selection_mode="points",
            )
    st.caption(
        "Cells are equally wide, the values along the axes are not equally spaced. Blank: not in the protocol's grid, "
        "or not evaluated. The red box is the range of training."
    )
    method, context = st.session_state.get(CLICKED, (None, None))
    index = next((i for i, c in enumerate(map(tuple, first_of(scores).contexts.tolist())) if c == context), None)
    with above:
        if method not in scores or index is None:
            st.markdown("Click a cell to compare the methods there, and to open an episode.")
        else:
            _show_context(owners[method], scores, index)


def first_of(scores: dict[str, Scores]) -> Scores:
    """The scores of any method: contexts, measure and random policy are the same for all."""
    return next(iter(scores.values()))


def _keep_click(method: str, contexts: np.ndarray) -> None:
    """Keeps the cell clicked last, of whichever map; restyling empties a chart's own selection."""
    points = st.session_state[f"generalization:map-{method}"].selection.points
    if points:
        st.session_state[CLICKED] = method, tuple(contexts[points[0]["point_index"]].tolist())


def show_curves(run: Run, scores: dict[str, Scores]) -> None:
    """Score over each feature alone."""
    for i, feature in enumerate(run.spec.features):
        first = first_of(scores)
        rows = single_grid(run.spec, first.contexts, i)
        if len(rows) < 2:
            st.info(f"Fewer than two contexts that differ in {feature.label} alone were evaluated.")
            continue
        means = {name: context_means(found.runs[:, rows]) for name, found in scores.items()}
        chart(
            figures.curves(feature, first.contexts[rows, i], means, first.random[rows], first.measure),
            f"curve-{feature.name}",
        )
    st.caption(
        "The other feature stands at its default. Bands: 95 % bootstrap interval of the mean over runs; a method with "
        "one run has none."
    )


def show_regimes(spec: EnvSpec, scores: dict[str, Scores]) -> None:
    """Interquartile means by regime, as bars and as a table."""
    first, masks = first_of(scores), regime_masks(first_of(scores))
    if not masks:
        st.info("Too few contexts were evaluated for any regime.")
        return
    found = {
        name: {r: aggregate(s.runs[:, m], ("iqm",), resampling(s.runs))["iqm"] for r, m in masks.items()}
        for name, s in scores.items()
    }
    random = {r: aggregate(first.random[None, m], ("iqm",), "contexts")["iqm"] for r, m in masks.items()}
    chart(figures.regime_bars(found, {r: int(m.sum()) for r, m in masks.items()}, first.measure), "regimes")
    gaps = {}
    if first.measure == NORMALISED:
        gaps = {
            name: aggregate(s.runs, ("optimality_gap",), resampling(s.runs))["optimality_gap"]
            for name, s in scores.items()
        }
    rows: list[dict[str, str]] = [
        {"Method": METHODS[name].title, "Context": METHODS[name].source, "Runs": str(len(scores[name].runs))}
        | {r: _interval(e, first.measure) for r, e in regimes.items()}
        | ({"Optimality gap": _interval(gaps[name], first.measure)} if gaps else {})
        for name, regimes in found.items()
    ]
    rows.append(
        {
            "Method": "random policy",
            "Context": MISSING,
            "Runs": MISSING,
            **{r: _interval(e, first.measure) for r, e in random.items()},
        }
        | ({"Optimality gap": MISSING} if gaps else {})
    )
    st.dataframe(rows, hide_index=True)
    st.caption(
        _interval_text(scores)
        + (" Optimality gap: mean shortfall from 1 over all contexts; 0 is best." if gaps else "")
    )
    estimates = {name: regimes | ({"optimality gap": gaps[name]} if gaps else {}) for name, regimes in found.items()}
    st.download_button("Table as CSV", estimates_csv(estimates, scores), f"{spec.name}-regimes.csv", "text/csv",
                       on_click="ignore", icon=":material/download:")  # fmt: skip


def show_profiles(scores: dict[str, Scores]) -> None:
    """Performance profiles over all contexts."""
    measure = first_of(scores).measure
    values = np.concatenate([s.runs.ravel() for s in scores.values()])
    lowest = min(values.min(), 0.0) if measure == NORMALISED else values.min()
    thresholds = np.linspace(lowest, values.max(), THRESHOLDS)
    found = {name: performance_profile(s.runs, thresholds, resampling(s.runs)) for name, s in scores.items()}
    chart(figures.profiles(found, measure), "profiles")
    st.caption(
        "The share of (context, run) pairs that score above each value: the higher curve is the better method. "
        + _interval_text(scores)
    )


def show_difference(run: Run, scores: dict[str, Scores]) -> None:
    """Two methods against each other."""
    if len(scores) < 2:
        st.info("Two methods are compared here, and only one was evaluated or chosen.", icon=":material/info:")
        return
    names = list(scores)
    with st.container(horizontal=True):
        first = st.selectbox("Method", names, len(names) - 1, format_func=_title, width=200, key="difference_first")
        second = st.selectbox("against", names, 0, format_func=_title, width=200, key="difference_second")
    if first == second:
        st.info("Choose two different methods.")
        return
    x, y = scores[first], scores[second]
    wins = improvement(x, y)
    if wins:
        chart(figures.improvement(wins, first, second), "improvement")
        st.caption(
            f"The chance that a run of {_title(first)} beats one of {_title(second)} in the same context; at 0.5 "
            f"neither is better. 95 % bootstrap intervals over {wins[ALL].resampled}."
        )
    if run.spec.context_dim == 2:
        difference = x.runs.mean(0) - y.runs.mean(0)
        label = f"{x.measure}, {_title(first)} less {_title(second)}"
        limit = float(np.abs(difference).max())
        chart(figures.heat_map(run.spec, x.contexts, difference, label, (-limit, limit), DIVERGING), "difference")


def show_paper(spec: EnvSpec) -> None:
    """The paper's reported figures, apart from ours."""
    reported = paper_figures()
    environments = [name for name in reported if name not in ("_source", "methods", "cost")]
    st.warning(
        "**Reported by the paper, not re-run.** Normalised there by an agent trained on each context alone, with "
        "larger networks, more steps and ten seeds: not comparable with the scores of the other views.",
        icon=":material/menu_book:",
    )
    own = spec.name.removesuffix("_friction")
    if own not in environments:
        st.info(f"The paper reports nothing on {spec.title.lower()}; these are its other environments.")
    with st.container(horizontal=True):
        start = environments.index(own) if own in environments else 0
        env = st.selectbox("Environment of the paper", environments, start, format_func=_plain, width=220)
        kinds = list(reported[env])
        kind = st.segmented_control("Observations", kinds, default=kinds[0], required=True, key=f"paper_kind_{env}")
    table = reported[env][kind]
    chart(figures.paper_bars(table, list(METHODS)), f"paper-{env}-{kind}")
    st.caption(reported["_source"])


def scores_csv(spec: EnvSpec, scores: dict[str, Scores], runs: dict[str, list[Run]]) -> str:
    """Every context's score of every run, one row each.

    Args:
        runs: of each method, in the order of its scores.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = [f"{f.name} ({f.unit})" for f in spec.features]
    writer.writerow([*names, "regime", "grid", "method", "run", "seed", first_of(scores).measure, "random policy"])
    for method, found in scores.items():
        for run, row in zip(runs[method], found.runs, strict=True):
            for i, context in enumerate(found.contexts.tolist()):
                labels = [found.regimes[i], found.grids[i], method, run.name, run.config.seed]
                writer.writerow([*context, *labels, f"{row[i]:.6g}", f"{found.random[i]:.6g}"])
    return out.getvalue()


def estimates_csv(estimates: dict[str, dict[str, Estimate]], scores: dict[str, Scores]) -> str:
    """Estimates by method and regime with the ends of their intervals, one row each."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["method", "runs", "contexts", first_of(scores).measure, "low", "high", "interval over"])
    for method, row in estimates.items():
        for regime, e in row.items():
            numbers = [f"{x:.6g}" for x in (e.value, e.low, e.high)]
            writer.writerow([method, len(scores[method].runs), regime, *numbers, e.resampled])
    return out.getvalue()


def _show_context(run: Run, scores: dict[str, Scores], index: int) -> None:
    """One context's scores, and the way to an episode recorded at or near it."""
    first = first_of(scores)
    context = first.contexts[index]
    named = ", ".join(f"{f.label} {v:g} {f.unit}" for f, v in zip(run.spec.features, context, strict=True))
    values = "; ".join(f"{_title(name)} {found.runs[:, index].mean():.3g}" for name, found in scores.items())
    st.markdown(f"**{named}** ({first.regimes[index]}). {first.measure}: {values}; random {first.random[index]:.3g}.")
    asked = {f.name: f"{v:g}" for f, v in zip(run.spec.features, context.tolist(), strict=True)}
    try:
        if run.config.method.infers_context and recorded_episodes(run) is None:
            return
        episode, which = _nearest_episode(run, context)
        asked["episode"] = str(episode)
    except DaliError as error:
        if run.config.method.infers_context:
            st.info(str(error), icon=":material/info:")
            return
        which = "an episode"  # such methods are not analysed: the page plays episodes of its own
    st.page_link(
        "pages/counterfactuals.py",
        label=f"Open {run.name} there: {which}, dreamed on under {named}",
        icon=":material/movie:",
        query_params={"run": run.name, **asked},
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


def _interval(estimate: Estimate, measure: str) -> str:
    digits = 2 if measure == NORMALISED else 0
    value, low, high = (number(x, digits) for x in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def _interval_text(scores: dict[str, Scores]) -> str:
    single = [_title(name) for name, s in scores.items() if len(s.runs) == 1]
    text = "95 % bootstrap intervals over runs, stratified by context; with few runs they are too narrow."
    if single:
        text += f" {', '.join(single)}: one run, so over contexts, which says nothing about other seeds."
    return text


def _runs(scores: Scores) -> str:
    return "1 run" if len(scores.runs) == 1 else f"mean of {len(scores.runs)} runs"


def _title(method: str) -> str:
    return METHODS[method].title


def _plain(name: str) -> str:
    return name.replace("_", " ")
