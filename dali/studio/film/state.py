"""The state of the counterfactuals page: what its widgets hold, and what of it the URL and the session keep.

The URL follows the widgets, so that opening it elsewhere shows the same film and the browser's Back undoes a step.
A default film is not written out: a URL that names a checkpoint alone stands for it. The session remembers the last
film of every checkpoint, for when a person comes back from another page or another checkpoint.
"""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from dali.dreams.film import FilmSource
from dali.dreams.request import MAX_SIGMA, Request, check_request, dimension, longest_horizon
from dali.envs.spec import ContextFeature
from dali.errors import DaliError
from dali.export.pictures import quantity
from dali.export.sweep import COUNT, widest
from dali.studio.film.url import FRAME, SECOND, PageState, default_state, from_url, to_url
from dali.studio.loaders import CHOSEN

WRITTEN = "film_url"  # run, environment and film parameters that this page last left in the URL
KEPT = "film_kept"  # run -> film parameters, of all checkpoints that this session has looked at
SAID = "film_said"  # sentences to show once: what of an entry or a URL was not followed
PIN = "film_pin"
SEED = "sample"  # the choice of latents that are drawn with a seed
SWEEP = ("film_sweep_axis", "film_sweep_count", "film_sweep_from", "film_sweep_to")


def sweep_axes(source: FilmSource) -> list[str]:
    """What a sweep can go over: context features and code dimensions."""
    return [f.name for f in source.agent.spec.features] + _code_names(source)


def whole_sweep(axis: str, source: FilmSource) -> tuple[str, int, float, float]:
    """The sweep of a quantity over all that it can go over."""
    low, high = widest(axis, source.agent.spec, source.episodes.code.shape[-1])
    return axis, COUNT, low, high


def say(text: str) -> None:
    """Notes a sentence that the page shows once."""
    st.session_state.setdefault(SAID, []).append(text)


def take_said() -> list[str]:
    """The sentences to show in this run of the script."""
    return st.session_state.pop(SAID, [])


def is_bare_url() -> bool:
    """Whether the page was opened by its name alone, as the navigation does; before a checkpoint is chosen."""
    return not st.query_params.to_dict()


def follow_url(source: FilmSource, bare: bool, others: Sequence[str]) -> None:
    """Tells the widgets what to show when the page is opened, its URL changed from outside, or another run picked.

    Another run of the same environment takes over the request, so that two checkpoints can be compared.

    Args:
        bare: of ``is_bare_url``. others: the runs that can be set beside this one.
    """
    session, run, env = st.session_state, st.query_params.get(CHOSEN, ""), source.agent.spec.name
    url = _film_parameters()
    run_before, env_before, url_before = session.get(WRITTEN, (run, env, None))
    fresh = "film_episode" not in session  # another page was shown, and Streamlit dropped the widgets of this one
    if (run, url) == (run_before, url_before) and not (fresh or bare):
        return
    if run == run_before and not fresh and _url_of(read_widgets(source), source) != url_before:
        return  # a widget moved before the browser had heard of the URL that the last move was given
    kept = session.get(KEPT, {}).get(run, {})
    said: list[str] = []
    if run != run_before and url == url_before:  # the picker's doing: the URL still asks for the other run's film
        if url.get(SECOND) == run:  # two agents change places
            url = {**url, SECOND: run_before}
        state, said = from_url(url, source, others) if url and env == env_before else (None, [])
        if state is None or said:
            state, said = from_url(kept, source, others)
    elif url:
        state, said = from_url(url, source, others)
    else:
        state, said = from_url(kept if fresh or bare or run != run_before else {}, source, others)
    set_widgets(state, source)
    for sentence in said:
        say(sentence)


def set_widgets(state: PageState, source: FilmSource) -> None:
    """Puts a state into the widgets' values; before they are made in this run of the script."""
    request, session = state.request, st.session_state
    context = source.episodes.context[request.episode]
    session["film_episode"], session["film_t"], session["film_h"] = request.episode, request.t, request.horizon
    drawn = isinstance(request.latents, int)
    session["film_actions"], session["film_latents"] = request.actions, SEED if drawn else request.latents
    session["film_seed"] = request.latents if drawn else 0
    session["film_engine"] = request.engine
    session["film_extras"], session["film_dims"] = list(state.extras), list(state.dimensions)
    for feature, value in zip(source.agent.spec.features, request.context_to(source.agent.spec, context), strict=True):
        session[f"film_{feature.name}"] = float(value)
    for j, k in enumerate(request.code_sigmas(source.episodes.code.shape[-1])):
        session[f"film_z{j}"] = float(k)
    for key, value in zip(SWEEP, state.sweep or whole_sweep(sweep_axes(source)[0], source), strict=True):
        session[key] = value
    session[PIN] = state.pinned
    session["film_second"] = state.second or None


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
        engine=session["film_engine"],
    )
    sweep = tuple(session[key] for key in SWEEP)
    return PageState(
        request,
        tuple(session["film_extras"]),
        tuple(sorted(session["film_dims"])),
        session.get(PIN),
        None if sweep == whole_sweep(sweep_axes(source)[0], source) or sweep[2] >= sweep[3] else sweep,
        session["film_second"] or "",
    )


def write_url(state: PageState, source: FilmSource) -> None:
    """Lets the URL and the session's memory follow the widgets."""
    run, env = st.query_params.get(CHOSEN, ""), source.agent.spec.name
    url = _url_of(state, source)
    if _film_parameters() != url:
        kept = {name: st.query_params[name] for name in (CHOSEN, FRAME) if name in st.query_params}
        st.query_params.from_dict({**kept, **url})
    st.session_state[WRITTEN] = (run, env, url)
    st.session_state.setdefault(KEPT, {})[run] = url


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
    """Keeps start, horizon and seed in their ranges, and says what was changed."""
    session = st.session_state
    episode = session["film_episode"]
    length = int(source.episodes.length[episode])
    _fit("film_t", "The start", 0, length - 1, f"episode {episode} has {length} steps")
    longest = longest_horizon(session["film_actions"], length, session["film_t"])
    _fit("film_h", "The horizon", 1, longest, f"at most {longest} can be dreamed from step {session['film_t']}")
    if session.get("film_seed") is not None:
        _fit("film_seed", "The seed", 0, 2**31 - 1, f"seeds go from 0 to {2**31 - 1}")


def take_entry(feature: ContextFeature, value: float | None) -> None:
    """Puts a typed value of a context feature on its slider; beyond the limits the nearest one, and says so."""
    if value is None:  # an entry that was emptied
        return
    low, high = feature.limits
    near = min(max(value, low), high)
    if near != value:
        say(
            f"{feature.label.capitalize()} {quantity(feature, value)} is out of range, which is {low:g} to "
            f"{quantity(feature, high)}: it is {quantity(feature, near)} now."
        )
    st.session_state[f"film_{feature.name}"] = near


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


def _film_parameters() -> dict[str, str]:
    """What the URL says of the film."""
    return {name: value for name, value in st.query_params.items() if name not in (CHOSEN, FRAME)}


def _url_of(state: PageState, source: FilmSource) -> dict[str, str]:
    """What the URL says of a film; nothing where it is the one that the page opens with."""
    return {} if state == default_state(source) else to_url(state)


def _fit(key: str, name: str, low: int, high: int, why: str) -> None:
    session = st.session_state
    near = min(max(session[key] if session[key] is not None else low, low), high)
    if near != session[key]:
        say(f"{name} is {near} now: {why}.")
        session[key] = near


def _code_names(source: FilmSource) -> list[str]:
    return [f"z{j}" for j in range(source.episodes.code.shape[-1])]
