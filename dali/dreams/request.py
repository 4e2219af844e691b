"""What is asked of a counterfactual film: which episode, from when, under which physics and which change of the code.

A request is plain data: it makes the film (dali.dreams.film), the URL of a page, and the command line of a manifest.

Shapes: F context features, Z code dimensions.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np

from dali.dreams.counterfactual import ACTION_SOURCES, ENGINES, ActionSource, Engine, Latents
from dali.envs.spec import EnvSpec
from dali.episodes import Episodes
from dali.errors import DaliError, unknown_name
from dali.methods import Method

MAX_HORIZON = 200  # steps
MAX_SIGMA = 3.0  # of a code slider, in the data's standard deviations


@dataclass(frozen=True)
class Request:
    """One counterfactual.

    Attributes:
        episode: index among the recorded episodes. t: record that dreams start from. horizon: steps dreamed.
        physics: (feature, value in its unit) of what is asked; other features keep the episode's value.
        code: (dimension, change in the data's standard deviations) of the code sliders that are not at rest.
        actions: those recorded, zeros, or the policy's own.
        latents: a seed that draws latents and the policy's actions, or "mean" or "mode".
        engine: what dreams, the world model or the dynamics ensemble (dali.dreams.counterfactual).
    """

    episode: int
    t: int
    horizon: int
    physics: tuple[tuple[str, float], ...] = ()
    code: tuple[tuple[int, float], ...] = ()
    actions: ActionSource = "recorded"
    latents: Latents = "mean"
    engine: Engine = "rssm"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; ``Request.from_dict`` gives the same request back."""
        data = asdict(self)
        return data | {"physics": dict(self.physics), "code": {f"z{j}": k for j, k in self.code}}

    def to_json(self) -> str:
        """One line of JSON, as URLs and commands carry it."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Request":
        """The request of ``to_json``. Raises DaliError where it is none."""
        try:
            return cls.from_dict(json.loads(text))
        except json.JSONDecodeError as error:
            raise DaliError(f"This is not a counterfactual's request: {text!r} is no JSON ({error}).") from error

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Request":
        """The request of ``to_dict``. Raises DaliError where a field is missing or of another kind."""
        try:
            return cls(
                episode=int(data["episode"]),
                t=int(data["t"]),
                horizon=int(data["horizon"]),
                physics=tuple((str(name), float(value)) for name, value in data["physics"].items()),
                code=tuple((dimension(name), float(value)) for name, value in data["code"].items()),
                actions=data["actions"],
                latents=parse_latents(str(data["latents"])),
                engine=data.get("engine", "rssm"),  # requests of before there were two have none
            )
        except KeyError as error:
            raise DaliError(f"This is not a counterfactual's request: it lacks {error}.") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise DaliError(f"This is not a counterfactual's request: {error}.") from error

    def arguments(self) -> list[str]:
        """The options of ``python -m dali counterfactual`` that ask for the same."""
        options = ["--episode", str(self.episode), "--t", str(self.t), "--horizon", str(self.horizon)]
        for name, value in self.physics:
            options += ["--physics", f"{name}={value!r}"]
        for j, k in self.code:
            options += ["--code", f"z{j}={k:+}"]
        return [*options, "--actions", self.actions, "--latents", str(self.latents), "--engine", self.engine]

    def context_to(self, spec: EnvSpec, context: np.ndarray) -> np.ndarray:
        """The asked physics (F,): ``context`` with the asked features replaced."""
        asked = np.array(context, float)
        for name, value in self.physics:
            asked[spec.feature_index(name)] = value
        return asked

    def code_sigmas(self, size: int) -> np.ndarray:
        """The code sliders (Z,) in the data's standard deviations."""
        sigmas = np.zeros(size)
        for j, k in self.code:
            sigmas[j] = k
        return sigmas


def dimension(name: str) -> int:
    """The index of a code dimension's name: 3 of "z3". Raises DaliError for another form."""
    if not re.fullmatch(r"z\d+", name):
        raise DaliError(f"Unknown code dimension {name!r}; expected z0, z1, ...")
    return int(name[1:])


def parse_latents(text: str) -> Latents:
    """How latents are taken: "mean", "mode", or a seed that draws them. Raises DaliError for another form."""
    if text in ("mean", "mode"):
        return cast(Latents, text)
    if not re.fullmatch(r"\d{1,10}", text):
        raise DaliError(f"Latents are {text!r}; expected mean, mode, or a seed such as 0 that draws them.")
    return int(text)


def parse_physics(pairs: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """("g=4.9", ...) as a request holds them. Raises DaliError for another form or a feature named twice."""
    return _parse_pairs(pairs, "--physics", "g=4.9")


def parse_code(pairs: Sequence[str]) -> tuple[tuple[int, float], ...]:
    """("z3=+1.5", ...) as a request holds them. Raises DaliError for another form or a dimension named twice."""
    return tuple((dimension(name), value) for name, value in _parse_pairs(pairs, "--code", "z3=+1.5"))


def _parse_pairs(pairs: Sequence[str], option: str, example: str) -> tuple[tuple[str, float], ...]:
    parsed: dict[str, float] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            value = float(text)
        except ValueError:
            raise DaliError(f"{option} {pair!r} is not of the form NAME=NUMBER, such as {example}.") from None
        if name in parsed:
            raise DaliError(f"{option} names {name!r} twice.")
        parsed[name] = value
    return tuple(parsed.items())


def check_request(request: Request, spec: EnvSpec, method: Method, episodes: Episodes) -> None:
    """Raises DaliError for the first part of a request that these episodes and this method cannot serve."""
    count = len(episodes.obs)
    if not 0 <= request.episode < count:
        raise DaliError(f"Episode {request.episode} does not exist; there are {count}, numbered from 0.")
    length = int(episodes.length[request.episode])
    if not 0 <= request.t < length:
        raise DaliError(f"Start {request.t} is not in episode {request.episode}; expected 0 to {length - 1}.")
    if request.actions not in ACTION_SOURCES:
        raise unknown_name("actions", request.actions, ACTION_SOURCES)
    if request.engine not in ENGINES:
        raise unknown_name("engine", request.engine, ENGINES)
    longest = longest_horizon(request.actions, length, request.t)
    if not 1 <= request.horizon <= longest:
        raise DaliError(
            f"Horizon {request.horizon} does not fit {request.actions} actions from step {request.t} of an episode "
            f"of {length} steps; expected 1 to {longest}."
        )
    if isinstance(request.latents, int) and not 0 <= request.latents < 2**31:
        raise DaliError(f"Seed {request.latents} is out of range; expected 0 to {2**31 - 1}.")
    for name, value in request.physics:
        feature = spec.feature(name)
        low, high = feature.limits
        if not (math.isfinite(value) and low <= value <= high):
            raise DaliError(f"{feature.label} {value:g} {feature.unit} is out of range; expected {low:g} to {high:g}.")
    size = episodes.code.shape[-1]
    if request.code and not method.infers_context:
        raise DaliError(f"{method.title} infers no context code, so there is no code to change.")
    for j, k in request.code:
        if not 0 <= j < size:
            raise DaliError(f"Code dimension z{j} does not exist; the code has z0 to z{size - 1}.")
        if not abs(k) <= MAX_SIGMA:
            raise DaliError(f"A change of z{j} by {k:g} σ is out of range; expected -{MAX_SIGMA:g} to {MAX_SIGMA:g}.")


def longest_horizon(actions: ActionSource, length: int, t: int) -> int:
    """The most steps that can be dreamed from record t: recorded actions end with their episode."""
    return min(MAX_HORIZON, length - t) if actions == "recorded" else MAX_HORIZON
