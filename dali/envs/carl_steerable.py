"""What is put right of every environment of CARL (dali.envs.carl has the list): contexts, observations, actions."""

from typing import Any, ClassVar, SupportsFloat

import numpy as np
from carl.envs.carl_env import CARLEnv

from dali.envs import catalogue
from dali.envs.base import DrawStyle
from dali.envs.contexts import check_contexts
from dali.envs.spec import EnvSpec
from dali.errors import DaliError, unknown_name

# Observation, reward, whether the task ended, whether the time limit did, and what else is known of the step.
Stepped = tuple[dict[str, Any], SupportsFloat, bool, bool, dict[str, Any]]


class Steerable(CARLEnv):
    """Mixed in before a CARL environment: contexts checked against the catalogue, state and physics set in place."""

    catalogue_name: ClassVar[str]

    def __init__(self, contexts: dict[Any, dict[str, float]] | None = None, **kwargs: Any):
        super().__init__(contexts=self._filled(contexts), **kwargs)

    @property
    def spec(self) -> None:  # type: ignore[override]  # gymnasium's may be a specification
        """None: gymnasium cannot make the adapter anew from the environment that it wraps."""
        return

    @classmethod
    def spec_of(cls) -> EnvSpec:
        """The catalogue's entry."""
        return catalogue.spec(cls.catalogue_name)

    def set_context(self, context: dict[str, float] | np.ndarray) -> None:
        """Changes the physics in place, keeping the state, until the next reset.

        Args:
            context: (F,) values in the order of the catalogue, or the features to change by name.
        """
        if not isinstance(context, dict):
            (values,) = check_contexts(self.spec_of(), np.asarray(context)[None])
            context = {f.name: float(v) for f, v in zip(self.spec_of().features, values, strict=True)}
        changed = {**(self.context or self.get_default_context()), **context}
        self._check(changed)
        self.context = changed
        self._update_context()

    def state_from_observation(self, observation: np.ndarray) -> np.ndarray:
        """The state (S,) that one observation (O,) shows."""
        simulator = catalogue.simulator_class(self.catalogue_name)
        return simulator.states_from_observations(np.asarray(observation)[None])[0]

    def draw(self, size: int = 256, style: DrawStyle = "solid") -> np.ndarray:
        """A (size, size, 3) uint8 picture of the present state, without OpenGL."""
        simulator = catalogue.simulator_class(self.catalogue_name)
        return simulator.draw(self.get_state(), self._context_row(self.context), size, style)

    def step(self, action: Any) -> Stepped:
        """As gymnasium's. Raises DaliError where an action holds a value that is not finite."""
        if not np.isfinite(action).all():
            raise DaliError(f"Action of {self.catalogue_name} is {action!r}; expected finite numbers.")
        return super().step(action)

    def _add_context_to_state(self, state: np.ndarray) -> dict[str, Any]:
        # CARL hands out what is no member of its own observation space: floats where the space is a Box of (1,).
        observation = super()._add_context_to_state(state)
        space: Any = self.observation_space["context"]  # it is a Dict
        context = observation["context"]
        if self.obs_context_as_dict:
            context = {name: np.array([context[name]], dtype=space[name].dtype) for name in space}
        else:
            context = np.array(context, dtype=space.dtype)
        return {"obs": np.asarray(observation["obs"], dtype=self.base_observation_space.dtype), "context": context}

    def _progress_instance(self) -> None:
        super()._progress_instance()
        self._update_context()  # CARL skips this where the context's id is the last one's

    def _context_row(self, context: dict[str, float] | None) -> np.ndarray:
        context = context or self.get_default_context()
        return np.array([context[f.name] for f in self.spec_of().features])

    def _filled(self, contexts: dict[Any, dict[str, float]] | None) -> dict[Any, dict[str, float]]:
        # CARL fills in defaults for itself, but hands its selector the contexts as they came.
        filled = {k: {**self.get_default_context(), **c} for k, c in (contexts or {0: {}}).items()}
        for context in filled.values():
            self._check(context)
        return filled

    def _check(self, context: dict[str, float]) -> None:
        known = self.get_context_features()
        for name in context:
            if name not in known:
                raise unknown_name(f"context feature of {self.catalogue_name}", name, known)
        check_contexts(self.spec_of(), self._context_row(context)[None])
