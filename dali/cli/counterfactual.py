"""``python -m dali counterfactual``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dali.cli.options import Run
from dali.errors import DaliError

if TYPE_CHECKING:
    from dali.dreams.request import Request
    from dali.jobs import Report


def counterfactual(
    run: Run,
    episode: Annotated[int, typer.Option(help="Recorded episode, numbered from 0.")] = 0,
    t: Annotated[int, typer.Option("--t", help="Step of the episode that dreams start from.")] = 60,
    horizon: Annotated[int, typer.Option(help="Steps to dream, at most 200.")] = 50,
    physics: Annotated[list[str] | None, typer.Option(help="Asked physics in its unit, as in g=4.9.")] = None,
    code: Annotated[list[str] | None, typer.Option(help="Change of a code dimension in σ, as in z3=+1.5.")] = None,
    actions: Annotated[str, typer.Option(help="recorded, zero or policy.")] = "recorded",
    latents: Annotated[str, typer.Option(help="Of the dream: mean, mode, or a seed that draws them.")] = "mean",
    engine: Annotated[str, typer.Option(help="What dreams: rssm or dynamics.")] = "rssm",
    extra: Annotated[list[str] | None, typer.Option(help="More panes: ghost, difference.")] = None,
    pin: Annotated[str | None, typer.Option(help="Another request, as JSON of a manifest, dreamt beside it.")] = None,
    size: Annotated[int, typer.Option(min=64, max=1024, help="Pixels a side of each pane.")] = 256,
    expect: Annotated[str | None, typer.Option(help="Refuse a checkpoint whose digest does not begin so.")] = None,
    output: Annotated[Path | None, typer.Option(help="The film as mp4 (H.264).")] = None,
    gif: Annotated[Path | None, typer.Option(help="The film as GIF.")] = None,
    strip: Annotated[Path | None, typer.Option(help="Moments of the film side by side as PNG.")] = None,
    csv: Annotated[Path | None, typer.Option(help="All traces as CSV.")] = None,
    npz: Annotated[Path | None, typer.Option(help="All arrays as NPZ.")] = None,
    manifest: Annotated[Path | None, typer.Option(help="What all was made from, as JSON.")] = None,
    sweep: Annotated[
        str | None, typer.Option(help="Small multiples over a code dimension (z3) or a feature (g): --output, --csv.")
    ] = None,
    count: Annotated[int, typer.Option(help="Values of a sweep.")] = 7,
    first: Annotated[float | None, typer.Option("--from", help="First value of a sweep; its least by default.")] = None,
    last: Annotated[float | None, typer.Option("--to", help="Last value of a sweep; its greatest by default.")] = None,
    status: Annotated[Path | None, typer.Option(help="File that a sweep's progress is written into.")] = None,
) -> None:
    """Dream an episode under another physics or code beside the real simulator, and print what is measured."""
    from dali.dreams.film import make_film
    from dali.dreams.request import Request, parse_code, parse_latents, parse_physics
    from dali.export.bundle import Bundle
    from dali.jobs import reporting
    from dali.runs.checkpoint import write_text
    from dali.runs.film_source import open_film_source
    from dali.runs.folder import ANALYSIS_FILE, digest, is_current, load_analysis

    asked = parse_physics(physics or []), parse_code(code or [])
    request = Request(episode, t, horizon, *asked, actions, parse_latents(latents), engine)  # type: ignore[arg-type]
    checkpoint = digest(run)
    if expect is not None and not checkpoint.startswith(expect):
        raise DaliError(f"{run} is not the expected checkpoint: its digest is {checkpoint[:16]}, not {expect}.")
    if (run / ANALYSIS_FILE).exists() and not is_current(run, load_analysis(run)):
        typer.echo(
            f"warning: the weights are newer than the episodes; record them anew: python -m dali analyse {run}",
            err=True,
        )
    if sweep is not None:
        with reporting(status) as report:
            render_sweep(run, request, sweep, count, (first, last), output, csv, report)
        return
    source = open_film_source(run)
    pinned = None if pin is None else make_film(source, fitting(Request.from_json(pin), request))
    film, agent = make_film(source, request), source.agent
    bundle = Bundle(film, agent.spec, agent.method, size, tuple(extra or ()), pinned)  # type: ignore[arg-type]
    files = {}
    for kind, path in {"mp4": output, "gif": gif, "png": strip, "csv": csv, "npz": npz}.items():
        if path is not None:
            files[path.name] = bundle.make(kind)
            write_bytes(path, files[path.name])
    if manifest is not None:
        text = bundle.manifest(source.episodes, run, checkpoint, files, str(output or "film.mp4"))
        write_text(manifest, text)
    typer.echo("\n".join(f"{name}: {value}" for name, value in bundle.numbers().items()))


def fitting(pinned: "Request", request: "Request") -> "Request":
    """The pinned request. Raises DaliError unless it covers as many steps as the other one."""
    if pinned.horizon != request.horizon:
        raise DaliError(f"--pin covers {pinned.horizon} steps, the film {request.horizon}; they must be as many.")
    return pinned


def write_bytes(path: Path, data: bytes) -> None:
    """Writes atomically. Raises CheckpointError where the disk does not let it."""
    from dali.runs.checkpoint import write_atomic

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)

    write_atomic(path, write)


def render_sweep(
    run: Path,
    request: "Request",
    axis: str,
    count: int,
    ends: tuple[float | None, float | None],
    output: Path | None,
    csv: Path | None,
    report: "Report",
) -> None:
    """Writes the film of a sweep and its table; an end that is None is the widest."""
    from dali.export.sweep import make_sweep, plan_sweep, sweep_frames, sweep_table, widest
    from dali.runs.checkpoint import write_text
    from dali.runs.film_source import open_film_source
    from dali.video import encode_mp4

    source = open_film_source(run)
    spec = source.agent.spec
    size = source.episodes.code.shape[-1]
    low, high = (w if e is None else e for w, e in zip(widest(axis, spec, size), ends, strict=True))
    sweep = plan_sweep(axis, spec, size, count, (low, high))
    films = make_sweep(source, request, sweep, report)
    if output is not None:
        write_bytes(output, encode_mp4(sweep_frames(films, sweep, spec), 1.0 / spec.timestep))
    table = sweep_table(films, sweep, spec)
    if csv is not None:
        write_text(csv, table)
    typer.echo(table, nl=False)
