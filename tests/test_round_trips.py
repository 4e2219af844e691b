"""What is written can be read back as it was: requests as JSON and as a command line, configurations as JSON."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from dali.config import PRESETS, make_config, parse_config
from dali.dreams.counterfactual import ACTION_SOURCES, ENGINES
from dali.dreams.request import Request, parse_code, parse_latents, parse_physics
from dali.methods import METHODS

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


@given(requests)
def test_a_request_survives_the_command_line(request):
    words = request.arguments()
    given_ = {name: [v for n, v in zip(words[::2], words[1::2], strict=True) if n == name] for name in words[::2]}
    back = Request(
        episode=int(given_["--episode"][0]),
        t=int(given_["--t"][0]),
        horizon=int(given_["--horizon"][0]),
        physics=parse_physics(given_.get("--physics", [])),
        code=parse_code(given_.get("--code", [])),
        actions=given_["--actions"][0],
        latents=parse_latents(given_["--latents"][0]),
        engine=given_["--engine"][0],
    )
    assert back == request


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
