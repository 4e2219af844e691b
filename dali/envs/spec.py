"""What an environment is, as data: its context features with units and grids, its observations and actions."""

from dataclasses import dataclass

import numpy as np

from dali.errors import DaliError


@dataclass(frozen=True)
class ContextFeature:
    """One physical quantity that varies between contexts, in SI units or as a multiplier ("x") of the model's own.

    The four grids are the evaluation protocol of the DALI benchmark (arXiv 2508.20294, appendix C).
    """

    name: str
    label: str
    unit: str
    default: float
    train: tuple[float, float]
    interpolate_single: tuple[float, ...]
    extrapolate_single: tuple[float, ...]
    interpolate_double: tuple[float, ...]
    extrapolate_double: tuple[float, ...]
    gap: tuple[float, float] | None = None  # open interval inside `train` that training leaves out
    cue: bool = False  # people are shown it by a colour or a texture, which the pictures that agents see leave out

    @property
    def title(self) -> str:
        """The label, with the name behind it where it is another word."""
        return self.label if self.name.replace("_", " ") == self.label else f"{self.label} {self.name}"

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest value of any grid: the range that sliders and simulators accept."""
        values = (*self.train, *self.interpolate_single, *self.extrapolate_single)
        return min(values), max(values)

    @property
    def train_intervals(self) -> tuple[tuple[float, float], ...]:
        """The train range, parted by the gap where there is one."""
        if self.gap is None:
            return (self.train,)
        return (self.train[0], self.gap[0]), (self.gap[1], self.train[1])

    def inside(self, value: float) -> bool:
        """True where the value lies in the train range, bounds included, and not in its gap."""
        return any(low <= value <= high for low, high in self.train_intervals)

    def outside_by(self, value: float) -> float:
        """How far the value lies from the train range, in its unit; 0 inside."""
        return min(max(low - value, value - high, 0.0) for low, high in self.train_intervals)

    def at_share(self, share: np.ndarray) -> np.ndarray:
        """Values a share in [0, 1) of the way through the train range without its gap: of uniform shares, uniform."""
        low, high = self.train
        below, above = self.gap or (high, high)
        value = low + (high - low - (above - below)) * share
        return np.where(value > below, value + (above - below), value)


@dataclass(frozen=True)
class EnvSpec:
    """An entry of the catalogue. O = len(observation_names), F = len(features)."""

    name: str
    title: str
    features: tuple[ContextFeature, ...]
    observation_names: tuple[str, ...]
    observation_units: tuple[str, ...]
    action_names: tuple[str, ...]  # continuous: one per actuator; discrete: one per choice
    discrete: bool
    episode_steps: int
    timestep: float  # seconds of simulated time per control step
    train_steps: int  # environment steps of the default training at presets small and pixels
    planar: bool = True  # moves in one plane, so that a picture shows all of its positions

    @property
    def obs_dim(self) -> int:
        return len(self.observation_names)

    @property
    def action_dim(self) -> int:
        """A: number of actuators, or number of choices of a discrete action (fed one-hot)."""
        return len(self.action_names)

    @property
    def context_dim(self) -> int:
        return len(self.features)

    @property
    def default_context(self) -> np.ndarray:
        """(F,) float64."""
        return np.array([f.default for f in self.features])

    def feature(self, name: str) -> ContextFeature:
        for feature in self.features:
            if feature.name == name:
                return feature
        known = ", ".join(f.name for f in self.features)
        raise DaliError(f"Environment {self.name!r} has no context feature {name!r}; it has: {known}.")

    def feature_index(self, name: str) -> int:
        return self.features.index(self.feature(name))

    def scale_context(self, context: np.ndarray) -> np.ndarray:
        """Maps contexts (..., F) to [-1, 1] over the train range (linearly beyond it and in a gap), float32."""
        low, high = np.array([f.train for f in self.features]).T
        return (2.0 * (np.asarray(context) - low) / (high - low) - 1.0).astype(np.float32)
