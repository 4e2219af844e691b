"""The catalogue as gymnasium environments: `gymnasium.make("dali/BallInCup-v0", context={"gravity": 4.9})`.

Observations hold no context: an agent has to infer it. The physics in force is `info["context"]`, by name.
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from dali.envs import catalogue
from dali.envs.contexts import sample_contexts
from dali.envs.spec import EnvSpec
from dali.errors import DaliError


class ContextualEnv(gymnasium.Env[np.ndarray, Any]):
    """One copy of a catalogued simulator behind gymnasium's interface."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012  # as gymnasium declares it

    def __init__(
        self, name: str, context: dict[str, float] | None = None, render_mode: str | None = None, size: int = 256
    ):
        """One copy under a context.

        Args:
            name: of the catalogue. context: features to change from their defaults, by name. size: pixels a side of
                what `render` draws.

        Raises:
            DaliError: unknown environment or feature, or a value out of its limits.
        """
        self.name, self.render_mode, self.size = name, render_mode, size
        self.spec_of = catalogue.spec(name)
        self.context = context_row(self.spec_of, context or {})
        self.simulator = catalogue.make(name, 1)
        self.simulator.set_context(self.context[None])
        self.observation_space = spaces.Box(-np.inf, np.inf, (self.spec_of.obs_dim,), np.float32)
        actions = self.spec_of.action_dim
        self.action_space = spaces.Discrete(actions) if self.spec_of.discrete else spaces.Box(-1.0, 1.0, (actions,))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Starts an episode.

        Args:
            options: ``{"context": {...}}`` changes the physics from here on; ``{"context": "sample"}`` draws it from
                the train ranges.
        """
        super().reset(seed=seed)
        asked = (options or {}).get("context")
        if asked == "sample":
            self.context = sample_contexts(self.spec_of, 1, int(self.np_random.integers(2**31)))[0]
        elif asked is not None:
            self.context = context_row(self.spec_of, asked)
        start = self.np_random.integers(2**31, size=1)
        return self.simulator.reset(start, self.context[None])[0], self._info()

    def step(self, action: np.ndarray | int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """As gymnasium's; actions of a Box lie in [-1, 1]. Raises DaliError where one is not finite."""
        if self.spec_of.discrete:
            if not self.action_space.contains(action):
                raise DaliError(f"Action of {self.name} is {action!r}; expected 0 to {self.spec_of.action_dim - 1}.")
            action = np.eye(self.spec_of.action_dim)[int(action)]
        step = self.simulator.step(np.asarray(action, dtype=np.float64)[None])
        return (
            step.observation[0],
            float(step.reward[0]),
            bool(step.terminated[0]),
            bool(step.truncated[0]),
            self._info(),
        )

    def render(self) -> Any:
        """A (size, size, 3) uint8 picture of the present state, without OpenGL; None without a render mode."""
        if self.render_mode is None:
            return None
        return self.simulator.draw(self.simulator.get_state()[0], self.context, self.size)

    def get_state(self) -> np.ndarray:
        """(S,) float64: all that is needed to go on from here."""
        return self.simulator.get_state()[0]

    def set_state(self, state: np.ndarray) -> np.ndarray:
        """Continues from (S,); returns the observation (O,). The time limit's clock begins anew."""
        return self.simulator.set_state(np.asarray(state)[None])[0]

    def _info(self) -> dict[str, Any]:
        return {"context": dict(zip((f.name for f in self.spec_of.features), self.context.tolist(), strict=True))}


def context_row(spec: EnvSpec, context: dict[str, float]) -> np.ndarray:
    """(F,) of features by name, the others at their defaults. Raises DaliError for an unknown name."""
    row = spec.default_context
    for name, value in context.items():
        row[spec.feature_index(name)] = value
    return row


def gymnasium_id(name: str) -> str:
    """ "dali/BallInCup-v0" of "ball_in_cup"."""
    return f"dali/{''.join(part.capitalize() for part in name.split('_'))}-v0"


def register() -> None:
    """Adds the catalogue to gymnasium's registry."""
    for name in catalogue.names():
        gymnasium.register(gymnasium_id(name), entry_point=f"{__name__}:ContextualEnv", kwargs={"name": name})


register()
