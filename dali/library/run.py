"""A trained run as a library hands it out: its figures, its codes and what it dreams.

Shapes: H horizon, V observation, A action, F context features, Z code.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dali.codes.points import episode_points, record_points, returns
from dali.config import RunConfig
from dali.dreams.counterfactual import ActionSource, Engine, Latents, held_context, infer_start, recorded_actions
from dali.dreams.counterfactual import dream as dream_episodes
from dali.dreams.film import FilmSource, make_film, make_film_source
from dali.dreams.request import Request, check_request, dimension
from dali.envs import outside
from dali.envs.spec import EnvSpec
from dali.envs.trajectory import replay_actions
from dali.episodes import Episodes, recorded_states
from dali.errors import CheckpointError, DaliError
from dali.library.film import Film
from dali.model.agent import Agent
from dali.runs import run as stored
from dali.runs.artifacts import Readout, fit_readout, load_typical
from dali.runs.film_source import find_episodes
from dali.runs.scores import load_evaluation


def open_run(path: str | Path, env: str | None = None) -> "OpenRun":
    """The run in a folder. Its weights and episodes are read when they are first needed.

    Args:
        path: a folder that ``python -m dali train`` or ``train_agent`` wrote, such as a shipped checkpoint.
        env: an environment of yours that may be imported, as in "my_module:MyEnv" (docs/environments.md).

    Raises:
        CheckpointError: no such folder, not a checkpoint, or one of another schema.
    """
    folder = Path(path)
    if env is not None:
        outside.allow(env)
    return OpenRun(stored.open_run(folder))


class OpenRun:
    """A trained agent with its recorded episodes and figures.

    Episodes are numbered as on the Counterfactuals page; ``episodes()`` lists them.
    """

    def __init__(self, run: stored.Run):
        self._run = run

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self._run.folder

    @property
    def config(self) -> RunConfig:
        """What it was trained with."""
        return self._run.config

    @property
    def name(self) -> str:
        """The folder's name."""
        return self._run.name

    @property
    def spec(self) -> EnvSpec:
        """What the environment is: its context features, observations and actions, with units."""
        return self._run.spec

    def __repr__(self) -> str:
        return f"<OpenRun {self.name}: {self.config.method.title} on {self.spec.title}, seed {self.config.seed}>"

    def figures(self) -> pd.DataFrame:
        """The figures of ``python -m dali analyse``, a row a quantity of physics.

        Returns:
            Columns ``probe_r2_inside``, ``probe_r2_outside``, ``probe_r2_control`` (shuffled labels), ``skill_25`` and
            ``skill_50`` (steering skill after so many steps), ``slope``, ``r2``, ``mae`` (effective physics against
            physics asked for), and the ``unit`` of ``mae``.

        Raises:
            CheckpointError: the run was not analysed; says how to.
        """
        analysis = self._run.analysis()
        if analysis is None:
            raise CheckpointError(f"{self.folder} was not analysed; do so with: python -m dali analyse {self.folder}")
        summary = analysis["summary"]
        rows = {}
        for name, probe in summary["probe"].items():
            steering, effective = summary["steering"][name], summary["effective"][name]
            rows[name] = {
                **{f"probe_{key}": probe[key] for key in ("r2_inside", "r2_outside", "r2_control")},
                **{key: steering[key] for key in ("skill_25", "skill_50")},
                **{key: effective[key] for key in ("slope", "r2", "mae")},
                "unit": probe["unit"],
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("feature")

    def returns(self) -> pd.DataFrame:
        """Every episode that ``python -m dali evaluate`` played, a row each.

        Returns:
            A column for each context feature, ``regime`` (train, interpolation, extrapolation, mixed), ``grid``,
            ``episode``, ``start_seed``, ``return``, ``return_10`` and ``return_25`` (of the first steps), ``steps`` and
            ``random_return`` (the random policy from the same start).

        Raises:
            CheckpointError: the run was not evaluated; says how to.
        """
        return load_evaluation(self.folder).episodes.copy()

    def episodes(self) -> pd.DataFrame:
        """The recorded episodes, a row each; the index is the number that other methods ask for.

        Returns:
            A column for each context feature, ``regime``, ``acted_by`` ("policy" or "exploration"), ``length`` (steps)
            and ``return`` of the recorded steps.

        Raises:
            CheckpointError: no episodes were recorded; says how to.
        """
        episodes = self._episodes
        table: dict[str, Any] = {f.name: episodes.context[:, i] for i, f in enumerate(self.spec.features)}
        table |= {"regime": episodes.regime, "acted_by": np.where(episodes.explored, "exploration", "policy")}
        table |= {"length": episodes.length, "return": returns(episodes)}
        return pd.DataFrame(table).rename_axis("episode")

    def codes(self, means: bool = False) -> pd.DataFrame:
        """The context codes that the agent inferred, beside the true physics.

        Args:
            means: a row an episode (its mean code from record 32 on) instead of a row a record.

        Returns:
            Columns ``episode``, ``step``, ``time`` (s), one for each context feature, ``regime``, ``acted_by``, and
            ``z0`` to ``z7``.

        Raises:
            CheckpointError: no episodes were recorded; says how to.
            DaliError: the method infers no code.
        """
        self._readout()
        episodes = self._episodes
        points = episode_points(episodes) if means else record_points(episodes)
        at = points.episode
        table: dict[str, Any] = {"episode": at, "step": points.step, "time": points.step * self.spec.timestep}
        table |= {f.name: episodes.context[at, i] for i, f in enumerate(self.spec.features)}
        table |= {"regime": episodes.regime[at]}
        table |= {"acted_by": np.where(episodes.explored[at], "exploration", "policy")}
        table |= {f"z{j}": points.code[:, j] for j in range(points.code.shape[1])}
        return pd.DataFrame(table)

    def read_physics(self, codes: np.ndarray) -> pd.DataFrame:
        """What a linear probe reads off codes (N, Z), in units: a column for each context feature.

        The probe is a ridge regression, fitted on the training contexts of the recorded episodes.

        Raises:
            DaliError: the method infers no code, or codes of another shape.
        """
        probe, codes = self._readout().probe, np.atleast_2d(np.asarray(codes, float))
        size = self._episodes.code.shape[-1]
        if codes.ndim != 2 or codes.shape[1] != size:
            raise DaliError(f"Codes have shape {codes.shape}; expected (N, {size}).")
        return pd.DataFrame(probe.predict(codes), columns=[f.name for f in self.spec.features])

    def shift_code(self, episode: int, **physics: float) -> np.ndarray:
        """(Z,) how the expected code changes when an episode's physics becomes another: m(c') - m(c).

        Args:
            episode: whose physics is c.
            physics: what differs in c', as in ``g=4.9``.

        Raises:
            DaliError: the method infers no code, no such episode or feature, or a value out of range.
        """
        readout, request = self._readout(), self._request(episode, 0, 1, physics)
        context = self._episodes.context[episode]
        return readout.code_map.shift(context, request.context_to(self.spec, context))

    def dream(
        self,
        episode: int,
        t: int,
        horizon: int = 50,
        code: np.ndarray | None = None,
        actions: ActionSource = "recorded",
        latents: Latents = "mean",
        engine: Engine = "rssm",
    ) -> dict[str, np.ndarray]:
        """What the agent dreams from record t of an episode.

        Args:
            code: (Z,) held throughout; the code that the agent has inferred at record t where None. A method that is
                given its context dreams under the episode's own, one without a context under none; they take no code.
            actions: "recorded", "zero" or "policy".
            latents: "mean" or "mode" of the latent state, or a seed that draws it.
            engine: "rssm", the world model, or "dynamics", its ensemble of one-step models.

        Returns:
            ``obs`` (H + 1, O) as the agent observes (index 0 is the start), ``reward`` (H,) expected, ``cont`` (H,) the
            probability that the episode goes on, ``action`` (H, A).

        Raises:
            DaliError: a start, horizon, code or engine that does not fit.
        """
        self._request(episode, t, horizon, {}, actions=actions, latents=latents, engine=engine)
        agent, one = self._agent, self._episodes.subset(np.array([episode]))
        size = one.code.shape[-1]
        if code is not None and not agent.method.infers_context:
            raise DaliError(f"{agent.method.title} infers no context code, so it dreams under none.")
        held = one.code[:, t] if code is None else np.asarray(code, float).reshape(1, -1)
        if held.shape != (1, size):
            raise DaliError(f"The code has {held.shape[1]} numbers; expected {size}.")
        context = held_context(agent, one, held, one.context)
        # Only a shallow method's start depends on the code that is held: its dynamics never read one.
        believed = context if agent.method.shallow else held_context(agent, one, one.code[:, t], one.context)
        given = None if actions == "policy" else recorded_actions(one, t, horizon, actions)
        start = infer_start(agent, one, t, believed, latents)
        found = dream_episodes(agent, start, context, horizon, given, latents, engine)
        return {"obs": found.obs[0], "reward": found.reward[0], "cont": found.cont[0], "action": found.action[0]}

    def simulate(self, episode: int, t: int, actions: np.ndarray, **physics: float) -> dict[str, np.ndarray]:
        """The real environment from record t of an episode, under given actions and any physics.

        Args:
            actions: (H, A).
            physics: what differs from the episode's own, as in ``g=4.9``.

        Returns:
            ``obs`` (H + 1, V) and ``state`` (H + 1, S); index 0 is the start.

        Raises:
            DaliError: a start, action or physics that does not fit.
        """
        actions = np.asarray(actions, np.float32)
        if actions.ndim != 2 or actions.shape[1] != self.spec.action_dim or not len(actions):
            raise DaliError(f"Actions have shape {actions.shape}; expected (H, {self.spec.action_dim}).")
        request = self._request(episode, t, 1, physics, actions="zero")
        one = self._episodes.subset(np.array([episode]))
        context = request.context_to(self.spec, one.context[0])
        source = self._source
        with source.lock:
            state = recorded_states(source.single, one, t, t + 1)[:, 0]
            obs, reached = replay_actions(source.single, state, context[None], actions[None])
        return {"obs": obs[0], "state": reached[0]}

    def counterfactual(
        self,
        episode: int,
        t: int,
        horizon: int = 50,
        code: Mapping[str, float] | None = None,
        actions: ActionSource = "recorded",
        latents: Latents = "mean",
        engine: Engine = "rssm",
        **physics: float,
    ) -> Film:
        """One moment of an episode under another physics or another code: dreamed, and beside it the simulator.

        Args:
            episode, t: the recorded episode, and its record that all four rollouts start from.
            horizon: steps, at most 200.
            code: changes of code dimensions in the data's standard deviations, as in ``{"z3": 1.5}``.
            actions: "recorded", "zero" or "policy".
            latents: "mean" or "mode" of the latent state, or a seed that draws it.
            engine: "rssm", the world model, or "dynamics", its ensemble of one-step models.
            physics: what is asked for, in its unit, as in ``g=4.9``.

        Raises:
            DaliError: the request does not fit the episodes or the method; says what was expected.
        """
        moves = tuple((dimension(name), float(value)) for name, value in (code or {}).items())
        request = self._request(episode, t, horizon, physics, moves, actions, latents, engine)
        return Film(self, make_film(self._source, request))

    @cached_property
    def _agent(self) -> Agent:
        return self._run.agent()

    @cached_property
    def _episodes(self) -> Episodes:
        return find_episodes(self.folder, self._agent)

    @cached_property
    def _source(self) -> FilmSource:
        return make_film_source(self._agent, self._episodes, self._fitted)

    @cached_property
    def _fitted(self) -> Readout | None:
        if not self.config.method.infers_context:
            return None
        return fit_readout(self._episodes, self.spec, load_typical(self.folder))

    def _readout(self) -> Readout:
        """Probe and code map. Raises DaliError where there is no code to read."""
        if self._fitted is None:
            raise DaliError(f"{self.config.method.title} infers no context code, so there is none to read.")
        return self._fitted

    def _request(
        self,
        episode: int,
        t: int,
        horizon: int,
        physics: Mapping[str, float],
        code: tuple[tuple[int, float], ...] = (),
        actions: ActionSource = "recorded",
        latents: Latents = "mean",
        engine: Engine = "rssm",
    ) -> Request:
        """A request that is known to fit."""
        asked = tuple((name, float(value)) for name, value in physics.items())
        request = Request(episode, t, horizon, asked, code, actions, latents, engine)
        check_request(request, self.spec, self.config.method, self._episodes)
        return request
