"""A comparison of methods as tables for people, in plain text or Markdown."""

from dali.methods import METHODS
from dali.returns.comparison import Comparison
from dali.returns.estimators import Estimate


def render(found: Comparison, markdown: bool) -> str:
    """Both tables and what their figures are, as text or Markdown."""
    regimes = list(found.contexts)
    digits = 2 if found.reference else 0
    counted = [f"{r} ({n})" for r, n in found.contexts.items()]
    rows = []
    for row in found.rows:
        cells = [_cell(row.iqm[r], digits) for r in regimes]
        gap = [_cell(row.gap, digits)] if row.gap else []
        rows.append([METHODS[row.method].title, METHODS[row.method].source, _seeds(row.seeds), *cells, *gap])
    gap_title = ["optimality gap"] if found.rows[0].gap else []
    rows.append(
        ["random policy", "-", "-", *(_number(found.random[r], digits) for r in regimes), *("-" for _ in gap_title)]
    )
    parts = [_table(["method", "context", "seeds", *counted, *gap_title], rows, markdown), _explanation(found)]
    if found.baseline:
        title = METHODS[found.baseline].title
        better = [
            [f"P({METHODS[row.method].title} > {title})", *(_cell(row.better[r], 2) for r in regimes)]
            for row in found.rows
            if row.better
        ]
        if better:
            parts += [
                _table(["probability of improvement", *regimes], better, markdown),
                f"The chance that a run of the one method beats a run of {title} in the same context; 0.5: neither is "
                "better.",
            ]
    return "\n\n".join(parts)


def _explanation(found: Comparison) -> str:
    few, many = found.episodes
    episodes = f"{few}" if few == many else f"{few} to {many}"
    scale = f" (0: random policy; 1: {found.reference})" if found.reference else ""
    text = (
        f"{found.measure[0].upper()}{found.measure[1:]}{scale}, interquartile mean over runs and contexts, "
        f"{episodes} episodes a context, on contexts that all runs share; in brackets their number. 95 % bootstrap "
        "intervals over runs, stratified by context"
    )
    if any(e.resampled == "contexts" for row in found.rows for e in (*row.iqm.values(), *row.better.values())):
        text += "; * over contexts, since there is one run: it says nothing about other seeds"
    return f"{text}. With few runs such intervals are too narrow."


def _cell(estimate: Estimate, digits: int) -> str:
    star = "*" if estimate.resampled == "contexts" else ""
    value, low, high = (_number(x, digits) for x in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]{star}"


def _number(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}"  # never "-0.00"


def _seeds(seeds: tuple[int, ...]) -> str:
    return f"{len(seeds)} ({', '.join(map(str, seeds))})"


def _table(head: list[str], rows: list[list[str]], markdown: bool) -> str:
    if markdown:
        escaped = [[cell.replace("*", "\\*") for cell in row] for row in rows]
        return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *escaped))
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in (head, *rows))
