"""Which physics policies react to: changes of the action, and returns lost, a row a run with its intervals."""

from collections.abc import Sequence

import plotly.graph_objects as go

from dali.envs.spec import ContextFeature
from dali.figures.generalization import METHOD_COLOURS
from dali.figures.style import BLUE, GREEN, GREY, ORANGE, PINK, error_bars, layout
from dali.returns.estimators import Estimate
from dali.returns.sensitivity import Reaction

ROW, FRAME = 24, 110  # px: a run, and what stands around all of them
# Changes of the context: colour and mark.
CHANGES = {
    "frozen": (GREY, "square"),
    "shuffled": (BLUE, "circle"),
    "delayed by 5": (ORANGE, "triangle-up"),
    "delayed by 25": (PINK, "triangle-down"),
}
OTHER = (GREEN, "diamond")

Rows = Sequence[tuple[str, str, Reaction]]  # method, what the run is called, what was measured


def action_changes(rows: Rows, index: int, feature: ContextFeature) -> go.Figure:
    """How far actions move with one feature, and with random moves as long, by run."""
    figure = go.Figure()
    names = [name for _, name, _ in rows]
    found = [reaction.features[index] for _, _, reaction in rows]
    colours = [METHOD_COLOURS[method] for method, _, _ in rows]
    _add(figure, names, [f.random for f in found], "random directions", GREY, "line-ns-open")
    _add(figure, names, [f.action for f in found], f"{feature.label} moved", colours, "circle")
    return _finish(figure, len(rows), "change of the action")


def returns_lost(rows: Rows, normalised: bool) -> go.Figure:
    """The return lost by each change of the context, by run.

    Args:
        normalised: as scores are (1: the way from the random policy to the reference), which all runs must have.
    """
    figure = go.Figure()
    for change in dict.fromkeys(lost.change for _, _, reaction in rows for lost in reaction.lost):
        names, estimates = [], []
        for _, name, reaction in rows:
            for lost in reaction.lost:
                estimate = lost.normalised if normalised else lost.lost
                if lost.change == change and estimate is not None:
                    names.append(name)
                    estimates.append(estimate)
        colour, mark = CHANGES.get(change, OTHER)
        _add(figure, names, estimates, f"context {change}", colour, mark)
    figure.add_vline(0.0, line={"color": GREY, "dash": "dot"})
    return _finish(figure, len(rows), "normalised score lost" if normalised else "return lost")


def _add(
    figure: go.Figure, names: list[str], estimates: Sequence[Estimate], label: str, colour: str | list[str], mark: str
) -> None:
    figure.add_scatter(
        x=[e.value for e in estimates],
        y=names,
        mode="markers",
        name=label,
        marker={"color": colour, "size": 11, "symbol": mark, "line": {"width": 2}},
        error_x=error_bars(estimates, GREY),
        customdata=[[e.low, e.high] for e in estimates],
        hovertemplate="%{y}: %{x:.3g} (95 % %{customdata[0]:.3g} to %{customdata[1]:.3g})<extra>" + label + "</extra>",
    )


def _finish(figure: go.Figure, rows: int, title: str) -> go.Figure:
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(title={"text": title})
    return layout(figure, FRAME + ROW * rows)
