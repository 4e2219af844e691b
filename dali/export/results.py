"""The results of a folder of checkpoints as one Markdown page, from their analysis.json and eval.json alone."""

import itertools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dali.config import RunConfig
from dali.envs import catalogue
from dali.envs.contexts import evaluation_grid
from dali.envs.units import number
from dali.errors import CheckpointError
from dali.export.comparison import markdown_table, render, render_memory
from dali.methods import METHODS
from dali.returns.comparison import PLACES, compare_methods, interquartile_means, setting, setting_text
from dali.returns.differences import SEEDS_TO_TELL, verdict
from dali.returns.evaluation import Evaluation
from dali.returns.memory import memory_rows
from dali.returns.scoring import score
from dali.runs.folder import ANALYSIS_FILE, exists, list_runs
from dali.runs.run import open_run
from dali.runs.scores import FILES, load_evaluation

BASELINE = "dreamer_dr"  # that other methods are held against
NONE = "-"
_two = partial(number, missing=NONE)


@dataclass(frozen=True)
class Result:
    """What is known of a checkpoint."""

    folder: Path
    config: RunConfig
    analysis: dict[str, Any] | None
    evaluation: Evaluation | None
    without_memory: Evaluation | None


def load_results(folder: Path) -> list[Result]:
    """The results of every run in a folder, by environment, setting, method and seed.

    Raises:
        CheckpointError: there is no run, or a file cannot be read or is of other weights; says how to make it anew.
    """
    found = [_load(path) for path in list_runs(folder)]
    if not found:
        raise CheckpointError(f"There is no run in {folder}.")
    methods = list(METHODS)
    return sorted(
        found,
        key=lambda r: (
            catalogue.order(r.config.env),
            setting_text(r.config),
            methods.index(r.config.method_name),
            r.config.seed,
            r.folder.name,
        ),
    )


def _load(folder: Path) -> Result:
    run = open_run(folder)
    catalogue.spec(run.config.env)
    analysis = run.analysis()
    if analysis is not None and not run.analysis_is_current():
        raise CheckpointError(
            f"{folder / ANALYSIS_FILE} is of other weights; make it anew with: python -m dali analyse {folder}"
        )
    forgetful = load_evaluation(folder, "none") if exists(folder / FILES["none"]) else None
    return Result(folder, run.config, analysis, run.evaluation(), forgetful)


def results_page(results: Sequence[Result], command: str, where: Path | None = None) -> str:
    """The page.

    Args:
        command: what writes this page, as it is printed on it.
        where: the folder that the page is written into, for links to model cards.
    """
    parts = [
        "# Results",
        f"Written by `{command}` from the `analysis.json` and `eval.json` of each checkpoint. Model cards tell how "
        "agents were trained.",
        "## Codes and dreams",
        *_codes(results, where),
        "## Returns",
        *_returns(results, where),
        "## Zero-shot generalisation",
        *_generalisation(results),
    ]
    return "\n\n".join(parts) + "\n"


def _codes(results: Sequence[Result], where: Path | None) -> Iterator[str]:
    head = [
        "checkpoint", "engine", "factor", "probe R² inside", "outside", "shuffled labels", "steering skill, 25 steps",
        "shuffled moves", "median episode", "50 steps", "effective physics: slope", "R²", "mean error",
        "contexts, seed",
    ]  # fmt: skip
    rows = []
    for result in results:
        if result.analysis is None:
            continue
        summaries = [result.analysis["summary"]]
        if "dynamics" in result.analysis:
            summaries.append(result.analysis["dynamics"]["summary"])
        for summary, feature in itertools.product(summaries, catalogue.spec(result.config.env).features):
            rows.append([_link(result, where), *_code_cells(summary, feature.name)])
    if not rows:
        yield "No checkpoint has been analysed."
        return
    yield markdown_table(head, rows)
    yield (
        "By `python -m dali analyse RUN --contexts N --seed S`, N and S from the last column, on exploratory episodes "
        "of contexts that were never trained on. Probe: ridge regression from the code to the physics, judged on "
        "held-out contexts inside and outside the train range. Steering skill: 1 - error of the steered dream / error "
        "of the unsteered one, against the simulator at the physics asked for (1 is ideal, 0 is no use), with its 95 % "
        "interval over contexts where it was computed. Effective physics: that of the simulator's run nearest to the "
        "dream, against the physics asked for (slope and R² of 1 are ideal). Figures from few contexts are noisy."
    )


def _code_cells(summary: dict[str, Any], feature: str) -> list[str]:
    probe, steering, effective = (summary[part][feature] for part in ("probe", "steering", "effective"))
    skill = _two(steering["skill_25"])
    if interval := steering.get("skill_25_interval"):
        skill += f" [{_two(interval[0])}, {_two(interval[1])}]"
    return [
        summary.get("engine", "rssm"),
        feature,
        *(_two(probe[name]) for name in ("r2_inside", "r2_outside", "r2_control")),
        skill,
        _two(steering["control_25"]),
        _two(steering.get("skill_25_median")),
        _two(steering["skill_50"]),
        *(_two(effective[name]) for name in ("slope", "r2")),
        NONE if effective["mae"] is None else f"{effective['mae']:.3g} {probe['unit']}",
        f"{summary['contexts']['interpolation']}, {summary['seed']}",
    ]


def _returns(results: Sequence[Result], where: Path | None) -> Iterator[str]:
    head = [
        "checkpoint", "context", "return inside (random)", "score inside", "score outside", "score mixed",
        "grid, episodes a context, seed",
    ]  # fmt: skip
    rows, references = [], set()
    for result in results:
        if result.evaluation is None:
            continue
        spec = catalogue.spec(result.config.env)
        scores = score(spec, [result.evaluation])
        if scores.reference:
            references.add(f"{spec.title}: {scores.reference}")
        means = interquartile_means(scores, draws=1) if scores.reference else {}
        played = result.evaluation.by_context
        inside = played[played["regime"] == "interpolation"]
        rows.append(
            [
                _link(result, where),
                result.config.method.source,
                f"{inside['return'].mean():.1f} ({inside['random_return'].mean():.1f})" if len(inside) else NONE,
                *(_two(means[r].value if r in means else None) for r in ("interpolation", "extrapolation", "mixed")),
                _played(result),
            ]
        )
    if not rows:
        yield "No checkpoint has been evaluated."
        return
    yield markdown_table(head, rows)
    text = (
        "By `python -m dali evaluate RUN --grid G --episodes E --seed S`, from the last column. Context: what the "
        "agent is told of the physics. Return: mean over the contexts inside the train range, the random policy's from "
        "the same start states in brackets. Score: 0 is the random policy, 1 the reference; interquartile mean over "
        "contexts"
    )
    yield f"{text}. References: {'; '.join(sorted(references))}." if references else f"{text}."


def _played(result: Result) -> str:
    evaluation = result.evaluation
    assert evaluation is not None
    counts = evaluation.by_context["episodes"]
    spec = catalogue.spec(result.config.env)
    sizes = {len(evaluation_grid(spec, size)[0]): size for size in ("quick", "paper")}
    contexts = len(counts)
    grid = sizes.get(contexts, f"{contexts} contexts")
    few, many = int(counts.min()), int(counts.max())
    return f"{grid}, {few if few == many else f'{few} to {many}'}, {evaluation.seed}"


def difference_table(results: Sequence[Result]) -> str:
    """What the differences from the baseline, paired by seed, say of methods with seeds enough to tell anything."""
    rows = []
    for config, group in _groups(results):
        spec = catalogue.spec(config.env)
        found = compare_methods(spec, _evaluations(group), BASELINE)
        for row in found.rows:
            told = [v.told for v in row.versus.values()]
            if told and all(d.paired and min(d.seeds) >= SEEDS_TO_TELL for d in told):
                trained = f"{spec.title}, preset {config.preset}, {config.train.steps:,} steps"
                words = [verdict(row.versus[r].told, found.digits) if r in row.versus else NONE for r in PLACES]
                rows.append([trained, METHODS[row.method].title, *words])
    return markdown_table(["environment and training", f"against {METHODS[BASELINE].title}", *PLACES.values()], rows)


def _groups(results: Sequence[Result]) -> list[tuple[RunConfig, list[Result]]]:
    """The evaluated results of each setting with more than one method."""
    alike: dict[RunConfig, list[Result]] = {}
    for result in results:
        if result.evaluation is not None:
            alike.setdefault(setting(result.config), []).append(result)
    return [(c, group) for c, group in alike.items() if len({r.config.method_name for r in group}) > 1]


def _evaluations(group: Sequence[Result], part: str = "evaluation") -> dict[str, list[tuple[int, Evaluation]]]:
    """Training seed and evaluation, or another ``part`` of a result, of each run that has it, by method."""
    runs = {
        name: [(r.config.seed, getattr(r, part)) for r in group if r.config.method_name == name and getattr(r, part)]
        for name in METHODS
    }
    return {name: found for name, found in runs.items() if found}


def _generalisation(results: Sequence[Result]) -> Iterator[str]:
    groups = _groups(results)
    if not groups:
        yield "No two methods were trained alike and evaluated."
    for config, group in groups:
        spec, runs = catalogue.spec(config.env), _evaluations(group)
        yield f"### {spec.title}: {setting_text(config)}"
        yield "By `python -m dali compare " + " ".join(_escaped(str(r.folder)) for r in group) + " --markdown`:"
        compared = compare_methods(spec, runs, BASELINE)
        yield render(compared, markdown=True)
        if memory := memory_rows(spec, runs, _evaluations(group, "without_memory")):
            yield render_memory(memory, compared.measure, markdown=True)


def _link(result: Result, where: Path | None) -> str:
    """The run's name, linked to its card as seen from a page in the folder ``where``."""
    name, card = _escaped(result.folder.name), result.folder / "README.md"
    if where is None or not card.is_file():
        return name
    return f"[{name}]({quote(Path(os.path.relpath(card, where)).as_posix())})"


def _escaped(text: str) -> str:
    """File names as Markdown shows them, in tables and in code."""
    return re.sub(r"([\\|`<>\[\]*])", r"\\\1", text)
