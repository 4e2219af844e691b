"""``python -m dali counterfactual``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dali.cli.options import Run
from dali.errors import DaliError, unknown_name

if TYPE_CHECKING:
    from dali.dreams.film import Film, FilmSource
    from dali.dreams.request import Request
    from dali.export.second import Second, Summary
    from dali.jobs import Report
    from dali.runs.run import Run as OpenedRun


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
    second: Annotated[Path | None, typer.Option(help="Another checkpoint, which dreams the same beside it.")] = None,
    size: Annotated[int, typer.Option(min=64, max=1024, help="Pixels a side of each pane.")] = 256,
    height: Annotated[int | None, typer.Option(help="Film of 16:9 so many pixels high: 720 or 1080.")] = None,
    hold: Annotated[float, typer.Option(help="Seconds that the film's last frame stands.")] = 0.0,
    speed: Annotated[float, typer.Option(help="Of real time: 0.25 is slow motion.")] = 1.0,
    loops: Annotated[int, typer.Option(help="How often the film runs.")] = 1,
    clock: Annotated[bool, typer.Option("--clock", help="Time and errors under the panes.")] = False,
    expect: Annotated[str | None, typer.Option(help="Refuse a checkpoint whose digest does not begin so.")] = None,
    expect_second: Annotated[str | None, typer.Option(help="The same for the second checkpoint.")] = None,
    output: Annotated[Path | None, typer.Option(help="The film as mp4 (H.264).")] = None,
    gif: Annotated[Path | None, typer.Option(help="The film as GIF.")] = None,
    strip: Annotated[Path | None, typer.Option(help="Moments of the film side by side as PNG.")] = None,
    csv: Annotated[Path | None, typer.Option(help="All traces as CSV.")] = None,
    npz: Annotated[Path | None, typer.Option(help="All arrays as NPZ.")] = None,
    paper: Annotated[Path | None, typer.Option(help="Moments as a figure for a paper, .pdf or .svg.")] = None,
    paper_width: Annotated[str, typer.Option(help="Of that figure: column or page.")] = "column",
    pgfplots: Annotated[Path | None, typer.Option(help="All traces as CSV that pgfplots reads.")] = None,
    tex: Annotated[Path | None, typer.Option(help="The figures as a LaTeX table.")] = None,
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
    from dali.export.look import Look
    from dali.export.paper import column
    from dali.files.writing import write_bytes, write_text
    from dali.jobs import reporting
    from dali.runs.film_source import open_film_source
    from dali.runs.run import open_run

    kinds = {"mp4": output, "gif": gif, "png": strip, "csv": csv, "npz": npz, "pgfplots": pgfplots, "tex": tex}
    if paper is not None:
        kinds[paper_kind(paper)] = paper
        column(paper_width)
    check_exports(kinds, manifest, extra or ())
    look = Look(height, hold, speed, loops, clock)
    asked = parse_physics(physics or []), parse_code(code or [])
    latent = parse_latents(latents)
    request = Request(episode, t, horizon, *asked, actions, latent, engine)  # type: ignore[arg-type]  # make_film checks
    opened = open_run(run)
    checkpoint = expected(run, expect)
    second_checkpoint = "" if second is None else expected(second, expect_second)
    if opened.analysis() and not opened.analysis_is_current():
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
    beside = None if second is None else dream_beside(source, film, second, second_checkpoint)
    bundle = Bundle(
        film,
        agent.spec,
        agent.method,
        size,
        tuple(extra or ()),  # type: ignore[arg-type]  # check_exports has seen them
        pinned,
        beside,
        look,
        opened.name,
        summary_of(opened),
        None if second is None else summary_of(open_run(second)),
        paper_width,
    )
    files = {}
    for kind, path in kinds.items():
        if path is not None:
            files[path.name] = bundle.make(kind)
            write_bytes(path, files[path.name], make_parents=False)
    if manifest is not None:
        text = bundle.manifest(source.episodes, run, checkpoint, files, str(output or "film.mp4"))
        write_text(manifest, text, make_parents=False)
    typer.echo("\n".join(f"{name}: {value}" for name, value in bundle.numbers().items()))


def expected(run: Path, digest: str | None) -> str:
    """The digest of a checkpoint. Raises DaliError where it does not begin as was expected."""
    from dali.runs.run import open_run

    found = open_run(run).digest()
    if digest is not None and not found.startswith(digest):
        raise DaliError(f"{run} is not the expected checkpoint: its digest is {found[:16]}, not {digest}.")
    return found


def dream_beside(source: "FilmSource", film: "Film", second: Path, checkpoint: str) -> "Second":
    """Another checkpoint's film of what a film shows."""
    from dali.dreams.beside import film_beside, watch
    from dali.export.second import Second
    from dali.runs.run import open_run

    run = open_run(second)
    steering = run.readout() if run.config.method.infers_context else None
    shown = film_beside(watch(source, film, run.agent(), steering), film)
    return Second(shown, run.config.method, second, checkpoint)


def summary_of(run: "OpenedRun") -> "Summary | None":
    """The figures of a run's analysis."""
    found = run.analysis()
    return found["summary"] if found else None


def paper_kind(path: Path) -> str:
    """Whether a figure is PDF or SVG, by the name of its file."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("pdf", "svg"):
        raise DaliError(f"{path} would hold a figure for a paper; expected a name that ends in .pdf or .svg.")
    return kind


def check_exports(kinds: Mapping[str, Path | None], manifest: Path | None, extras: Sequence[str]) -> None:
    """Raises DaliError where an export could not be written, before anything is dreamt."""
    from dali.export.pictures import EXTRAS
    from dali.files.writing import check_target

    for extra in extras:
        if extra not in EXTRAS:
            raise unknown_name("extra pane", extra, EXTRAS)
    for kind in ("mp4", "gif", "png"):
        path = kinds[kind]
        if path is not None and path.suffix.lower() not in ("", f".{kind}"):
            raise DaliError(f"{path} would hold {kind}; expected a name that ends in .{kind}.")
    for path in (*kinds.values(), manifest):
        if path is not None:
            check_target(path, make_parents=False)


def fitting(pinned: "Request", request: "Request") -> "Request":
    """The pinned request. Raises DaliError unless it covers as many steps as the other one."""
    if pinned.horizon != request.horizon:
        raise DaliError(f"--pin covers {pinned.horizon} steps, the film {request.horizon}; they must be as many.")
    return pinned


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
    from dali.files.writing import write_bytes, write_text
    from dali.runs.film_source import open_film_source
    from dali.video import encode_mp4

    source = open_film_source(run)
    spec = source.agent.spec
    size = source.episodes.code.shape[-1]
    low, high = (w if e is None else e for w, e in zip(widest(axis, spec, size), ends, strict=True))
    sweep = plan_sweep(axis, spec, size, count, (low, high))
    films = make_sweep(source, request, sweep, report)
    if output is not None:
        film = encode_mp4(sweep_frames(films, sweep, spec), 1.0 / spec.timestep)
        write_bytes(output, film, make_parents=False)
    table = sweep_table(films, sweep, spec)
    if csv is not None:
        write_text(csv, table, make_parents=False)
    typer.echo(table, nl=False)
