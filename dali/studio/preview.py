"""The film that the overview opens with: a real run beside the dream of it under another physics, kept with its run.

It is made once a checkpoint, with the request that the counterfactuals open with, and stored in the checkpoint's cache.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import streamlit as st

from dali.errors import CheckpointError
from dali.files.reading import read_bytes, read_object
from dali.files.text import markdown
from dali.files.writing import write_bytes, write_text
from dali.runs.folder import CONFIG, WEIGHTS, digest
from dali.studio.loaders import CHOSEN, Run, Stamp, stamp

# In the cache/ of a checkpoint, which may be deleted at any time.
FILM, TEXT = Path("cache") / "preview.mp4", Path("cache") / "preview.json"
SIZE = 256  # px a side of each of the two panes
SPEED = 0.5  # of the environment's own, so that a short film can be followed
HOLD = 0.6  # s that the last frame stands before the film begins again


@dataclass(frozen=True)
class Preview:
    """A film as mp4, what it shows in words, and where the counterfactuals page shows it."""

    film: bytes
    asked: str  # the physics of the real run, and what was asked for
    measured: str  # how right the dream is
    url: dict[str, str]


def stored_preview(run: Run) -> Preview | None:
    """The film of the run's present weights, if it was made before. Needs no torch."""
    if not ((run.folder / FILM).is_file() and (run.folder / TEXT).is_file()):
        return None
    return _read(stamp(run.folder, CONFIG, WEIGHTS, str(FILM), str(TEXT)))


def make_preview(run: Run) -> Preview:
    """Makes the film and stores it beside the weights; where that cannot be written the film is shown all the same.

    Raises:
        DaliError: the run cannot be opened, or its episodes have not been recorded.
    """
    weights = digest(run.folder)
    preview = _make(stamp(run.folder, CONFIG, WEIGHTS), run)
    record = {"weights": weights, "asked": preview.asked, "measured": preview.measured, "url": preview.url}
    try:
        write_bytes(run.folder / FILM, preview.film)
        write_text(run.folder / TEXT, json.dumps(record, indent=1) + "\n")
    except CheckpointError as error:
        st.caption(f"This film is made anew at each start of the dashboard. {markdown(error)}")
    return preview


@st.cache_resource(max_entries=16, show_spinner=False)
def _read(files: Stamp) -> Preview | None:
    folder = Path(files[0][0]).parent
    try:
        record = read_object(folder / TEXT)
        if record["weights"] != digest(folder):
            return None
        url = {str(name): str(value) for name, value in record["url"].items()}
        return Preview(read_bytes(folder / FILM), str(record["asked"]), str(record["measured"]), url)
    except (FileNotFoundError, CheckpointError, KeyError, TypeError, AttributeError):
        return None  # absent, or of another version: it can be made anew


@st.cache_resource(max_entries=4, show_spinner=False)
def _make(files: Stamp, _run: Run) -> Preview:
    # torch takes seconds to import, and the page that asks for this has been drawn by now
    from dali.dreams.errors import asked_physics
    from dali.dreams.film import Film
    from dali.export.pictures import draw_pictures, physics_text, tile_pictures
    from dali.studio.film.state import default_state
    from dali.studio.film.view import film_of, open_film_source
    from dali.video import encode_mp4

    source, key = open_film_source(_run)
    spec, method = source.agent.spec, source.agent.method
    request = default_state(source).request
    if not request.physics:
        # The first feature at the end of its train range that is farther from the episode's own.
        asked = asked_physics(spec, source.episodes.context[[request.episode]])
        request = replace(request, physics=((spec.features[0].name, float(asked[0, 0])),))
    film: Film = film_of(source, key, request)
    panes = draw_pictures(film, spec, method, SIZE)
    shown = [p for p in panes if p.style in ("real_counterfactual", "dream_counterfactual")]
    frames = tile_pictures(shown)
    rate = SPEED / spec.timestep
    frames = np.concatenate([frames, np.repeat(frames[-1:], round(HOLD * rate), 0)])
    url = {"episode": request.episode, "t": request.t, "h": request.horizon, **dict(request.physics)}
    recorded, changed = (physics_text(spec, c) for c in (film.context, film.context_to))
    measured = f"error of the dream {film.mean_error_counterfactual:.2f} σ over {request.horizon} steps"
    if film.skill is not None and film.skill > 0:
        measured += f", {film.skill:.0%} less than without the change"
    return Preview(
        encode_mp4(frames, rate),
        f"Recorded at {recorded}; asked for {changed}",
        measured,
        {CHOSEN: _run.name, **{name: str(value) for name, value in url.items()}},
    )
