"""A take: a person acts in dream and simulator at once, and turns the physics while both go on.

Four runs start where an episode stands at a record and take the same actions: the simulator under the episode's own
physics and under the asked ones, and a dream under each. What was asked may change between any two steps. A take is
plain data, and performing it again gives the same numbers, in whatever pieces it was first played.

Shapes: T steps taken, A action, F context features, S simulator state, V observation of the simulator.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dali.dreams.counterfactual import DreamedWorld, Engine, check_engine, held_context, infer_start
from dali.dreams.film import FilmSource
from dali.dreams.observation import Rollout
from dali.dreams.steering import step_error
from dali.envs import catalogue
from dali.episodes import recorded_states
from dali.errors import DaliError
from dali.files.reading import parse_json, read_text

MAX_STEPS = 5000  # of a take
REAL, REAL_ASKED, DREAM, DREAM_ASKED = range(4)  # the four runs, as a film orders its panes

Physics = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Take:
    """What was done.

    Attributes:
        episode: index among the recorded episodes. t: record that all runs start from.
        actions: one (A,) a step. moves: (step, asked physics from that step on); features not named keep the
            episode's value.
    """

    episode: int
    t: int
    engine: Engine = "rssm"
    actions: tuple[tuple[float, ...], ...] = ()
    moves: tuple[tuple[int, Physics], ...] = ()

    def until(self, step: int) -> "Take":
        """Its first steps, under what was asked until then."""
        return replace(self, actions=self.actions[:step], moves=tuple(m for m in self.moves if m[0] < max(step, 1)))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; ``Take.from_dict`` gives the same take back."""
        moves = [{"step": step, "physics": dict(physics)} for step, physics in self.moves]
        start = {"episode": self.episode, "t": self.t, "engine": self.engine}
        return {**start, "actions": [list(action) for action in self.actions], "moves": moves}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Take":
        """The take of ``to_dict``. Raises DaliError where a field is missing or of another kind."""
        try:
            actions = tuple(tuple(float(a) for a in action) for action in data["actions"])
            if len({len(action) for action in actions}) > 1:
                raise ValueError("its actions have different lengths")
            return cls(
                episode=int(data["episode"]),
                t=int(data["t"]),
                engine=data["engine"],
                actions=actions,
                moves=tuple(
                    (int(move["step"]), tuple((str(n), float(v)) for n, v in move["physics"].items()))
                    for move in data["moves"]
                ),
            )
        except KeyError as error:
            raise DaliError(f"This is not a take: it lacks {error}.") from error
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise DaliError(f"This is not a take: {error}.") from error

    @classmethod
    def from_json(cls, text: str) -> "Take":
        """The take of a manifest's text, or of its own. Raises DaliError where it is none."""
        try:
            data = parse_json(text, "its text")
        except DaliError as error:
            raise DaliError(f"This is not a take: {error}") from error
        if not isinstance(data, dict):
            raise DaliError("This is not a take: expected an object with episode, t, engine, actions and moves.")
        return cls.from_dict(data.get("take", data))


def read_take(path: Path) -> Take:
    """The take of a file. Raises DaliError where it is missing, cannot be read, or is none."""
    try:
        return Take.from_json(read_text(path))
    except FileNotFoundError:
        raise DaliError(f"There is no take {path}.") from None
    except DaliError as error:
        raise DaliError(f"{path}: {error}") from error


@dataclass(eq=False)
class Performance:
    """The four runs of a take, which go on as it is played. Not to be used from two threads at once."""

    source: FilmSource
    take: Take
    contexts: list[np.ndarray] = field(default_factory=list)  # (2, F) in force at each record: own and asked
    # A record an entry: what is observed in each run, and the states (S,) of the two real ones.
    _observed: tuple[list[np.ndarray], ...] = field(default_factory=lambda: ([], [], [], []))
    _states: tuple[list[np.ndarray], list[np.ndarray]] = field(default_factory=lambda: ([], []))

    @property
    def steps(self) -> int:
        """Steps taken; there is a record more."""
        return len(self.take.actions)

    def ask(self, physics: Physics) -> None:
        """Asks for other physics from the next step on; before the first one, from the start.

        Raises:
            DaliError: an unknown feature, or a value out of its limits.
        """
        spec = self.source.agent.spec
        asked = self._own.copy()
        for name, value in physics:
            low, high = spec.feature(name).limits
            if not (math.isfinite(value) and low <= value <= high):
                raise DaliError(f"{name} = {value:g} is out of range; expected {low:g} to {high:g}.")
            asked[spec.feature_index(name)] = value
        moves = tuple(move for move in self.take.moves if move[0] != self.steps)
        self.take = replace(self.take, moves=(*moves, (self.steps, physics)))
        self._set_asked(asked)
        if self.steps == 0:
            self._start()
        else:
            self._dream.set_context(self._held)

    def advance(self, actions: np.ndarray) -> None:
        """Takes actions (N, A), in [-1, 1], or one-hot.

        Raises:
            DaliError: actions of another shape or not finite, or more of them than a take holds.
        """
        actions = np.asarray(actions, np.float32)
        spec = self.source.agent.spec
        if actions.ndim != 2 or actions.shape[1] != spec.action_dim or not np.isfinite(actions).all():
            raise DaliError(f"Actions of shape {actions.shape}; expected finite numbers (N, {spec.action_dim}).")
        if self.steps + len(actions) > MAX_STEPS:
            raise DaliError(f"A take holds at most {MAX_STEPS} steps.")
        for action in actions.clip(-1.0, 1.0):
            both = np.stack([action, action])
            observed = self._simulator.step(both).observation
            self._record(observed, self._simulator.get_state(), self._dream.step(both).observation)
        taken = tuple(tuple(float(a) for a in action) for action in actions.clip(-1.0, 1.0))
        self.take = replace(self.take, actions=self.take.actions + taken)

    def shown(self, run: int, first: int, last: int) -> Rollout:
        """Records of a run, to be drawn."""
        action, observed = np.array(self.take.actions[first:last]), np.stack(self._observed[run][:last])
        if run in (REAL, REAL_ASKED):
            return Rollout(action, observed[first:], np.stack(self._states[run][first:last]))
        return self.source.metric.observer.dreamed_run(action, observed, first=first)

    def errors(self, first: int, last: int) -> np.ndarray:
        """(2, last - first) error of each dream against the simulator beside it, in σ of the data."""
        observer, out = self.source.metric.observer, []
        for column, (real, dreamed) in enumerate(((REAL, DREAM), (REAL_ASKED, DREAM_ASKED))):
            observed, states = np.stack(self._observed[real][first:last]), np.stack(self._states[real][first:last])
            contexts = np.stack([context[column] for context in self.contexts[first:last]])
            run = observer.real(observed[:, None], states[:, None], contexts)[:, 0]
            dream = observer.dreamed(np.stack(self._observed[dreamed][first:last])[None])[0]
            out.append(step_error(run, dream, self.source.scale))
        return np.stack(out)

    def observed(self, run: int) -> np.ndarray:
        """(T + 1, .) what was observed or dreamed."""
        return np.stack(self._observed[run])

    # Start and step ---------------------------------------------------------------------------------------------

    def begin(self, physics: Physics) -> "Performance":
        """Puts all runs to the start, under what is asked at first."""
        source, take = self.source, self.take
        check_engine(source.agent, take.engine)
        if not 0 <= take.episode < len(source.episodes.obs):
            raise DaliError(f"Episode {take.episode} does not exist; there are {len(source.episodes.obs)}.")
        length = int(source.episodes.length[take.episode])
        if not 0 <= take.t < length:
            raise DaliError(f"Start {take.t} is not in episode {take.episode}; expected 0 to {length - 1}.")
        self._episode = source.episodes.subset(np.array([take.episode, take.episode]))
        self._own, self._code = self._episode.context[0], self._episode.code[0, take.t]
        self._simulator = catalogue.make(source.agent.spec.name, 2)
        self._first = recorded_states(self._simulator, self._episode, take.t, take.t + 1)[:, 0]
        self.ask(physics)
        return self

    def _start(self) -> None:
        agent, take = self.source.agent, self.take
        self.contexts.clear()
        for kept in (*self._observed, *self._states):
            kept.clear()
        held = self._held if agent.method.shallow else self._held[:1].expand(2, -1)
        start = infer_start(agent, self._episode, take.t, held)
        self._dream = DreamedWorld(agent, take.engine)
        observed = self._simulator.set_state(self._first)
        self._record(observed, self._first, self._dream.reset(start, self._held))

    def _set_asked(self, asked: np.ndarray) -> None:
        agent, steering = self.source.agent, self.source.steering
        both = np.stack([self._own, asked])
        codes = None
        if steering is not None:
            codes = np.stack([self._code, self._code + steering.code_map.shift(self._own, asked)])
        self._simulator.set_context(both)
        self._held = held_context(agent, self._episode, codes, both)
        self._in_force = both

    def _record(self, observed: np.ndarray, state: np.ndarray, dreamed: np.ndarray) -> None:
        for run, values in enumerate((*observed, *dreamed)):
            self._observed[run].append(np.array(values))
        for run, values in enumerate(state):
            self._states[run].append(np.array(values))
        self.contexts.append(self._in_force)


def begin(source: FilmSource, episode: int, t: int, engine: Engine = "rssm", physics: Physics = ()) -> Performance:
    """The four runs at their start.

    Raises:
        DaliError: no such episode, record or engine, or physics out of their limits.
    """
    return Performance(source, Take(episode, t, engine)).begin(physics)


def perform(source: FilmSource, take: Take) -> Performance:
    """Plays a take from its start.

    Raises:
        DaliError: it does not fit the agent or its episodes.
    """
    moves = dict(take.moves)
    performance = begin(source, take.episode, take.t, take.engine, moves.pop(0, ()))
    ends: Sequence[int] = sorted({*(step for step in moves if step < len(take.actions)), len(take.actions)})
    for step in ends:
        if step > performance.steps:
            with np.errstate(over="ignore"):  # what is too large for it becomes infinite, and is refused
                actions = np.array(take.actions[performance.steps : step], np.float32)
            performance.advance(actions)
        if step in moves and step < len(take.actions):
            performance.ask(moves[step])
    return performance
