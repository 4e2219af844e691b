"""``python -m dali compare``."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dali.errors import DaliError, unknown_name

if TYPE_CHECKING:
    from dali.config import RunConfig
    from dali.returns.evaluation import Evaluation

    Runs = dict[str, list[tuple[int, Evaluation]]]  # by method: training seed and evaluation


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Checkpoint folders, such as checkpoints/pendulum-*.")],
    baseline: Annotated[str, typer.Option(help="Method that the others are held against.")] = "dreamer_dr",
    returns: Annotated[bool, typer.Option("--returns", help="Returns instead of normalised scores.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Tables in Markdown.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Tables for LaTeX, with booktabs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All figures as JSON.")] = False,
) -> None:
    """Compare methods over seeds and held-out physics, from the eval.json that `evaluate` left in each folder, and
    with what they do without memory where there is an eval-no-memory.json.

    Only runs that differ in method and seed alone stand in one table; others get tables of their own.
    """
    from dali.envs import catalogue
    from dali.methods import METHODS
    from dali.runs.folder import load_config

    if markdown + latex + as_json > 1:
        raise DaliError("Give one of --markdown, --latex and --json.")
    if baseline not in METHODS:
        raise unknown_name("method", baseline, METHODS)
    configs = [load_config(run) for run in runs]
    from dali.export.comparison import render, render_latex, render_memory
    from dali.returns.comparison import compare_methods, setting, setting_text
    from dali.returns.memory import memory_rows
    from dali.runs.scores import FILES, load_evaluation

    alike: dict[RunConfig, tuple[Runs, Runs]] = {}
    for run, config in zip(runs, configs, strict=True):
        kept, none = alike.setdefault(setting(config), ({}, {}))
        kept.setdefault(config.method_name, []).append((config.seed, load_evaluation(run)))
        if (run / FILES["none"]).exists():
            none.setdefault(config.method_name, []).append((config.seed, load_evaluation(run, "none")))
    records, texts = [], []
    for config, (kept, none) in alike.items():
        spec = catalogue.spec(config.env)
        found = compare_methods(spec, kept, baseline, normalised=not returns)
        memory = memory_rows(spec, kept, none, normalised=not returns)
        records.append({"setting": setting_text(config), **asdict(found), "memory": [asdict(row) for row in memory]})
        if latex:
            texts.append(render_latex(found, f"tab:{config.env}"))
            continue
        tables = [render(found, markdown), render_memory(memory, found.measure, markdown)]
        texts.append("\n\n".join([f"{spec.title}: {setting_text(config)}", *filter(None, tables)]))
    typer.echo(json.dumps(records, indent=1) if as_json else "\n\n".join(texts))
