"""Probes and dimensions: how well the physics can be read from the code, and where in it."""

from pathlib import Path
from typing import Any

import streamlit as st

from dali.codes.disentanglement import Disentanglement, Score, verdicts
from dali.codes.probes import ProbeEvaluation, ProbeKind, evaluate_probe
from dali.codes.settled import informative, mean_codes
from dali.envs.units import quantity
from dali.episodes import Episodes
from dali.figures import probes as figures
from dali.runs.artifacts import EPISODES_FILE
from dali.runs.dimensions import load_dimensions, make_dimensions
from dali.runs.folder import analysis_command
from dali.studio.loaders import Run, Stamp, load_analysis, stamp
from dali.studio.style import dark_theme, number, recomputed_by, shown_path

SHORT_TITLES: dict[ProbeKind, str] = {"ridge": "ridge", "mlp": "MLP"}
KIND_TITLES: dict[ProbeKind, str] = {"ridge": "ridge (linear)", "mlp": "MLP (32 hidden units)"}


def feature_names(run: Run) -> tuple[str, ...]:
    return tuple(f.name for f in run.spec.features)


def load_probe(run: Run, episodes: Episodes, kind: ProbeKind) -> ProbeEvaluation:
    """The scores of a probe on informative episodes: fitted on training contexts, judged on held-out ones."""
    return _evaluate(stamp(run.folder, EPISODES_FILE), kind, feature_names(run), episodes)


def load_disentanglement(run: Run, episodes: Episodes) -> Disentanglement:
    """Associations and summary scores of mean codes, over all contexts of the episodes."""
    return _measure(stamp(run.folder, EPISODES_FILE), feature_names(run), episodes)


def show_summary(run: Run, episodes: Episodes) -> None:
    """The linear probe's scores, in one line."""
    linear = load_probe(run, episodes, "ridge")
    parts = []
    for feature in run.spec.features:
        score = linear.factor(feature.name)
        parts.append(f"**{feature.label}** R² {number(score.r2_inside)} (± {quantity(feature, score.mae_inside)})")
    st.markdown("Linear probe on exploratory episodes of contexts never trained on: " + " · ".join(parts))


def show_verdicts(run: Run, episodes: Episodes) -> None:
    """One plain sentence a feature."""
    linear, nonlinear = (load_probe(run, episodes, kind) for kind in KIND_TITLES)
    labels = tuple(feature.label for feature in run.spec.features)
    for sentence in verdicts(load_disentanglement(run, episodes), linear, nonlinear, labels):
        st.markdown(f"- {sentence}")


def show_probes(run: Run, episodes: Episodes) -> None:
    """R² and errors in units of both probes, inside and outside the train range, beside the shuffled control."""
    scored = {kind: load_probe(run, episodes, kind) for kind in KIND_TITLES}
    titles = {feature.name: feature.title for feature in run.spec.features}
    parts = (("inside", "r2_inside"), ("outside", "r2_outside"), ("shuffled control", "r2_shuffled"))
    bars: dict[str, dict[str, float | None]] = {
        f"{SHORT_TITLES[kind]}, {part}": {titles[f.name]: getattr(f, field) for f in evaluation.factors}
        for part, field in parts
        for kind, evaluation in scored.items()
    }
    st.dataframe(probe_table(run, scored), hide_index=True)
    st.plotly_chart(figures.probe_bars(bars, list(titles.values())), key="probe_bars")
    linear = scored["ridge"]
    st.caption(
        f"Fitted on the mean codes of {linear.contexts_fitted} training contexts; judged on contexts never trained on, "
        f"inside the train range and on {linear.contexts_outside} outside it. In brackets the 95 % interval, contexts "
        "drawn with replacement. The control is the same procedure with contexts shuffled, and should be about 0."
    )
    record = load_analysis(run)
    recomputed_by(analysis_command(shown_path(run.folder), record["summary"] if record else None))


def probe_table(run: Run, scored: dict[ProbeKind, ProbeEvaluation]) -> list[dict[str, Any]]:
    """One row a feature and kind of probe."""
    rows = []
    for feature in run.spec.features:
        for kind, evaluation in scored.items():
            score = evaluation.factor(feature.name)
            low_high = f" ({score.r2_interval[0]:.2f} to {score.r2_interval[1]:.2f})" if score.r2_interval else ""
            rows.append(
                {
                    "Feature": f"{feature.title}",
                    "Probe": KIND_TITLES[kind],
                    "R² inside": number(score.r2_inside) + low_high,
                    "R² outside": number(score.r2_outside),
                    "R² shuffled": number(score.r2_shuffled),
                    "Error inside": f"± {quantity(feature, score.mae_inside)}",
                    "Error outside": f"± {quantity(feature, score.mae_outside)}",
                }
            )
    return rows


def show_associations(run: Run, episodes: Episodes) -> None:
    """Which dimension goes with which feature, and the summary scores."""
    measured = load_disentanglement(run, episodes)
    names = [f"{f.title}" for f in run.spec.features]
    left, right = st.columns(2)
    left.plotly_chart(figures.association(measured.spearman, names, "Spearman's ρ", signed=True), key="spearman")
    information = measured.mutual_information
    right.plotly_chart(
        figures.association(information, names, "mutual information (nats)", False, dark_theme()), key="information"
    )
    st.dataframe([_score_row(n, getattr(measured, a), t) for n, a, t in SCORES], hide_index=True)
    st.caption(
        f"Over {measured.contexts} contexts, 95 % intervals by bootstrap over contexts. Mutual information: in "
        f"{measured.bins} equal bins, at most {measured.entropy.max():.2f} nats. Low DCI, MIG or SAP beside "
        "a high probe R² means that the physics is spread over dimensions, not that it is absent."
    )


SCORES = (
    ("DCI disentanglement", "disentanglement", "a dimension serves one feature"),
    ("DCI completeness", "completeness", "a feature uses one dimension"),
    ("DCI informativeness", "informativeness", "out-of-bag R² of forests"),
    ("MIG", "mig", "gap of mutual information"),
    ("SAP", "sap", "gap of single-dimension R²"),
)


def _score_row(name: str, score: Score, meaning: str) -> dict[str, str]:
    return {"Score": name, "Value": f"{score.value:.2f} ({score.low:.2f} to {score.high:.2f})", "1 means": meaning}


@st.cache_resource(max_entries=16, show_spinner="Fitting probes …")
def _evaluate(files: Stamp, kind: ProbeKind, names: tuple[str, ...], _episodes: Episodes) -> ProbeEvaluation:
    episodes = informative(_episodes)  # as in `python -m dali analyse`, so that the two agree
    inside = episodes.regime == "interpolation"
    codes = mean_codes(episodes)
    return evaluate_probe(codes, episodes.context, episodes.group, episodes.regime, inside, kind, names)


@st.cache_resource(max_entries=8, show_spinner="Measuring which dimension tells what (some seconds, once) …")
def _measure(files: Stamp, names: tuple[str, ...], _episodes: Episodes) -> Disentanglement:
    folder = Path(files[0][0]).parent
    return load_dimensions(folder, _episodes) or make_dimensions(folder, _episodes, names)
