"""What is written can be read back as it was: requests, takes and configurations as JSON, commands, and URLs."""

import json
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dali.config import PRESETS, make_config
from dali.dreams.counterfactual import ACTION_SOURCES, ENGINES
from dali.dreams.request import MAX_SIGMA, Request, parse_code, parse_latents, parse_physics
from dali.dreams.take import Take
from dali.export.bundle import Bundle
from dali.export.pictures import EXTRAS
from dali.methods import METHODS
from dali.runs.film_source import open_film_source
from dali.runs.schema import parse_config
from dali.studio.film.url import PageState, from_url, to_url

# Training flushes subnormal numbers in its process, and other tests train.
finite = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
requests = st.builds(
    Request,
    episode=st.integers(0, 10_000),
    t=st.integers(0, 1000),
    horizon=st.integers(1, 200),
    physics=st.dictionaries(st.sampled_from(["g", "l", "string_length"]), finite).map(lambda d: tuple(d.items())),
    code=st.dictionaries(st.integers(0, 7), finite).map(lambda d: tuple(d.items())),
    actions=st.sampled_from(ACTION_SOURCES),
    latents=st.one_of(st.sampled_from(["mean", "mode"]), st.integers(0, 2**31 - 1)),
    engine=st.sampled_from(ENGINES),
)


@given(requests)
def test_a_request_survives_json(request):
    assert Request.from_json(request.to_json()) == request


def asked_by(words):
    """The request that options of ``python -m dali counterfactual`` ask for."""
    given_ = {name: [v for n, v in zip(words[::2], words[1::2], strict=True) if n == name] for name in words[::2]}
    return Request(
        episode=int(given_["--episode"][0]),
        t=int(given_["--t"][0]),
        horizon=int(given_["--horizon"][0]),
        physics=parse_physics(given_.get("--physics", [])),
        code=parse_code(given_.get("--code", [])),
        actions=given_["--actions"][0],
        latents=parse_latents(given_["--latents"][0]),
        engine=given_["--engine"][0],
    )


@given(requests)
def test_a_request_survives_the_command_line(request):
    assert asked_by(request.arguments()) == request


@given(requests, requests, st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20))
def test_the_command_of_a_manifest_asks_for_the_same_film(request, pinned, name):
    film, other = (SimpleNamespace(request=r) for r in (request, pinned))
    bundle = Bundle(film, None, None, 256, ("ghost",), other)
    words = shlex.split(bundle.command_line(Path("runs") / name, "0" * 64))
    start = len(["python", "-m", "dali", "counterfactual", "RUN"])
    assert words[start - 1] == str(Path("runs") / name)
    options = words[start:]
    assert asked_by(options) == request
    assert Request.from_json(options[options.index("--pin") + 1]) == pinned


physics = st.dictionaries(st.sampled_from(["g", "l"]), finite).map(lambda d: tuple(d.items()))


@given(
    st.integers(0, 1000),
    st.integers(0, 200),
    st.sampled_from(ENGINES),
    st.integers(1, 3).flatmap(lambda n: st.lists(st.tuples(*[finite] * n), max_size=5)),
    st.lists(st.tuples(st.integers(0, 9), physics), max_size=3),
)
def test_a_take_survives_json(episode, t, engine, actions, moves):
    take = Take(episode, t, engine, tuple(actions), tuple(moves))
    assert Take.from_json(json.dumps(take.to_dict())) == take


@pytest.fixture(scope="module")
def source(make_run):
    return open_film_source(make_run())


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_a_page_shows_survives_its_url(source, data):
    episodes, spec = source.episodes, source.agent.spec
    episode = data.draw(st.integers(0, len(episodes.obs) - 1))
    t = data.draw(st.integers(0, int(episodes.length[episode]) - 2))
    values = {f.name: st.none() | st.floats(*f.limits, allow_subnormal=False) for f in spec.features}
    chosen = data.draw(st.fixed_dictionaries(values))
    asked = tuple((f.name, chosen[f.name]) for f in spec.features if chosen[f.name] is not None)
    sigmas = st.floats(-MAX_SIGMA, MAX_SIGMA, allow_subnormal=False)
    code = data.draw(st.dictionaries(st.integers(0, episodes.code.shape[-1] - 1), sigmas.filter(bool)))
    request = Request(
        episode=episode,
        t=t,
        horizon=data.draw(st.integers(1, int(episodes.length[episode]) - t)),
        physics=asked,
        code=tuple(sorted(code.items())),
        actions=data.draw(st.sampled_from(ACTION_SOURCES)),
        latents=data.draw(st.one_of(st.sampled_from(["mean", "mode"]), st.integers(0, 2**31 - 1))),
    )
    dimensions = data.draw(st.lists(st.integers(0, spec.obs_dim - 1), unique=True, min_size=1).map(sorted))
    shown = data.draw(st.sets(st.sampled_from(list(EXTRAS))))
    extras = [extra for extra in EXTRAS if extra in shown]
    axis, limits = data.draw(st.sampled_from([*((f.name, f.limits) for f in spec.features), ("z1", (-3.0, 3.0))]))
    ends = st.tuples(*[st.floats(*limits, allow_subnormal=False)] * 2).filter(lambda pair: pair[0] < pair[1])
    swept = st.tuples(st.just(axis), st.integers(2, 9), ends).map(lambda parts: (*parts[:2], *parts[2]))
    state = PageState(
        request,
        tuple(extras),
        tuple(dimensions),
        pinned=data.draw(st.none() | st.just(request)),
        sweep=data.draw(st.none() | swept),
    )
    back, said = from_url(to_url(state), source)
    assert said == []
    assert back == state


@settings(deadline=None)
@given(
    env=st.sampled_from(["pendulum", "walker"]),
    method=st.sampled_from(sorted(METHODS)),
    preset=st.sampled_from(sorted(PRESETS)),
    seed=st.integers(0, 2**31),
    rate=st.floats(0, 1, allow_nan=False, allow_subnormal=False),
    steps=st.integers(50_000, 10**7),
)
def test_a_configuration_survives_json(env, method, preset, seed, rate, steps):
    config = make_config(env, method, preset, seed, steps, model_lr=rate)
    assert parse_config(json.loads(json.dumps(config.to_dict())), "config.json") == config
