"""What one change of a slider costs, from the request to frames that are ready for the browser."""

import time
from dataclasses import replace
from typing import Any

import numpy as np

from dali.dreams.film import FilmSource, make_factual, make_film
from dali.dreams.request import Request
from dali.export.pictures import draw_pictures
from dali.video import SHEET_FRAMES, sprite


def bench_film(source: FilmSource, horizon: int = 50, changes: int = 20) -> dict[str, Any]:
    """Milliseconds of each part of a new film (median, 95th percentile), as the dashboard makes it.

    The factual half stands, so two of four panes are drawn and encoded anew. ``all`` is what a person waits for; the
    physics that the dream follows are sought when the film is shown.
    """
    spec, episodes = source.agent.spec, source.episodes
    episode = int(episodes.length.argmax())
    t = (int(episodes.length[episode]) - horizon) // 2
    feature = spec.features[0]
    request = Request(episode, t, horizon)
    factual = make_factual(source, request)
    encoded: set[str] = set()
    times: dict[str, list[float]] = {"film": [], "draw": [], "encode": [], "all": [], "effective": []}
    for value in np.linspace(*feature.limits, changes + 1):
        began = time.perf_counter()
        film = make_film(source, replace(request, physics=((feature.name, float(value)),)), factual)
        made = time.perf_counter()
        new = [p for p in draw_pictures(film, spec, source.agent.method) if p.digest not in encoded]
        frames = [pane.frames for pane in new]
        drawn = time.perf_counter()
        for shown in frames:
            for first in range(0, horizon + 1, SHEET_FRAMES):
                sprite(shown[first : first + SHEET_FRAMES])
        encoded |= {pane.digest for pane in new}
        ended = time.perf_counter()
        _ = film.effective
        sought = time.perf_counter() - ended
        parts = (made - began, drawn - made, ended - drawn, ended - began, sought)
        for name, seconds in zip(times, parts, strict=True):
            times[name].append(1e3 * seconds)
    settled = {name: np.array(ms[1:]) for name, ms in times.items()}  # the first draws the factual panes too
    figures = {
        f"{name}_ms": {"median": round(float(np.median(ms)), 1), "p95": round(float(np.quantile(ms, 0.95)), 1)}
        for name, ms in settled.items()
    }
    return {"environment": spec.name, "horizon": horizon, "changes": changes, **figures}
