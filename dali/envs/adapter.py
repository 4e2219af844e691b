"""Environments from outside this package: what their authors write, and the simulator that is made of it.

An author describes the physics (`feature`, `describe`) and writes one copy of the environment as a subclass of
`Adapter`; `simulator_type` makes N copies of it answer like any simulator here. docs/environments.md has an example.

Shapes: N copies, O observation, A action, F context features, P the author's own state. Their simulator's state is the
observation (O,) with the author's state (P,) behind it where there is one: an environment that cannot be put back into
a state can still be drawn by what it showed.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from dali.envs.base import DrawStyle, Simulator
from dali.envs.canvas import BLUE, INK, Canvas
from dali.envs.spec import ContextFeature, EnvSpec
from dali.errors import DaliError

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of a range, that evaluation tries
TRAIN_STEPS = 100_000  # of the environment, where a training does not say
FEW_SHARES = (0.0, 0.5, 1.0)  # where two features vary at once


class Adapter(ABC):
    """One copy of an environment whose physics can be set. Subclass it, set `spec`, and write `reset` and `step`.

    A context is a dict of the features' values by name, in their units. An action is an array (A,) in [-1, 1], or the
    number of a choice where actions are discrete.

    Four methods more are of use, and none is needed. `get_state` and `set_state` let the same moment go on under
    another physics: without them there is no real counterfactual, and dreams are judged by nothing. `render` and
    `state_from_observation` draw real and dreamed states.
    """

    spec: ClassVar[EnvSpec]

    @abstractmethod
    def reset(self, seed: int, context: dict[str, float]) -> np.ndarray:
        """Starts an episode under a context and returns the observation (O,); the same one for the same seed."""

    @abstractmethod
    def step(self, action: Any) -> tuple[np.ndarray, float, bool]:
        """One control step: observation (O,), reward, and whether the task ended (a time limit is not an end)."""

    def get_state(self) -> np.ndarray:
        """(P,) floats: all that is needed to go on from here."""
        raise _lacks("get_state")

    def set_state(self, state: np.ndarray, context: dict[str, float]) -> np.ndarray:
        """Goes on from a state (P,) under a context, which may be another one; returns the observation (O,)."""
        raise _lacks("set_state")

    @staticmethod
    def render(state: np.ndarray, context: dict[str, float], size: int) -> np.ndarray:
        """A (size, size, 3) uint8 picture of a state (P,)."""
        raise _lacks("render")

    @staticmethod
    def state_from_observation(observation: np.ndarray) -> np.ndarray:
        """The state (P,) that `render` draws for an observation (O,), real or dreamed."""
        raise _lacks("state_from_observation")


def _lacks(method: str) -> DaliError:
    return DaliError(f"This environment's adapter does not write {method!r}, which is needed for what was asked.")


def feature(
    name: str,
    default: float,
    train: tuple[float, float],
    limits: tuple[float, float],
    unit: str = "",
    label: str | None = None,
) -> ContextFeature:
    """A quantity of physics that varies between contexts.

    Evaluation tries five evenly spaced values of the train range, the default, and four beyond each of its ends.

    Args:
        name: as the adapter's contexts hold it.
        train: range that agents are trained on. limits: the wider range that they are judged on.
        label: for people; the name by default.

    Raises:
        DaliError: a default outside the train range, or limits that do not reach beyond it.
    """
    low, high = train
    if not limits[0] <= low < high <= limits[1] or tuple(limits) == tuple(train):
        raise DaliError(f"Feature {name!r} has train range {train} and limits {limits}; the limits must be wider.")
    if not low <= default <= high:
        raise DaliError(f"Feature {name!r} has the default {default:g}; expected one in its train range {train}.")

    def beyond(shares: Sequence[float]) -> tuple[float, ...]:
        below = [_round(limits[0] + s * (low - limits[0])) for s in shares[:-1] if limits[0] < low]
        above = [_round(limits[1] - s * (limits[1] - high)) for s in shares[:-1] if limits[1] > high]
        return (*below, *reversed(above))

    inside, few = ([_round(low + s * (high - low)) for s in shares] for shares in (SHARES, FEW_SHARES))
    return ContextFeature(
        name=name,
        label=label or name.replace("_", " "),
        unit=unit,
        default=default,
        train=(low, high),
        interpolate_single=tuple(sorted({*inside, default})),
        extrapolate_single=beyond(SHARES),
        interpolate_double=tuple(few),
        extrapolate_double=beyond(FEW_SHARES),
    )


def describe(
    title: str,
    features: Sequence[ContextFeature],
    observations: Mapping[str, str],
    actions: Sequence[str],
    episode_steps: int,
    timestep: float,
    discrete: bool = False,
    planar: bool = False,
) -> EnvSpec:
    """What an environment is. Its name becomes that by which it is asked for, as in "my_module:MyEnv".

    Args:
        title: for people.
        observations: unit by name, "" where there is none, in the order of the observation.
        actions: a name for each actuator, or for each choice.
        timestep: seconds of simulated time per step.
        planar: a picture shows all positions, so that agents may be trained on pixels. Needs `render`.

    Raises:
        DaliError: nothing to observe, to do or to vary.
    """
    if not (features and observations and actions and episode_steps > 0 and timestep > 0):
        raise DaliError(
            f"Environment {title!r} needs at least one feature, observation, action and step, and a timestep above 0."
        )
    return EnvSpec(
        name="",
        title=title,
        features=tuple(features),
        observation_names=tuple(observations),
        observation_units=tuple(observations.values()),
        action_names=tuple(actions),
        discrete=discrete,
        episode_steps=episode_steps,
        timestep=timestep,
        train_steps=TRAIN_STEPS,
        planar=planar,
    )


class AdaptedSimulator(Simulator):
    """N copies of an adapter. `simulator_type` sets what it is made of."""

    adapter: ClassVar[type[Adapter]]
    entry: ClassVar[EnvSpec]  # as in the catalogue, with its name

    def __init__(self, spec: EnvSpec, num: int):
        super().__init__(spec, num)
        self._copies = [self.adapter() for _ in range(num)]
        self._seen = np.zeros((num, spec.obs_dim), np.float32)
        self._applied = np.full((num, spec.context_dim), np.nan)  # contexts as the copies have them
        for copy in range(num):
            self._start(copy, copy)

    def get_state(self) -> np.ndarray:
        own = [np.asarray(c.get_state(), np.float64).ravel() for c in self._copies] if self.restores_state else []
        return np.array([np.concatenate([seen, *own[i : i + 1]]) for i, seen in enumerate(self._seen)])

    def _restore(self, state: np.ndarray) -> None:
        if not self.restores_state:
            raise DaliError(no_real_counterfactual(self.spec))
        for copy, row in enumerate(state):
            self._continue(copy, row[self.spec.obs_dim :])

    def _start(self, copy: int, seed: int) -> None:
        self._take_in(copy, self._copies[copy].reset(seed, named(self.spec, self.contexts[copy])))
        self._applied[copy] = self.contexts[copy]

    def _advance(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        reward, terminated = np.empty(self.num), np.empty(self.num, bool)
        changed = (self._applied != self.contexts).any(axis=1)
        if changed.any() and not self.restores_state:
            raise DaliError(f"{self.spec.title} takes another physics only at the start of an episode.")
        for copy in range(self.num):
            if changed[copy]:
                self._continue(copy, self._copies[copy].get_state())
            taken = int(action[copy].argmax()) if self.spec.discrete else np.clip(action[copy], -1.0, 1.0)
            observation, reward[copy], terminated[copy] = self._copies[copy].step(taken)
            self._take_in(copy, observation)
        return reward, terminated

    def _observe(self) -> np.ndarray:
        return self._seen.copy()

    def _continue(self, copy: int, state: np.ndarray) -> None:
        self._take_in(copy, self._copies[copy].set_state(np.array(state), named(self.spec, self.contexts[copy])))
        self._applied[copy] = self.contexts[copy]

    def _take_in(self, copy: int, observation: np.ndarray) -> None:
        observation = np.asarray(observation, np.float32)
        if observation.shape != (self.spec.obs_dim,) or not np.isfinite(observation).all():
            raise DaliError(
                f"An observation of {self.spec.name} has shape {observation.shape} or is not finite; expected "
                f"({self.spec.obs_dim},): {', '.join(self.spec.observation_names)}."
            )
        self._seen[copy] = observation

    @classmethod
    def states_from_observations(cls, observation: np.ndarray) -> np.ndarray:
        observation = np.asarray(observation, dtype=np.float64)
        if not _overrides(cls.adapter, "state_from_observation"):
            return observation.copy()
        own = [np.asarray(cls.adapter.state_from_observation(row), np.float64).ravel() for row in observation]
        return np.concatenate([observation, np.array(own)], axis=1)

    @classmethod
    def draw(cls, state: np.ndarray, context: np.ndarray, size: int = 256, style: DrawStyle = "solid") -> np.ndarray:
        seen, own = np.split(np.asarray(state, np.float64), [cls.entry.obs_dim])
        if not len(own) and _overrides(cls.adapter, "state_from_observation"):
            own = np.asarray(cls.adapter.state_from_observation(seen), np.float64).ravel()
        if not len(own) or not _overrides(cls.adapter, "render"):
            return _bars(seen, size, style)
        picture = np.asarray(cls.adapter.render(own, named(cls.entry, context), size))
        if picture.shape != (size, size, 3) or picture.dtype != np.uint8:
            raise DaliError(
                f"A picture of {cls.entry.name} is {picture.dtype} {picture.shape}; expected uint8 ({size}, {size}, 3)."
            )
        return picture


def simulator_type(adapter: type[Adapter], spec: EnvSpec) -> type[AdaptedSimulator]:
    """The simulator of an adapter's copies, under a description that has its name."""
    restores = _overrides(adapter, "get_state") and _overrides(adapter, "set_state")
    return type(adapter.__name__, (AdaptedSimulator,), {"adapter": adapter, "entry": spec, "restores_state": restores})


def named(spec: EnvSpec, context: np.ndarray) -> dict[str, float]:
    """A context (F,) by the names of its features."""
    return {f.name: float(v) for f, v in zip(spec.features, context, strict=True)}


def no_real_counterfactual(spec: EnvSpec) -> str:
    """Why nothing can be held against the simulator."""
    return f"{spec.title} cannot be put back into a recorded state, so there is no real counterfactual of it."


def _round(value: float) -> float:
    """Without the last bits, which a sum of floats leaves and nobody wants to read."""
    return float(f"{value:.9g}")


def _overrides(adapter: type[Adapter], name: str) -> bool:
    return getattr(adapter, name) is not getattr(Adapter, name)


def _bars(observation: np.ndarray, size: int, style: DrawStyle) -> np.ndarray:
    """What is observed as bars from a middle line, each number v drawn as v / (1 + |v|)."""
    canvas = Canvas(size, (0.5, 0.0), 2.2, outline=style == "outline")
    width = 2.0 / len(observation)
    for i, value in enumerate(np.nan_to_num(observation / (1 + np.abs(observation)))):
        left, right = -0.5 + (i + 0.15) * width, -0.5 + (i + 0.85) * width
        canvas.polygon([(left, 0.0), (right, 0.0), (right, value), (left, value)], BLUE)
    canvas.line([(-0.5, 0.0), (1.5, 0.0)], INK, 0.01)
    return canvas.finish()
