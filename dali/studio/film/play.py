"""The page Play on the side of the server: one performance a session, which the browser asks for pieces of.

The browser counts the time, notes keys and sliders at every step of the environment, and sends what has gathered since
the last answer; the answer holds the frames of those steps. So the pace is the environment's own, however long a round
trip takes, and all that was done is in the take, step for step.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import streamlit as st

from dali.dreams.counterfactual import Engine
from dali.dreams.film import FilmSource
from dali.dreams.take import DREAM_ASKED, REAL_ASKED, Performance, Physics, begin, perform
from dali.envs.spec import ContextFeature
from dali.errors import DaliError
from dali.export.pictures import physics_text
from dali.export.take import TITLES, draw_take
from dali.studio.player import Body, asset, message, sheets

SIZE = 224  # pixels a side of a pane that is played
MOST = 64  # steps in one piece
STYLES = ("real_factual", "real_counterfactual", "dream_factual", "dream_counterfactual")
KEY = "play"
_serials = itertools.count(1)  # of all sessions, since one tab may start many


@dataclass(eq=False)
class Session:
    """What one person plays. ``serial`` numbers the answers, so that the browser knows a new one."""

    performance: Performance
    serial: int = 0
    shown: tuple[int, int] = (0, 1)  # records that the last answer holds
    fresh: bool = True  # whether the browser shall forget what it has shown
    said: str = ""
    packed: bytes = field(default=b"", repr=False)


def start(source: FilmSource, episode: int, t: int, engine: Engine, physics: Physics) -> Session:
    """A performance at its start, with the answer that shows it."""
    session = Session(begin(source, episode, t, engine, physics))
    _answer(session)
    return session


def take_in(session: Session, asked: Mapping[str, Any]) -> None:
    """Plays what the browser sent: steps, or a branch from a record under the same physics as were in force there.

    What comes over the wire is checked as a take is; a piece that does not follow the last one is left out.
    """
    session.said, session.fresh = "", False
    performance = session.performance
    try:
        first = int(asked["from"])
        if asked.get("act") == "branch":
            if not 0 <= first <= performance.steps:
                raise DaliError(f"There is no record {first} to branch from; the take has {performance.steps + 1}.")
            session.performance = perform(performance.source, performance.take.until(first))
            session.shown = (first + 1, first + 1)  # the browser has the frames until there
        elif first == performance.steps:
            _play(performance, asked["steps"])
            session.shown = (first + 1, performance.steps + 1)
        else:
            return
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        session.said = f"The browser sent what is no piece of a take: {error}."
    except DaliError as error:
        session.said = str(error)
    _answer(session)


def _play(performance: Performance, steps: list[Mapping[str, Any]]) -> None:
    spec = performance.source.agent.spec
    gathered: list[list[float]] = []

    def flush() -> None:
        if gathered:
            performance.advance(np.array(gathered, np.float32))
            gathered.clear()

    for step in steps[:MOST]:
        if step.get("physics") is not None:
            flush()
            performance.ask(tuple((f.name, _within(f, float(step["physics"][f.name]))) for f in spec.features))
        gathered.append([float(a) for a in step["action"]])
    flush()


def _within(feature: ContextFeature, value: float) -> float:
    low, high = feature.limits
    if not math.isfinite(value):
        raise ValueError(f"{feature.label} is {value}")
    return min(max(value, low), high)


def _answer(session: Session) -> None:
    """Packs the frames and errors of the records that were played."""
    performance, (first, last) = session.performance, session.shown
    session.serial = next(_serials)
    last = min(last, performance.steps + 1)
    spec = performance.source.agent.spec
    contexts = performance.contexts[-1]
    count = max(0, last - first)
    panes: list[dict[str, Any]] = []
    body = Body()
    for run, title in enumerate(TITLES):
        context = contexts[int(run in (REAL_ASKED, DREAM_ASKED))]
        drawn = sheets(draw_take(performance, run, first, last, SIZE)) if count else []
        panes.append(
            {
                "title": title,
                "style": STYLES[run],
                "width": SIZE,
                "height": SIZE,
                "sheets": [{"png": body.add(sheet), "columns": columns} for sheet, columns in drawn],
                "caption": physics_text(spec, context),
                "gravity": _gravity(spec.features, context),
            }
        )
    errors = performance.errors(first, last) if count else np.zeros((2, 0))
    header = {
        "serial": session.serial,
        "fresh": session.fresh,
        "first": first,
        "count": count,
        "steps": performance.steps,
        "timestep": spec.timestep,
        "discrete": spec.discrete,
        "actions": list(spec.action_names),
        "features": [_feature(f, o, a) for f, o, a in zip(spec.features, *contexts, strict=True)],
        "said": session.said,
        "panes": panes,
        "errors": np.round(errors, 4).tolist(),
    }
    session.packed = message(header, body)


def _gravity(features: tuple[ContextFeature, ...], context: np.ndarray) -> float:
    return next((float(c) / f.limits[1] for f, c in zip(features, context, strict=True) if f.unit == "m/s²"), 0.0)


def _feature(feature: ContextFeature, own: float, asked: float) -> dict[str, Any]:
    unit = "×" if feature.unit == "x" else feature.unit
    return {
        "name": feature.name,
        "label": f"{feature.label.capitalize()} ({unit})",
        "limits": feature.limits,
        "train": feature.train_intervals,
        "own": float(own),
        "asked": float(asked),
    }


_component = st.components.v2.component(
    "dali_play",
    html=asset("play.html"),
    css=asset("player.css") + asset("play.css"),
    js="\n".join(asset(name) for name in ("film.js", "traces.js", "play.js")),
)


@st.fragment
def show(session: Session) -> None:
    """The performance in the browser; what it asks for reruns this alone."""

    def answer() -> None:
        asked = st.session_state[KEY].get("ask")
        if asked is not None:
            take_in(session, asked)

    _component(data=session.packed, key=KEY, on_ask_change=answer)
