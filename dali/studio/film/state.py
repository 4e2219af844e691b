"""The state of the counterfactuals page: what its URL says, what its widgets hold, and the request both stand for.

The URL holds all of it, so that opening it elsewhere shows the same film. Widgets are told what the URL says when a
page is opened, or when the URL is changed from outside; from then on the URL follows the widgets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import streamlit as st

from dali.dreams.film import FilmSource
from dali.dreams.request import MAX_SIGMA, Request, check_request, dimension, longest_horizon, parse_latents
from dali.envs.spec import ContextFeature
from dali.errors import DaliError
from dali.export.pictures import EXTRAS
from dali.export.sweep import COUNT, plan_sweep, widest
from dali.studio.loaders import CHOSEN

START, HORIZON = 60, 50  # steps, of a film that nobody has asked for yet
SHOWN = 6  # observation dimensions that are plotted unless others are chosen
WRITTEN = "film_url"  # what this page last wrote into the URL
PIN = "film_pin"
SEED = "sample"  # the choice of latents that are drawn with a seed
SWEEP = ("film_sweep_axis", "film_sweep_count", "film_sweep_from", "film_sweep_to")


@dataclass(frozen=True)
class PageState:
    """All that decides what the page shows."""

    request: Request
    extras: tuple[str, ...] = ()
    dimensions: tuple[int, ...] = ()  # observation dimensions plotted
    pinned: Request | None = None
    sweep: tuple[str, int, float, float] | None = None  # quantity, values, ends; None for the first one as a whole


def default_state(source: FilmSource) -> PageState:
    """The first exploratory episode on held-out physics, unchanged; its latents their means, as they are judged."""
    episodes, spec = source.episodes, source.agent.spec
    fitting = episodes.length >= START + HORIZON
    wanted = fitting & (episodes.regime == "interpolation") & episodes.explored
    index = int((wanted if wanted.any() else fitting).argmax())
    length = int(episodes.length[index])
    t = min(START, length // 2)
    request = Request(index, t, min(HORIZON, length - t))
    return PageState(request, dimensions=tuple(range(min(SHOWN, spec.obs_dim))))


def to_url(state: PageState) -> dict[str, str]:
    """The query parameters of a state, but the checkpoint's."""
    request = state.request
    url = {"episode": str(request.episode), "t": str(request.t), "h": str(request.horizon), "actions": request.actions}
    url["latents"] = str(request.latents)
    url |= {name: f"{value!r}" for name, value in request.physics}
    url |= {f"z{j}": f"{k:g}" for j, k in request.code}
    if state.extras:
        url["extra"] = ",".join(state.extras)
    url["dims"] = ",".join(map(str, state.dimensions))
    if state.sweep:
        url["sweep"] = "{}:{}:{:g}:{:g}".format(*state.sweep)
    if state.pinned is not None:
        url["pin"] = state.pinned.to_json()
    return url


def from_url(url: Mapping[str, str], source: FilmSource) -> PageState:
    """The state of query parameters; what they don't say takes its default.

    Raises:
        DaliError: a parameter that cannot be read, or that asks for what these episodes cannot serve.
    """
    state, spec = default_state(source), source.agent.spec
    try:
        start = state.request
        episode = int(url.get("episode", start.episode))
        if not 0 <= episode < len(source.episodes.obs):
            raise DaliError(f"The URL asks for episode {episode}; there are {len(source.episodes.obs)}.")
        length = int(source.episodes.length[episode])
        t = int(url.get("t", min(start.t, length // 2)))
        actions = url.get("actions", start.actions)
        longest = longest_horizon(actions, length, t)  # type: ignore[arg-type]
        request = Request(
            episode=episode,
            t=t,
            horizon=int(url["h"]) if "h" in url else max(1, min(start.horizon, longest)),
            physics=tuple((f.name, float(url[f.name])) for f in spec.features if f.name in url),
            code=tuple((dimension(name), float(url[name])) for name in _code_names(source) if name in url),
            actions=actions,  # type: ignore[arg-type]
            latents=parse_latents(url.get("latents", str(start.latents))),
        )
        extras = tuple(e for e in EXTRAS if e in url.get("extra", "").split(","))
        dimensions = tuple(int(d) for d in url["dims"].split(",")) if url.get("dims") else state.dimensions
        sweep = _parse_sweep(url["sweep"], source) if "sweep" in url else None
        pinned = Request.from_json(url["pin"]) if "pin" in url else None
    except ValueError as error:
        raise DaliError(f"The URL cannot be read: {error}.") from error
    for asked in (request, *([pinned] if pinned else [])):
        check_request(asked, spec, source.agent.method, source.episodes)
    if not all(0 <= d < spec.obs_dim for d in dimensions):
        raise DaliError(f"The URL asks for observation dimensions {dimensions}; there are {spec.obs_dim}.")
    return PageState(request, extras, dimensions, pinned, sweep)


def _parse_sweep(text: str, source: FilmSource) -> tuple[str, int, float, float]:
    parts = text.split(":")
    if len(parts) != 4:
        raise DaliError(f"The URL asks for a sweep {text!r}; expected one such as g:7:5:15.")
    axis, count, low, high = parts[0], int(parts[1]), float(parts[2]), float(parts[3])
    plan_sweep(axis, source.agent.spec, source.episodes.code.shape[-1], count, (low, high))
    return axis, count, low, high


def sweep_axes(source: FilmSource) -> list[str]:
    """What a sweep can go over: context features and code dimensions."""
    return [f.name for f in source.agent.spec.features] + _code_names(source)


def whole_sweep(axis: str, source: FilmSource) -> tuple[str, int, float, float]:
    """The sweep of a quantity over all that it can go over."""
    low, high = widest(axis, source.agent.spec, source.episodes.code.shape[-1])
    return axis, COUNT, low, high


def follow_url(source: FilmSource) -> None:
    """Tells the widgets what the URL says, when the page is opened, the URL was changed, or another run was picked.

    Another run takes over the request where it can, so that two checkpoints can be compared.
    """
    url = {name: value for name, value in st.query_params.items() if name != CHOSEN}
    run = st.query_params.get(CHOSEN)
    run_before, url_before = st.session_state.get(WRITTEN, (run, None))
    if (run, url) == (run_before, url_before):
        return
    try:
        state = from_url(url, source)
    except DaliError as error:
        if url != url_before:  # not merely another run under the same request
            st.warning(f"{error} This is a film with defaults instead.", icon=":material/link_off:")
        state = default_state(source)
    set_widgets(state, source)


def set_widgets(state: PageState, source: FilmSource) -> None:
    """Puts a state into the widgets' values; before they are made in this run of the script."""
    request, session = state.request, st.session_state
    context = source.episodes.context[request.episode]
    session["film_episode"], session["film_t"], session["film_h"] = request.episode, request.t, request.horizon
    drawn = isinstance(request.latents, int)
    session["film_actions"], session["film_latents"] = request.actions, SEED if drawn else request.latents
    session["film_seed"] = request.latents if drawn else 0
    session["film_extras"], session["film_dims"] = list(state.extras), list(state.dimensions)
    for feature, value in zip(source.agent.spec.features, request.context_to(source.agent.spec, context), strict=True):
        session[f"film_{feature.name}"] = float(value)
    for j, k in enumerate(request.code_sigmas(source.episodes.code.shape[-1])):
        session[f"film_z{j}"] = float(k)
    for key, value in zip(SWEEP, state.sweep or whole_sweep(sweep_axes(source)[0], source), strict=True):
        session[key] = value
    session[PIN] = state.pinned


def read_widgets(source: FilmSource) -> PageState:
    """The state that the widgets hold now. A slider that rests on the episode's own physics asks for nothing."""
    session, spec = st.session_state, source.agent.spec
    context = source.episodes.context[session["film_episode"]]
    physics = []
    for feature, own in zip(spec.features, context, strict=True):
        value = session[f"film_{feature.name}"]
        if abs(value - own) >= step_of(feature) / 2:
            physics.append((feature.name, round(value, decimals_of(feature))))
    code = [(dimension(name), round(session[f"film_{name}"], 1)) for name in _code_names(source)]
    request = Request(
        episode=session["film_episode"],
        t=session["film_t"],
        horizon=session["film_h"],
        physics=tuple(physics),
        code=tuple((j, k) for j, k in code if k),
        actions=session["film_actions"],
        latents=session["film_seed"] if session["film_latents"] == SEED else session["film_latents"],
    )
    sweep = tuple(session[key] for key in SWEEP)
    return PageState(
        request,
        tuple(session["film_extras"]),
        tuple(sorted(session["film_dims"])),
        session.get(PIN),
        None if sweep == whole_sweep(sweep_axes(source)[0], source) or sweep[2] >= sweep[3] else sweep,
    )


def write_url(state: PageState) -> None:
    """Lets the URL follow the widgets."""
    url, run = to_url(state), st.query_params.get(CHOSEN)
    if st.session_state.get(WRITTEN) != (run, url):
        st.query_params.from_dict({CHOSEN: run, **url} if run else url)
        st.session_state[WRITTEN] = (run, url)


def fitted(pinned: Request, request: Request, source: FilmSource) -> Request | None:
    """The pinned request over the present film's steps, or None where its episode is too short for them."""
    asked = replace(pinned, horizon=request.horizon)
    try:
        check_request(asked, source.agent.spec, source.agent.method, source.episodes)
    except DaliError:
        return None
    return asked


def reset(source: FilmSource) -> None:
    """Puts all physics and code sliders back to rest."""
    session = st.session_state
    context = source.episodes.context[session["film_episode"]]
    for feature, own in zip(source.agent.spec.features, context, strict=True):
        session[f"film_{feature.name}"] = float(own)
    for name in _code_names(source):
        session[f"film_{name}"] = 0.0


def change_episode(source: FilmSource, before: int) -> None:
    """After another episode was chosen: sliders at rest move to its physics, start and horizon fit into it."""
    session, episodes = st.session_state, source.episodes
    now = session["film_episode"]
    for i, feature in enumerate(source.agent.spec.features):
        key = f"film_{feature.name}"
        if abs(session[key] - episodes.context[before, i]) < step_of(feature) / 2:
            session[key] = float(episodes.context[now, i])
    fit_times(source)


def fit_times(source: FilmSource) -> None:
    """Keeps start and horizon inside the episode."""
    session = st.session_state
    length = int(source.episodes.length[session["film_episode"]])
    session["film_t"] = min(session["film_t"], length - 1)
    longest = longest_horizon(session["film_actions"], length, session["film_t"])
    session["film_h"] = max(1, min(session["film_h"], longest))


def step_of(feature: ContextFeature) -> float:
    """The step of a physics slider: a power of ten, at least 100 of them over the limits."""
    return 10.0 ** -decimals_of(feature)


def decimals_of(feature: ContextFeature) -> int:
    """Decimals that a physics slider shows."""
    low, high = feature.limits
    decimals = 0
    while (high - low) * 10**decimals < 100:
        decimals += 1
    return decimals


def code_range() -> tuple[float, float]:
    """Ends of a code slider, in the data's standard deviations."""
    return -MAX_SIGMA, MAX_SIGMA


def _code_names(source: FilmSource) -> list[str]:
    return [f"z{j}" for j in range(source.episodes.code.shape[-1])]
