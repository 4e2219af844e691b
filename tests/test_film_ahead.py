"""The film that is made ahead is the one that a slider's next step asks for, and none where a step tells nothing."""

from dataclasses import replace

import numpy as np
import pytest

from dali.dreams.request import Request
from dali.envs import catalogue
from dali.studio.film.ahead import next_request

PENDULUM = catalogue.spec("pendulum")
OWN = np.array([9.83, 1.0])


def asked(**physics: float) -> Request:
    return Request(0, 5, 20, physics=tuple(physics.items()))


@pytest.mark.parametrize(
    ("before", "now", "following"),
    [
        (asked(g=12.0), asked(g=12.1), asked(g=12.2)),
        (asked(g=12.0), asked(g=11.9), asked(g=11.8)),
        (asked(g=2.4), asked(g=2.3), asked(g=2.2)),  # as the page reads a slider, not 2.1999999999999997
        (asked(), asked(g=9.9), asked(g=10.0)),  # from the episode's own value, which is no step of the slider
        (asked(g=10.0), asked(g=9.9), asked()),  # back to where the slider asks for nothing
        (asked(g=12.0, l=0.7), asked(g=12.1, l=0.7), asked(g=12.2, l=0.7)),
        (asked(l=0.7), asked(g=9.9, l=0.7), asked(g=10.0, l=0.7)),  # features stay in the environment's order
    ],
)
def test_a_step_is_followed_by_the_same_step(before, now, following):
    assert next_request(PENDULUM, OWN, before, now) == following


def test_it_ends_where_the_slider_ends():
    low, high = PENDULUM.features[0].limits
    assert next_request(PENDULUM, OWN, asked(g=high - 0.1), asked(g=high)) is None
    assert next_request(PENDULUM, OWN, asked(g=low + 0.1), asked(g=low)) is None


@pytest.mark.parametrize(
    "now",
    [
        asked(g=12.0),  # nothing moved
        asked(g=12.5),  # a jump
        asked(g=12.1, l=0.7),  # two sliders
        replace(asked(g=12.1), t=6),
        replace(asked(g=12.1), latents="mode"),
        replace(asked(g=12.1), code=((0, 1.0),)),
    ],
)
def test_what_is_no_single_step_tells_nothing(now):
    assert next_request(PENDULUM, OWN, asked(g=12.0), now) is None
