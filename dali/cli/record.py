"""``python -m dali record``."""

from typing import Annotated

import typer

from dali.cli.options import Run, Status
from dali.config import MAX_SEED


def record(
    run: Run,
    contexts: Annotated[
        int | None,
        typer.Option(min=10, max=10_000, help="Training contexts and held-out ones, each; as analysed, else 100."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=MAX_SEED, help="Of held-out contexts and episodes; as analysed, else 0.")
    ] = None,
    status: Status = None,
) -> None:
    """Record the episodes that a checkpoint's figures are of, as latents.npz in its folder.

    Two recordings on one machine are equal bit for bit; another processor may round otherwise.
    """
    from dali.jobs import reporting

    with reporting(status) as report:
        import torch

        from dali.episodes import collect_standard
        from dali.runs.artifacts import EPISODES_FILE, save_episodes
        from dali.runs.folder import made_from
        from dali.runs.run import open_run

        torch.set_num_threads(1)  # as evaluations do: no sum may depend on how many there are, and more gain nothing
        opened = open_run(run)
        weights = opened.digest()
        analysed_contexts, analysed_seed = opened.analysed_on() or (100, 0)
        episodes = collect_standard(
            opened.agent(),
            analysed_seed if seed is None else seed,
            analysed_contexts if contexts is None else contexts,
            lambda done, steps: report(done, steps, f"step {done} of {steps}"),
        )
        made_from(run, weights)
        save_episodes(run / EPISODES_FILE, episodes)
    typer.echo(f"Wrote {run / EPISODES_FILE}")
