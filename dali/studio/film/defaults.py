"""The film that the counterfactuals page opens with: a real counterfactual that the agent can be expected to dream.

It is chosen by what is known before anything is dreamed, never by how well the dream turns out.

Shapes: E episodes, F context features, Z code dimensions.
"""

import numpy as np

from dali.dreams.film import FilmSource
from dali.dreams.request import Request
from dali.dreams.steering import HORIZONS, START
from dali.envs.spec import ContextFeature

HORIZON = max(HORIZONS)  # steps
AS_WELL = 2.0  # a feature is told as well as the best one where the probe's relative error is at most so many times it
DEEP = 0.1  # of the train range, from its low end: the physics that is offered
FAR = 0.75  # of the train range, from its low end: episodes above it are far from what is offered


def default_request(source: FilmSource) -> Request:
    """A held-out episode inside the train range, acted in by noise, its code on the data, asked for physics far away.

    Where no episode is all of that, the first wish that cannot be kept is dropped: the distance, then the support, then
    the held-out physics.
    """
    episodes, spec = source.episodes, source.agent.spec
    long = episodes.length >= START + HORIZON
    held_out = long & (episodes.regime == "interpolation") & episodes.explored
    feature = spec.features[_feature_to_turn(source, held_out)]
    offered = offered_value(feature)
    inside = held_out & _on_data(source, feature, offered)
    low, high = feature.train
    far = inside & (episodes.context[:, spec.features.index(feature)] >= low + FAR * (high - low))
    wishes = next((w for w in (far, inside, held_out, long) if w.any()), np.ones(len(long), bool))
    index = int(np.flatnonzero(wishes)[_strangeness(source, feature)[wishes].argmin()])
    length = int(episodes.length[index])
    t = min(START, length // 2)
    physics = () if abs(episodes.context[index, spec.features.index(feature)] - offered) < 1e-9 else (
        (feature.name, offered),
    )  # fmt: skip
    return Request(index, t, min(HORIZON, length - t), physics)


def offered_value(feature: ContextFeature) -> float:
    """The physics asked for: near the low end of the train range, a number that a slider can show."""
    low, high = feature.train
    return float(f"{low + DEEP * (high - low):.2g}")


def _feature_to_turn(source: FilmSource, held_out: np.ndarray) -> int:
    """The first feature that codes tell about as well as any: what a picture cannot show is not asked for."""
    if source.steering is None or not held_out.any():
        return 0
    features = source.agent.spec.features
    read = source.steering.probe.predict(source.episodes.code[held_out, START])
    width = np.array([high - low for low, high in (f.train for f in features)])
    error = np.abs(read - source.episodes.context[held_out]).mean(0) / width
    return int(np.flatnonzero(error <= AS_WELL * error.min())[0])


def _on_data(source: FilmSource, feature: ContextFeature, offered: float) -> np.ndarray:
    """(E,) whether the code at the start, and where the offered physics moves it, lie within the data's codes."""
    if source.steering is None:
        return np.ones(len(source.episodes.obs), bool)
    context = source.episodes.context
    asked = context.copy()
    asked[:, source.agent.spec.features.index(feature)] = offered
    code = source.episodes.code[:, min(START, source.episodes.code.shape[1] - 1)]
    moved = code + source.steering.code_map.shift(context, asked)
    support = source.steering.support
    return (support.distance(code) <= support.threshold) & (support.distance(moved) <= support.threshold)


def _strangeness(source: FilmSource, turned: ContextFeature) -> np.ndarray:
    """(E,) how far the features that are not turned lie from their defaults, in train ranges."""
    total = np.zeros(len(source.episodes.obs))
    for i, feature in enumerate(source.agent.spec.features):
        if feature != turned:
            total += np.abs(source.episodes.context[:, i] - feature.default) / (feature.train[1] - feature.train[0])
    return total
