"""What the code tells of the physics: estimates over time, scores of probes, associations per dimension."""

import numpy as np
import plotly.graph_objects as go

from dali.envs.spec import ContextFeature
from dali.figures.style import (
    BLUE,
    DIVERGING,
    GREY,
    ORANGE,
    PALE,
    SKY,
    VERMILION,
    add_band,
    continuous,
    layout,
    translucent,
    with_unit,
)


def estimate_over_time(
    seconds: np.ndarray,
    estimate: np.ndarray,
    error: np.ndarray,
    truth: float,
    feature: ContextFeature,
    now: float | None = None,
) -> go.Figure:
    """The probe's reading (T,) of a feature over an episode, the error (T,) usual at that time, and the truth.

    Args:
        now: a time in s to mark.
    """
    unit = "×" if feature.unit == "x" else feature.unit
    figure = go.Figure()
    usual = "± mean error on held-out contexts"
    add_band(figure, seconds, estimate - error, estimate + error, translucent(BLUE, 0.2), name=usual)
    figure.add_scatter(
        x=seconds,
        y=estimate,
        line={"color": BLUE, "width": 2},
        name="read from the code",
        customdata=error,
        hovertemplate=f"%{{x:.2f}} s: %{{y:.3g}} ± %{{customdata:.2g}} {unit}<extra></extra>",
    )
    figure.add_scatter(
        x=seconds[[0, -1]],
        y=[truth, truth],
        mode="lines",
        line={"color": VERMILION, "width": 2, "dash": "dash"},
        name="true",
        hovertemplate=f"true: %{{y:.3g}} {unit}<extra></extra>",
    )
    if now is not None:
        figure.add_vline(now, line={"color": GREY, "dash": "dot", "width": 1})
    return layout(
        figure,
        320,
        xaxis_title="time in the episode (s)",
        yaxis_title=with_unit(feature.title, unit),
    )


def probe_bars(scores: dict[str, dict[str, float | None]], names: list[str]) -> go.Figure:
    """R² of each kind of score for each feature: scores[kind][name], missing ones left out."""
    # A colour a part of the scores (inside, outside, control), its paler half for the second kind of probe.
    shades = dict(zip(scores, (BLUE, SKY, VERMILION, ORANGE, GREY, PALE), strict=False))
    figure = go.Figure()
    for kind, values in scores.items():
        heights = [values[name] for name in names]
        figure.add_bar(
            x=names,
            y=heights,
            name=kind,
            marker_color=shades[kind],
            hovertemplate=f"%{{x}}: R² %{{y:.3f}} ({kind})<extra></extra>",
        )
    lowest = min((v for part in scores.values() for v in part.values() if v is not None), default=0.0)
    axis = {"title": "R² (no unit)", "range": [max(-1.0, min(-0.3, lowest)), 1.05]}  # what is worse ends below
    return layout(figure, 320, barmode="group", yaxis=axis, xaxis_title="context feature")


def association(values: np.ndarray, names: list[str], title: str, signed: bool, dark: bool = False) -> go.Figure:
    """A heat map (Z, F) of code dimensions against features, each cell with its number."""
    limit = 1.0 if signed else max(float(values.max(initial=0.0)), 1e-9)
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=names,
            y=[f"z{i}" for i in range(len(values))],
            colorscale=DIVERGING if signed else continuous(dark),
            zmin=-limit if signed else 0.0,
            zmax=limit,
            texttemplate="%{z:.2f}",
            colorbar={"title": {"text": title, "side": "right"}, "thickness": 12},
            hovertemplate=f"%{{y}}, %{{x}}: {title} %{{z:.3f}}<extra></extra>",
        )
    )
    return layout(
        figure, 360, "above", yaxis={"autorange": "reversed", "title": "code dimension"}, xaxis_title="context feature"
    )


def effects(decodability: np.ndarray, auc: np.ndarray, low: np.ndarray, high: np.ndarray, label: str) -> go.Figure:
    """Per code dimension: what it tells of the physics beside what moving it does to dreams.

    Args:
        decodability: (Z,) in [0, 1], named by `label`. auc, low, high: (Z,) of the plausibility test with its interval.
    """
    dims = [f"z{i}" for i in range(len(auc))]
    figure = go.Figure()
    figure.add_bar(
        x=dims,
        y=decodability,
        name=label,
        marker_color=BLUE,
        offsetgroup="told",
        hovertemplate=f"%{{x}}: %{{y:.2f}} ({label})<extra></extra>",
    )
    figure.add_bar(
        x=dims,
        y=auc,
        name="plausibility AUC of its dreams",
        marker_color=ORANGE,
        offsetgroup="done",
        error_y={"type": "data", "array": high - auc, "arrayminus": auc - low, "color": GREY},
        customdata=np.stack([low, high], 1),
        hovertemplate="%{x}: AUC %{y:.2f} (95 % %{customdata[0]:.2f} to %{customdata[1]:.2f})<extra></extra>",
    )
    figure.add_hline(0.5, line={"color": GREY, "dash": "dot"}, annotation={"text": "chance", "x": 0, "xanchor": "left"})
    scores = {"title": "score (no unit)", "range": [0, 1.05]}
    return layout(figure, 360, barmode="group", xaxis_title="code dimension", yaxis=scores)
