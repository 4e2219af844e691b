"""``python -m dali counterfactual``."""

from pathlib import Path
from typing import Annotated

import typer

from dali.errors import DaliError


def counterfactual(
    run: Annotated[Path, typer.Argument(help="Checkpoint folder.")],
    episode: Annotated[int, typer.Option(help="Recorded episode, numbered from 0.")] = 0,
    t: Annotated[int, typer.Option("--t", help="Step of the episode that dreams start from.")] = 60,
    horizon: Annotated[int, typer.Option(help="Steps to dream, at most 200.")] = 50,
    physics: Annotated[list[str] | None, typer.Option(help="Asked physics in its unit, as in g=4.9.")] = None,
    code: Annotated[list[str] | None, typer.Option(help="Change of a code dimension in σ, as in z3=+1.5.")] = None,
    actions: Annotated[str, typer.Option(help="recorded, zero or policy.")] = "recorded",
    seed: Annotated[int | None, typer.Option(help="Draws the latents; without it their modes are taken.")] = None,
    mode: Annotated[bool, typer.Option("--mode", help="Take the modes of the latents (as without --seed).")] = False,
    extra: Annotated[list[str] | None, typer.Option(help="More panes: ghost, difference.")] = None,
    size: Annotated[int, typer.Option(min=64, max=1024, help="Pixels a side of each pane.")] = 256,
    expect: Annotated[str | None, typer.Option(help="Refuse a checkpoint whose digest does not begin so.")] = None,
    output: Annotated[Path | None, typer.Option(help="The film as mp4 (H.264).")] = None,
    gif: Annotated[Path | None, typer.Option(help="The film as GIF.")] = None,
    strip: Annotated[Path | None, typer.Option(help="Moments of the film side by side as PNG.")] = None,
    csv: Annotated[Path | None, typer.Option(help="All traces as CSV.")] = None,
    npz: Annotated[Path | None, typer.Option(help="All arrays as NPZ.")] = None,
    manifest: Annotated[Path | None, typer.Option(help="What all was made from, as JSON.")] = None,
) -> None:
    """Dream an episode under another physics or code beside the real simulator, and print what is measured."""
    from dali.analysis.film import make_film
    from dali.analysis.request import Request, parse_code, parse_physics
    from dali.checkpoint import digest, load_config, write_atomic
    from dali.export.bundle import Bundle
    from dali.export.stage import open_stage

    if mode and seed is not None:
        raise DaliError("--mode and --seed exclude each other.")
    asked = parse_physics(physics or []), parse_code(code or [])
    request = Request(episode, t, horizon, *asked, actions, seed)  # type: ignore[arg-type]
    load_config(run)  # says in one sentence what is wrong with a folder that is no checkpoint
    checkpoint = digest(run)
    if expect is not None and not checkpoint.startswith(expect):
        raise DaliError(f"{run} is not the expected checkpoint: its digest is {checkpoint[:16]}, not {expect}.")
    stage = open_stage(run)
    bundle = Bundle(make_film(stage, request), stage.agent.spec, stage.agent.method, size, tuple(extra or ()))  # type: ignore[arg-type]
    files = {}
    for kind, path in {"mp4": output, "gif": gif, "png": strip, "csv": csv, "npz": npz}.items():
        if path is not None:
            files[path.name] = data = bundle.make(kind)
            write_atomic(path, lambda temporary, data=data: temporary.write_bytes(data))
    if manifest is not None:
        text = bundle.manifest(stage.episodes, run, checkpoint, files, str(output or "film.mp4"))
        write_atomic(manifest, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    typer.echo("\n".join(f"{name}: {value}" for name, value in bundle.numbers().items()))
