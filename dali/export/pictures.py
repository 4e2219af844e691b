"""A counterfactual film drawn: labelled panes of real and dreamed runs, and the tiled, captioned film of them.

Real runs are drawn by the simulator, and so are the dreams of an agent of vectors, under the physics asked for. The
dreams of an agent of pixels are shown as it decodes them, pixel for pixel; nothing in them is told from outside.

Shapes: T = H + 1 frames, P pixels, S simulator state, F context features.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Literal

import numpy as np

from dali.dreams.film import Film
from dali.dreams.observation import Rollout
from dali.envs import catalogue
from dali.envs.frames import FRAME
from dali.envs.spec import EnvSpec
from dali.envs.units import quantity
from dali.errors import unknown_name
from dali.methods import Method
from dali.video import caption, difference, enlarge, ghost, tile

Extra = Literal["ghost", "difference"]
EXTRAS: tuple[Extra, ...] = ("ghost", "difference")
SIZE = 256  # P, pixels a side


@dataclass(frozen=True, eq=False)
class Picture:
    """One pane. Equal digests mean equal frames; ``style`` names the run it shows, as the traces do."""

    title: str
    caption: str
    draw: Callable[[], np.ndarray]  # makes the frames
    digest: str
    style: str = ""

    @cached_property
    def frames(self) -> np.ndarray:
        """(T, P, P, 3) uint8, drawn when they are first looked at: a film of 50 steps takes 10 MB."""
        return self.draw()


def physics_text(spec: EnvSpec, context: np.ndarray) -> str:
    """ "gravity 4.90 m/s², rod length 1.00 m" for a context (F,)."""
    return ", ".join(f"{f.label} {quantity(f, c)}" for f, c in zip(spec.features, context, strict=True))


def code_text(film: Film) -> str:
    """The code sliders that are not at rest: "z3 +1.5 σ"."""
    return ", ".join(f"z{j} {k:+.1f} σ" for j, k in film.request.code if k)


def draw_pictures(
    film: Film,
    spec: EnvSpec,
    method: Method,
    size: int = SIZE,
    extras: Sequence[Extra] = (),
) -> list[Picture]:
    """The panes of a film: real and dreamed, factual and counterfactual, then those asked for besides.

    A method that reads no context dreams one film alone, so it has three panes. Runs that are the same are drawn once.

    Args:
        extras: "ghost" lays the dream over the real run, "difference" shows where their pixels differ.
    """
    for extra in extras:
        if extra not in EXTRAS:
            raise unknown_name("extra pane", extra, EXTRAS)
    panes: list[Picture] = []

    def add(title: str, style: str, run: Rollout, context: np.ndarray, note: str = "") -> Picture:
        pane = draw_pane(title, style, run, context, spec, size, note)
        same = next((other for other in panes if other.digest == pane.digest), None)
        panes.append(pane if same is None else replace(pane, draw=lambda: same.frames))
        return panes[-1]

    real = add("Real, factual", "real_factual", film.real, film.context)
    other = add("Real, counterfactual", "real_counterfactual", film.real_counterfactual, film.context_to)
    pairs = [("factual", real, add("Dream, factual", "dream_factual", film.dream, film.context))]
    if method.source != "none":
        run, note = film.dream_counterfactual, code_text(film)
        changed = add("Dream, counterfactual", "dream_counterfactual", run, film.context_to, note)
        pairs.append(("counterfactual", other, changed))
    return panes + [_combine(extra, *pair) for extra in extras for pair in pairs]


def draw_pinned(film: Film, spec: EnvSpec, size: int = SIZE) -> Picture:
    """The counterfactual dream of a film that is kept for comparison."""
    run = film.dream_counterfactual
    return draw_pane("Dream, pinned", "pinned", run, film.context_to, spec, size, code_text(film))


def tile_columns(panes: int) -> int:
    """In how many columns so many panes stand: pairs side by side, eight in rows of four."""
    if panes <= 3:
        return panes
    return 4 if panes == 8 else 3 if panes % 2 else 2


def tile_pictures(pictures: Sequence[Picture]) -> np.ndarray:
    """All panes with their captions in one film."""
    return tile([caption(p.frames, p.title, p.caption) for p in pictures], tile_columns(len(pictures)))


def draw_rollout(env: str, state: np.ndarray, context: np.ndarray, size: int) -> np.ndarray:
    """Frames (T, P, P, 3) of states (T, S) under one context (F,), or under (T, F) by record."""
    draw, contexts = catalogue.simulator_class(env).draw, np.broadcast_to(context, (len(state), context.shape[-1]))
    return np.stack([draw(row, now, size) for row, now in zip(state, contexts, strict=True)])


def draw_run(run: Rollout, spec: EnvSpec, context: np.ndarray, size: int) -> np.ndarray:
    """Frames (T, P, P, 3) of a run: its states under physics (F,) or (T, F), or the pictures that are all it has."""
    if run.state is not None:
        return draw_rollout(spec.name, run.state, context, size)
    assert run.frames is not None
    return enlarge(run.frames, size)


def draw_pane(
    title: str, style: str, run: Rollout, context: np.ndarray, spec: EnvSpec, size: int, note: str = ""
) -> Picture:
    """The pane of one run under physics (F,). ``note`` stands behind the physics in its caption."""
    shown = run.frames if run.state is None else run.state
    assert shown is not None
    parts = (spec.name.encode(), np.int64(size).tobytes(), context.tobytes(), shown.tobytes())
    digest = hashlib.blake2b(b"".join(parts), digest_size=16).hexdigest()
    text = physics_text(spec, context)
    if run.state is None:
        note = ", ".join(part for part in (f"decoded {FRAME} × {FRAME}", note) if part)
    text = f"{text}; {note}" if note else text
    return Picture(title, text, partial(draw_run, run, spec, context, size), digest, style)


def _combine(extra: Extra, name: str, real: Picture, dreamed: Picture) -> Picture:
    kinds = {
        "ghost": ("Ghost", ghost, "dream in ink over the faded real run"),
        "difference": ("Difference", difference, "real minus dream: dark 0, bright 255"),
    }
    title, combine, note = kinds[extra]
    digest = f"{extra}-{real.digest}-{dreamed.digest}"
    return Picture(f"{title}, {name}", note, lambda: combine(real.frames, dreamed.frames), digest)
