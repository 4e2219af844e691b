"""The next film of a slider that moves step by step, made while its visitor looks at this one."""

from dataclasses import replace

import numpy as np
import streamlit as st

from dali.dreams.film import FilmSource
from dali.dreams.request import Request
from dali.envs.spec import EnvSpec
from dali.export.pictures import SIZE, draw_pictures
from dali.studio.film.state import decimals_of, step_of
from dali.studio.film.url import PageState
from dali.studio.film.view import film_of, pane_of
from dali.studio.loaders import Stamp
from dali.studio.player import start_encoding

SHOWN = "film_shown"  # session state: the environment and the request of the film before this one


def make_next(source: FilmSource, key: Stamp, state: PageState) -> None:
    """Makes the film, and its panes, that one more step of the slider that was just moved will ask for."""
    now, spec = state.request, source.agent.spec
    env, before = st.session_state.get(SHOWN, ("", now))
    st.session_state[SHOWN] = spec.name, now
    asked = next_request(spec, source.episodes.context[now.episode], before, now) if env == spec.name else None
    if asked is not None:
        film = film_of(source, key, asked)
        for picture in draw_pictures(film, spec, source.agent.method, SIZE, state.extras):
            start_encoding(pane_of(picture, spec, film, None))


def next_request(spec: EnvSpec, own: np.ndarray, before: Request, now: Request) -> Request | None:
    """What a physics slider asks for that goes on by the step that led from one request to the next.

    Args:
        own: the episode's physics (F,), where a slider asks for nothing.

    Returns:
        None where something else was changed, or more than a step of one slider, or the slider is at its end.
    """
    if replace(before, physics=now.physics) != now:
        return None
    was, asked = before.context_to(spec, own), now.context_to(spec, own)
    moved = np.flatnonzero(was != asked)
    if len(moved) != 1:
        return None
    i = int(moved[0])
    feature, went = spec.features[i], asked[i] - was[i]
    step = step_of(feature)
    value = round(float(asked[i] + np.copysign(step, went)), decimals_of(feature))
    if abs(went) > 1.5 * step or not feature.limits[0] <= value <= feature.limits[1]:
        return None
    physics = dict(now.physics) | {feature.name: value}
    if abs(value - own[i]) < step / 2:
        del physics[feature.name]
    return replace(now, physics=tuple((f.name, physics[f.name]) for f in spec.features if f.name in physics))
