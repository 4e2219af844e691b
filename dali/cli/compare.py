"""``python -m dali compare``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dali.errors import DaliError

if TYPE_CHECKING:
    from dali.config import RunConfig
    from dali.returns.comparison import Comparison
    from dali.returns.estimators import Estimate
    from dali.returns.play import Evaluation

    Runs = dict[str, list[tuple[int, Evaluation]]]  # by method: training seed and evaluation


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Checkpoint folders, such as checkpoints/pendulum-*.")],
    baseline: Annotated[str, typer.Option(help="Method that the others are held against.")] = "dreamer_dr",
    returns: Annotated[bool, typer.Option("--returns", help="Returns instead of normalised scores.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Tables in Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All figures as JSON.")] = False,
) -> None:
    """Compare methods over seeds and held-out physics, from the eval.json that `evaluate` left in each folder.

    Only runs that differ in method and seed alone stand in one table; others get tables of their own.
    """
    from dali.envs import catalogue
    from dali.errors import unknown_name
    from dali.methods import METHODS
    from dali.runs.folder import load_config

    if markdown and as_json:
        raise DaliError("Give --markdown or --json, not both.")
    if baseline not in METHODS:
        raise unknown_name("method", baseline, METHODS)
    configs = [load_config(run) for run in runs]
    from dali.returns.comparison import compare_methods, setting, setting_text
    from dali.runs.scores import load_evaluation

    alike: dict[RunConfig, Runs] = {}
    for run, config in zip(runs, configs, strict=True):
        group = alike.setdefault(setting(config), {})
        group.setdefault(config.method_name, []).append((config.seed, load_evaluation(run)))
    records, texts = [], []
    for config, group in alike.items():
        found = compare_methods(catalogue.spec(config.env), group, baseline, normalised=not returns)
        records.append({"setting": setting_text(config), **found.to_dict()})
        texts.append(f"{catalogue.spec(config.env).title}: {setting_text(config)}\n\n{render(found, markdown)}")
    typer.echo(json.dumps(records, indent=1) if as_json else "\n\n".join(texts))


def render(found: "Comparison", markdown: bool) -> str:
    """Both tables and what their figures are, as text or Markdown."""
    from dali.methods import METHODS

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


def _explanation(found: "Comparison") -> str:
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


def _cell(estimate: "Estimate", digits: int) -> str:
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
