"""The URL of the counterfactuals page: what it says, read leniently, and what of it could not be followed.

A parameter that cannot be read is left out, a number that is out of range is put to the nearest one that is not, and
each is told in a sentence: a link from elsewhere still opens what it can, and nobody takes it for what was asked.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from dali.dreams.counterfactual import ACTION_SOURCES, Latents, check_engine, engines
from dali.dreams.film import FilmSource
from dali.dreams.request import MAX_SIGMA, Request, check_request, longest_horizon, parse_latents
from dali.envs.units import measured
from dali.errors import DaliError
from dali.export.pictures import EXTRAS, Extra
from dali.export.sweep import plan_sweep
from dali.studio.film.defaults import HORIZON, START, default_request

FRAME = "frame"  # where the film stands: the player's own, which no request reads
SECOND = "second"
SHOWN = 6  # observation dimensions that are plotted unless others are chosen

T = TypeVar("T", bound=str)


@dataclass(frozen=True)
class PageState:
    """All that decides what the page shows."""

    request: Request
    extras: tuple[Extra, ...] = ()
    dimensions: tuple[int, ...] = ()  # observation dimensions plotted
    pinned: Request | None = None
    sweep: tuple[str, int, float, float] | None = None  # quantity, values, ends; None for the first one as a whole
    second: str = ""  # the run of another agent that dreams the same beside it


def default_state(source: FilmSource) -> PageState:
    """What the page opens with: a counterfactual, its latents their means, as figures are made."""
    return PageState(default_request(source), dimensions=tuple(range(min(SHOWN, source.agent.spec.obs_dim))))


def to_url(state: PageState) -> dict[str, str]:
    """The query parameters of a state, but the checkpoint's."""
    request = state.request
    url = {"episode": str(request.episode), "t": str(request.t), "h": str(request.horizon), "actions": request.actions}
    url["latents"] = str(request.latents)
    if request.engine != "rssm":
        url["engine"] = request.engine
    url |= {name: f"{value!r}" for name, value in request.physics}
    url |= {f"z{j}": _exact(k) for j, k in request.code}
    if state.extras:
        url["extra"] = ",".join(state.extras)
    url["dims"] = ",".join(map(str, state.dimensions))
    if state.sweep:
        axis, count, low, high = state.sweep
        url["sweep"] = f"{axis}:{count}:{_exact(low)}:{_exact(high)}"
    if state.pinned is not None:
        url["pin"] = state.pinned.to_json()
    if state.second:
        url[SECOND] = state.second
    return url


def _exact(value: float) -> str:
    """As few digits as it takes to read the same number back."""
    return repr(float(value)).removesuffix(".0")


def from_url(url: Mapping[str, str], source: FilmSource, others: Sequence[str] = ()) -> tuple[PageState, list[str]]:
    """The state of query parameters, and a sentence for each that was not followed as it stands.

    ``others`` are the runs that can be set beside this one.
    Without any parameter it is the default state. With some, what they don't say is at rest: no physics and no code is
    asked for.
    """
    start = default_state(source)
    if not url:
        return start, []
    reader = _Reader(url, source)
    request = reader.request(start.request.episode)
    extras = tuple(e for e in EXTRAS if e in reader.choices("extra", EXTRAS))
    dimensions = start.dimensions
    if "dims" in url:
        names = [str(i) for i in range(source.agent.spec.obs_dim)]
        dimensions = tuple(int(d) for d in names if d in reader.choices("dims", names))
    state = PageState(request, extras, dimensions, reader.pinned(), reader.sweep(), reader.second(others))
    reader.refuse_unknown()
    return state, reader.said


@dataclass
class _Reader:
    """Takes parameter after parameter off a URL and notes what could not be followed."""

    url: Mapping[str, str]
    source: FilmSource
    said: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)

    def request(self, episode_by_default: int) -> Request:
        """The request that the URL stands for, one that the episodes can serve."""
        spec, episodes = self.source.agent.spec, self.source.episodes
        count = len(episodes.obs)
        episode = self.whole("episode", 0, count - 1, episode_by_default, f"there are episodes 0 to {count - 1}")
        length = int(episodes.length[episode])
        t = self.whole("t", 0, length - 1, min(START, length // 2), f"episode {episode} has {length} steps")
        actions = self.one_of("actions", ACTION_SOURCES, f"expected one of {', '.join(ACTION_SOURCES)}")
        longest = longest_horizon(actions, length, t)
        horizon = self.whole("h", 1, longest, min(HORIZON, longest), f"at most {longest} steps follow")
        asked = [(f.name, self.number(f.name, *f.limits, unit=f.unit)) for f in spec.features]
        moved = [(j, self.number(f"z{j}", -MAX_SIGMA, MAX_SIGMA, unit="σ")) for j in range(episodes.code.shape[-1])]
        physics = tuple((name, value) for name, value in asked if value is not None)
        code = tuple((j, value) for j, value in moved if value)
        latents, offered = self.latents(), engines(self.source.agent)
        engine = self.one_of("engine", offered, f"this agent dreams with {' or '.join(offered)}")
        return Request(episode, t, horizon, physics, code, actions, latents, engine)

    def one_of(self, name: str, offered: Sequence[T], why: str) -> T:
        """One of the words offered, the first of them where the URL has none, as on the command line."""
        self.known.add(name)
        asked = self.url.get(name, offered[0])
        found = next((word for word in offered if word == asked), None)
        if found is None:
            self.ignore(name, why)
        return found or offered[0]

    def whole(self, name: str, low: int, high: int, default: int, why: str) -> int:
        """A whole number, put into its range."""
        self.known.add(name)
        text = self.url.get(name)
        if text is None:
            return default
        try:
            value = int(text)
        except ValueError:
            self.ignore(name, f"expected a whole number; it is {default} now")
            return default
        if low <= value <= high:
            return value
        near = min(max(value, low), high)
        self.ignore(name, f"{why}; it is {near} now")
        return near

    def number(self, name: str, low: float, high: float, unit: str) -> float | None:
        """A number, put into its range; None where the URL has none."""
        self.known.add(name)
        text = self.url.get(name)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            self.ignore(name, "expected a number")
            return None
        near = min(max(value, low), high)
        if near != value:
            reach = measured(f"{low:g} to {high:g}", unit)
            self.ignore(name, f"it reaches from {reach}; it is {measured(f'{near:g}', unit)} now")
        return near

    def choices(self, name: str, offered: Sequence[str]) -> list[str]:
        """Those of a list of words that are offered."""
        self.known.add(name)
        asked = [word for word in self.url.get(name, "").split(",") if word]
        if not set(asked) <= set(offered):
            self.ignore(name, f"expected some of {', '.join(offered)}")
        return [word for word in asked if word in offered]

    def latents(self) -> Latents:
        self.known.add("latents")
        try:
            latents = parse_latents(self.url.get("latents", "mean"))
        except DaliError:
            latents = None
        if latents is None or (isinstance(latents, int) and latents >= 2**31):
            self.ignore("latents", "expected mean, mode, or a seed below 2147483648")
            return "mean"
        return latents

    def pinned(self) -> Request | None:
        self.known.add("pin")
        if "pin" not in self.url:
            return None
        try:
            pinned = Request.from_json(self.url["pin"])
            check_request(pinned, self.source.agent.spec, self.source.agent.method, self.source.episodes)
            check_engine(self.source.agent, pinned.engine)
        except DaliError as error:
            self.said.append(f"The pinned dream of the URL was ignored: {error}")
            return None
        return pinned

    def sweep(self) -> tuple[str, int, float, float] | None:
        self.known.add("sweep")
        if "sweep" not in self.url:
            return None
        parts = self.url["sweep"].split(":")
        try:
            axis, count, low, high = parts[0], int(parts[1]), float(parts[2]), float(parts[3])
            plan_sweep(axis, self.source.agent.spec, self.source.episodes.code.shape[-1], count, (low, high))
        except (DaliError, ValueError, IndexError) as error:
            reason = str(error) if isinstance(error, DaliError) else "expected one such as g:7:5:15"
            self.ignore("sweep", reason.rstrip("."))
            return None
        return axis, count, low, high

    def second(self, others: Sequence[str]) -> str:
        self.known.add(SECOND)
        name = self.url.get(SECOND, "")
        if name and name not in others:
            self.ignore(SECOND, "there is no other run of that name whose agent could dream this film")
            return ""
        return name

    def refuse_unknown(self) -> None:
        """Notes every parameter that nothing has read."""
        for name in self.url:
            if name not in self.known:
                self.ignore(name, f"{self.source.agent.spec.title} has nothing of that name")

    def ignore(self, name: str, why: str) -> None:
        self.said.append(f"{name}={self.url[name]} of the URL was not followed: {why}.")
