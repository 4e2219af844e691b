"""A comparison of methods as tables: what `python -m dali compare` prints and docs/results.md holds."""

from collections.abc import Sequence

from dali.envs.units import number, with_interval
from dali.export.latex import booktabs
from dali.methods import METHODS
from dali.returns.comparison import Comparison
from dali.returns.differences import Difference
from dali.returns.estimators import Estimate
from dali.returns.memory import MemoryRow
from dali.returns.scoring import NORMALISED

Table = tuple[list[str], list[list[str]], str]  # head, rows, and what its figures are


def render(found: Comparison, markdown: bool) -> str:
    """The tables and what their figures are, as text or Markdown."""
    tables = [_scores_table(found), _early_table(found), *_versus_tables(found)]
    parts = [part for head, rows, text in tables if rows for part in (_table(head, rows, markdown), text)]
    return "\n\n".join([*parts, *found.sentences])


def render_memory(rows: Sequence[MemoryRow], measure: str, markdown: bool) -> str:
    """The table of methods with and without memory, and what its figures are; of no rows, nothing."""
    if not rows:
        return ""
    head, cells, text = memory_table(rows, measure)
    return "\n\n".join([_table(head, cells, markdown), text])


def memory_table(rows: Sequence[MemoryRow], measure: str) -> Table:
    """Three lines a method: with memory, without, and the difference. Regimes that some method lacks are left out."""
    digits = 2 if measure == NORMALISED else 0
    regimes = [regime for regime in rows[0].kept if all(regime in row.kept for row in rows)]
    cells = []
    for row in rows:
        title, seeds = METHODS[row.method].title, _seeds(row.seeds)
        cells.append([title, seeds, "kept", *(_cell(row.kept[r], digits) for r in regimes)])
        cells.append([title, seeds, "none", *(_cell(row.none[r], digits) for r in regimes)])
        cells.append([title, seeds, "difference", *(_signed(row.difference[r], digits) for r in regimes)])
    text = (
        f"{measure[0].upper()}{measure[1:]} of the same runs with h and s made anew at every step (`evaluate --memory "
        "none`): what is left, the context alone told. Differences are paired by run."
    )
    return ["method", "seeds", "memory", *regimes], cells, text


def render_latex(found: Comparison, label: str = "tab:comparison") -> str:
    """The same tables for LaTeX papers, each with what its figures are as its caption; needs the package booktabs."""
    tables = [_scores_table(found), _early_table(found), *_versus_tables(found)]
    return "\n".join(
        booktabs(head, rows, text, f"{label}-{i}") for i, (head, rows, text) in enumerate(tables, 1) if rows
    )


def _scores_table(found: Comparison) -> Table:
    digits = 2 if found.reference else 0
    rows = []
    for row in found.rows:
        cells = [_cell(row.iqm[r], digits) for r in found.contexts]
        gap = [_cell(row.gap, digits)] if row.gap else []
        rows.append([METHODS[row.method].title, METHODS[row.method].source, _seeds(row.seeds), *cells, *gap])
    gap_title = ["optimality gap"] if found.rows[0].gap else []
    random = [number(found.random[r], digits) for r in found.contexts]
    rows.append(["random policy", "-", "-", *random, *("-" for _ in gap_title)])
    counted = [f"{r} ({n})" for r, n in found.contexts.items()]
    return ["method", "context", "seeds", *counted, *gap_title], rows, _explanation(found)


def _early_table(found: Comparison) -> Table:
    steps = sorted(set.intersection(*(set(row.early) for row in found.rows)))
    rows = [[METHODS[row.method].title, *(_cell(row.early[n], 1) for n in steps)] for row in found.rows]
    head = ["return of the first steps", *(f"{n} steps" for n in steps)]
    text = "How fast each method finds out: interquartile means over runs and all contexts, not normalised."
    return head, rows if steps else [], text


def _versus_tables(found: Comparison) -> list[Table]:
    """The chance to beat the baseline, and by how much."""
    if not found.baseline:
        return []
    title, others = METHODS[found.baseline].title, [row for row in found.rows if row.versus]
    chance = [
        [f"P({METHODS[row.method].title} > {title})", *(_cell(row.versus[r].improvement, 2) for r in found.contexts)]
        for row in others
    ]
    digits = 2 if found.reference else 0
    less = []
    for row in others:
        for kind in ("paired", "unpaired"):
            cells = [getattr(row.versus[r], kind) for r in found.contexts]
            if all(cells):
                seeds = " and ".join(map(str, dict.fromkeys(cells[0].seeds)))
                name = f"{METHODS[row.method].title} less {title}"
                less.append([name, kind, seeds, *(_signed(d, digits) for d in cells)])
        by_seed = [row.versus[r].paired for r in found.contexts]
        for seed in [seed for seed, _ in by_seed[0].by_seed] if by_seed[0] else []:
            values = [number(dict(d.by_seed)[seed], digits, "+") for d in by_seed if d]
            less.append([f"  seed {seed}", "", "1", *values])
    return [
        (
            ["probability of improvement", *found.contexts],
            chance,
            f"The chance that a run of the one beats one of {title} in the same context; 0.5: neither is better.",
        ),
        (
            ["difference of interquartile means", "seeds are", "seeds", *found.contexts],
            less,
            "95 % intervals over seeds (by Student's distribution) and contexts; of one seed, over contexts alone.",
        ),
    ]


def _explanation(found: Comparison) -> str:
    few, many = found.episodes
    episodes = f"{few}" if few == many else f"{few} to {many}"
    scale = f" (0: random policy; 1: {found.reference})" if found.reference else ""
    text = (
        f"{found.measure[0].upper()}{found.measure[1:]}{scale}, interquartile mean over runs and contexts, "
        f"{episodes} episodes a context, on contexts that all runs share; in brackets their number. 95 % bootstrap "
        "intervals over runs, stratified by context"
    )
    if any(e.resampled == "contexts" for row in found.rows for e in row.iqm.values()):
        text += "; * over contexts, since there is one run: it says nothing about other seeds"
    return f"{text}. With few runs such intervals are too narrow."


def _cell(estimate: Estimate, digits: int) -> str:
    return estimate.text(digits) + ("*" if estimate.resampled == "contexts" else "")


def _signed(difference: Difference, digits: int) -> str:
    return with_interval(difference.value, difference.low, difference.high, digits, "+")


def _seeds(seeds: tuple[int, ...]) -> str:
    return f"{len(seeds)} ({', '.join(map(str, seeds))})"


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, its cells as they are."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def _table(head: list[str], rows: list[list[str]], markdown: bool) -> str:
    if markdown:
        return markdown_table(head, [[cell.replace("*", "\\*") for cell in row] for row in rows])
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in (head, *rows))
