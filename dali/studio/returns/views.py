"""The views of the generalisation page."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from dali.envs.catalogue import folder_name
from dali.envs.spec import EnvSpec
from dali.envs.units import MISSING
from dali.export.latex import booktabs
from dali.export.tables import csv_text
from dali.figures import generalization as figures
from dali.methods import METHODS
from dali.returns.comparison import ALL, Versus, against, improvement, regime_masks, sentence
from dali.returns.estimators import Estimate, aggregate, context_means, performance_profile, resampling
from dali.returns.reference import paper_figures
from dali.returns.scoring import NORMALISED, Scores, single_grid
from dali.studio.loaders import Run
from dali.studio.style import download

THRESHOLDS = 101


def chart(figure: go.Figure, key: str, **options: Any) -> None:
    """A chart whose camera button saves in the chosen format."""
    form = st.session_state.get("figure_format", "SVG").lower()
    config = {
        "displaylogo": False,
        "displayModeBar": True,
        "modeBarButtons": [["toImage"]],
        "toImageButtonOptions": {"format": form, "filename": f"dali-{key}"},
    }
    st.plotly_chart(figure, key=f"generalization:{key}", config=config, **options)


def first_of(scores: dict[str, Scores]) -> Scores:
    """The scores of any method: contexts, measure and random policy are the same for all."""
    return next(iter(scores.values()))


def digits_of(scores: Scores) -> int:
    """Decimals that a score or a return is told with."""
    return 2 if scores.measure == NORMALISED else 0


def versus(scores: dict[str, Scores], seeds: dict[str, tuple[int, ...]], method: str, other: str) -> dict[str, Versus]:
    """How sure the difference of two methods is, by regime; kept between reruns, since it is drawn many times."""
    x, y = scores[method], scores[other]
    return _versus(x.runs, seeds[method], y.runs, seeds[other], x.contexts, x, y)


@st.cache_data(max_entries=64, show_spinner=False)
def _versus(
    x: np.ndarray,
    seeds: tuple[int, ...],
    y: np.ndarray,
    others: tuple[int, ...],
    contexts: np.ndarray,
    _x: Scores,
    _y: Scores,
) -> dict[str, Versus]:
    return against(_x, seeds, _y, others)


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
        | {r: e.text(digits_of(first), ",") for r, e in regimes.items()}
        | ({"Optimality gap": gaps[name].text(digits_of(first), ",")} if gaps else {})
        for name, regimes in found.items()
    ]
    rows.append(
        {
            "Method": "random policy",
            "Context": MISSING,
            "Runs": MISSING,
            **{r: e.text(digits_of(first), ",") for r, e in random.items()},
        }
        | ({"Optimality gap": MISSING} if gaps else {})
    )
    st.dataframe(rows, hide_index=True)
    st.caption(
        _interval_text(scores)
        + (" Optimality gap: mean shortfall from 1 over all contexts; 0 is best." if gaps else "")
    )
    estimates = {name: regimes | ({"optimality gap": gaps[name]} if gaps else {}) for name, regimes in found.items()}
    name = f"{folder_name(spec.name)}-regimes"
    caption = f"{spec.title}: interquartile mean of the {first.measure} by regime. {_interval_text(scores)}"
    latex = booktabs(list(rows[0]), [[*row.values()] for row in rows], caption, f"tab:{name}")
    with st.container(horizontal=True):
        download("Table as CSV", estimates_csv(estimates, scores), f"{name}.csv", "text/csv")
        download("Table for LaTeX", latex, f"{name}.tex", "application/x-tex")


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


def show_difference(scores: dict[str, Scores], seeds: dict[str, tuple[int, ...]]) -> None:
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
    st.markdown(sentence(_title(first), _title(second), versus(scores, seeds, first, second), digits_of(x)))
    wins = improvement(x, y)
    if wins:
        chart(figures.improvement(wins, first, second), "improvement")
        st.caption(
            f"The chance that a run of {_title(first)} beats one of {_title(second)} in the same context; at 0.5 "
            f"neither is better. 95 % bootstrap intervals over {wins[ALL].resampled}."
        )


def show_paper(spec: EnvSpec) -> None:
    """The paper's reported figures, apart from ours."""
    reported = paper_figures()
    environments = [name for name in reported if not name.startswith("_") and name not in ("methods", "cost")]
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
    names = [f"{f.name} ({f.unit})" for f in spec.features]
    rows = [[*names, "regime", "grid", "method", "run", "seed", first_of(scores).measure, "random policy"]]
    for method, found in scores.items():
        for run, row in zip(runs[method], found.runs, strict=True):
            for i, context in enumerate(found.contexts.tolist()):
                labels = [found.regimes[i], found.grids[i], method, run.name, run.config.seed]
                rows.append([*context, *labels, f"{row[i]:.6g}", f"{found.random[i]:.6g}"])
    return csv_text(rows)


def estimates_csv(estimates: dict[str, dict[str, Estimate]], scores: dict[str, Scores]) -> str:
    """Estimates by method and regime with the ends of their intervals, one row each."""
    rows: list[list[Any]] = [["method", "runs", "contexts", first_of(scores).measure, "low", "high", "interval over"]]
    for method, row in estimates.items():
        for regime, e in row.items():
            numbers = [f"{x:.6g}" for x in (e.value, e.low, e.high)]
            rows.append([method, len(scores[method].runs), regime, *numbers, e.resampled])
    return csv_text(rows)


def _interval_text(scores: dict[str, Scores]) -> str:
    single = [_title(name) for name, s in scores.items() if len(s.runs) == 1]
    text = "95 % bootstrap intervals over runs, stratified by context; with few runs they are too narrow."
    if single:
        text += f" {', '.join(single)}: one run, so over contexts, which says nothing about other seeds."
    return text


def _title(method: str) -> str:
    return METHODS[method].title


def _plain(name: str) -> str:
    return name.replace("_", " ")
