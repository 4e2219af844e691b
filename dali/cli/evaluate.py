"""``python -m dali evaluate``."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dali.cli.options import Run, Status
from dali.config import MAX_SEED

if TYPE_CHECKING:
    from dali.envs.spec import EnvSpec
    from dali.returns.evaluation import Evaluation


def evaluate(
    run: Run,
    grid: Annotated[
        Literal["paper", "quick"], typer.Option(help="All contexts of the protocol, or a dozen.")
    ] = "paper",
    episodes: Annotated[int, typer.Option(min=1, max=1000, help="Episodes a context (the paper: 50).")] = 10,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of the start states.")] = 0,
    memory: Annotated[
        Literal["kept", "none"],
        typer.Option(help="none: h and s made anew at every step, a policy without memory; a file of its own."),
    ] = "kept",
    status: Status = None,
) -> None:
    """Play a checkpoint under physics it was not trained on; every return goes to eval.json in its folder.

    With --memory none the file is eval-no-memory.json.

    Episodes already there are kept, so that a larger grid, more episodes or a killed evaluation go on from them.
    """
    from tqdm import tqdm

    from dali.envs.contexts import check_held_out, evaluation_grid, sample_contexts
    from dali.errors import CheckpointError, DaliError
    from dali.jobs import reporting
    from dali.returns.play import evaluate as play
    from dali.returns.play import plan_episodes
    from dali.runs.checkpoint import load_agent
    from dali.runs.folder import digest
    from dali.runs.scores import FILES, load_evaluation, save_evaluation

    weights = digest(run)
    agent = load_agent(run)
    contexts, regimes, grids = evaluation_grid(agent.spec, grid)
    trained = sample_contexts(agent.spec, agent.config.train.contexts, agent.config.seed)
    check_held_out(agent.spec, contexts, trained)
    typer.echo(f"None of the {len(contexts)} evaluation contexts is among the {len(trained)} training contexts.")

    known, path = None, run / FILES[memory]
    if path.exists():
        try:
            known = load_evaluation(run, memory)
        except CheckpointError as error:
            typer.echo(f"Nothing played before can be kept. {error}")
    if known is not None and known.seed != seed:
        raise DaliError(
            f"{path} holds episodes of seed {known.seed}; go on with --seed {known.seed}, or remove it to "
            f"play with seed {seed}."
        )
    with reporting(status) as report, tqdm(unit="episode") as bar:

        def on_batch(so_far: "Evaluation", done: int, total: int) -> None:
            save_evaluation(run, so_far, weights)
            report(done, total, f"{done} of {total} episodes")
            bar.total = total
            bar.update(done - bar.n)

        asked = plan_episodes(agent.spec, contexts, regimes, grids, episodes, seed)
        result = play(agent, asked, seed, known, on_batch, memory)
    typer.echo(_table(agent.spec, result))
    typer.echo(f"Wrote {path}")


def _table(spec: "EnvSpec", result: "Evaluation") -> str:
    """Interquartile means by regime, the random policy beside the agent."""
    from dali.returns.comparison import ALL, interquartile_means, regime_masks
    from dali.returns.scoring import score

    scores = score(spec, [result])
    agent, random = (interquartile_means(replace(scores, runs=runs)) for runs in (scores.runs, scores.random[None]))
    lines = [f"{scores.measure}, interquartile mean over contexts [95 % interval, over contexts]"]
    for regime, where in regime_masks(scores).items():
        if regime != ALL:
            shown = [f"{e.value:8.2f} [{e.low:.2f}, {e.high:.2f}]" for e in (agent[regime], random[regime])]
            lines.append(f"  {regime:14s} {where.sum():3d} contexts  agent {shown[0]}  random {shown[1]}")
    if scores.reference:
        lines.append(f"0: random policy; 1: {scores.reference}")
    return "\n".join(lines)
