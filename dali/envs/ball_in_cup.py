"""Ball in cup (dm_control's suite, task catch) under gravity and string length.

Observation: positions of cup and ball relative to (0, 0.6) m and (0, 0.2) m, and their velocities.
"""

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dali.envs.base import DrawStyle
from dali.envs.canvas import BACKGROUND, BLUE, GROUND, INK, ORANGE, Canvas, mix
from dali.envs.features import GRAVITY
from dali.envs.mujoco_simulator import MujocoSimulator
from dali.envs.spec import ContextFeature, EnvSpec

if TYPE_CHECKING:
    import mujoco

CUP_HEIGHT, BALL_HEIGHT = 0.6, 0.2  # m, body positions of the model
STRING_AT = -0.108  # m, where the string holds the cup, below its centre
TARGET_AT = -0.05  # m, centre of the target, below the cup's centre
STRING = 0.3  # m, the string of the model
REACH = 0.025  # m, half the target's side (0.05) less the ball's radius (0.025)
STRING_SHARE = 0.96  # of its length, to which a string that would start overstretched is relaxed

BALL_IN_CUP = EnvSpec(
    name="ball_in_cup",
    title="Ball in cup",
    features=(
        GRAVITY,
        ContextFeature(
            name="string_length",
            label="string length",
            unit="m",
            default=0.3,
            train=(0.15, 0.45),
            interpolate_single=(0.15, 0.225, 0.3, 0.375, 0.45),
            extrapolate_single=(0.03, 0.06, 0.09, 0.12, 0.48, 0.51, 0.54, 0.57, 0.6),
            interpolate_double=(0.15, 0.3, 0.45),
            extrapolate_double=(0.03, 0.09, 0.48, 0.54, 0.6),
        ),
    ),
    observation_names=("cup x", "cup z", "ball x", "ball z", "cup vx", "cup vz", "ball vx", "ball vz"),
    observation_units=("m",) * 4 + ("m/s",) * 4,
    action_names=("force x", "force z"),
    discrete=False,
    episode_steps=1000,
    timestep=0.02,
    train_steps=100_000,
)
BALL_IN_CUP_DRAG = replace(
    BALL_IN_CUP,
    name="ball_in_cup_drag",
    title="Ball in cup in thick air",
    features=(
        GRAVITY,
        ContextFeature(
            name="viscosity",
            label="viscosity of the air",
            unit="Pa s",
            default=1.0,
            train=(0.2, 2.0),
            interpolate_single=(0.2, 0.6, 1.0, 1.5, 2.0),
            extrapolate_single=(0.0, 0.04, 0.08, 0.12, 0.16, 2.2, 2.4, 2.6, 2.8, 3.0),
            interpolate_double=(0.2, 1.0, 2.0),
            extrapolate_double=(0.0, 0.08, 0.16, 2.2, 2.6, 3.0),
            cue=True,
        ),
    ),
)


class BallInCup(MujocoSimulator):
    """A ball on a string under an actuated cup; reward 1 at each step at which the ball is in the cup."""

    model_file = "ball_in_cup.xml"

    def _randomize(self, data: "mujoco.MjData", random: np.random.RandomState, context: np.ndarray) -> None:
        while True:  # dm_control's rule: draw until the ball touches nothing
            data.qpos[2:] = draw_ball(random, self.model.tendon_range[0, 1])
            self._forward(data)
            if data.ncon == 0:
                return

    def _reward(self, data: "mujoco.MjData") -> float:
        cup_x, cup_z, ball_x, ball_z = data.qpos
        height = (CUP_HEIGHT + cup_z + TARGET_AT) - (BALL_HEIGHT + ball_z)
        return float(abs(cup_x - ball_x) < REACH and abs(height) < REACH)

    def _observe(self) -> np.ndarray:
        return np.array([np.concatenate([d.qpos, d.qvel]) for d in self._data], dtype=np.float32)

    @staticmethod
    def states_from_observations(observation: np.ndarray) -> np.ndarray:
        observation = np.asarray(observation, dtype=np.float64)
        return np.concatenate([observation, np.zeros((len(observation), 4))], axis=1)  # no warm start

    @staticmethod
    def draw(state: np.ndarray, context: np.ndarray, size: int = 256, style: DrawStyle = "solid") -> np.ndarray:
        return draw_ball_in_cup(np.asarray(state[:4], dtype=np.float64), float(context[1]), size, style)


class BallInCupDrag(BallInCup):
    """Ball in cup in air that drags on the ball, under gravity and the air's viscosity; the string is the model's.

    MuJoCo's inertia-box model of a fluid, at density 0 (https://mujoco.readthedocs.io/en/stable/computation/fluid.html):
    a body of velocity v is dragged by -3π β d v, β the viscosity and d the mean side of the box of uniform density that
    has the body's mass and inertia. For a ball of radius r that is d = r sqrt(12/5), so that it falls at most at
    m g / (3π β d).
    """

    @staticmethod
    def draw(state: np.ndarray, context: np.ndarray, size: int = 256, style: DrawStyle = "solid") -> np.ndarray:
        position = np.asarray(state[:4], dtype=np.float64)
        return draw_ball_in_cup(position, STRING, size, style, viscosity=float(context[1]))


def draw_ball(random: np.random.RandomState, string_length: float) -> tuple[float, float]:
    """A first position (x, z) of the ball, drawn as dm_control does for its string of 0.3 m.

    Where the string is too short for it, the ball is moved along the string towards the cup: a stretched string would
    fling it.
    """
    x, z = random.uniform(-0.2, 0.2), random.uniform(0.2, 0.5)
    anchor = CUP_HEIGHT + STRING_AT - BALL_HEIGHT
    distance = math.hypot(x, z - anchor)
    if distance <= string_length:
        return x, z
    share = STRING_SHARE * string_length / distance
    return x * share, anchor + (z - anchor) * share


# Centre lines of the model's five cup capsules, one path; metres from the cup's centre.
_CUP = ((-0.05, 0.0), (-0.05, -0.075), (-0.025, -0.1), (0.025, -0.1), (0.05, -0.075), (0.05, 0.0))


def draw_ball_in_cup(
    position: np.ndarray, string_length: float, size: int, style: str, viscosity: float = 0.0
) -> np.ndarray:
    """Cup, string and ball at positions (4,): cup x, z from (0, 0.6) m, ball x, z from (0, 0.2) m.

    Air of a viscosity (Pa s) is tinted and full of dots, the more the thicker it is.
    """
    canvas = Canvas(size, (0.0, 0.52), 1.1, style == "outline")
    cup = (float(position[0]), 0.6 + float(position[1]))
    ball = (float(position[2]), 0.2 + float(position[3]))
    anchor = (cup[0], cup[1] - 0.108)
    if style == "solid":
        if viscosity > 0:
            _thick_air(canvas, viscosity)
        canvas.polygon([(-2.0, 0.0), (2.0, 0.0), (2.0, -1.0), (-2.0, -1.0)], GROUND)
        inside = [(-0.05, -0.1), (0.05, -0.1), (0.05, 0.0), (-0.05, 0.0)]
        canvas.polygon([(cup[0] + x, cup[1] + z) for x, z in inside], (205, 232, 222))  # the target: light green
    string = hanging(anchor, ball, string_length)
    canvas.line([(x, max(z, 0.004)) for x, z in string], INK, 0.004)  # a slack string lies on the ground
    path = [(cup[0] + x, cup[1] + z) for x, z in _CUP]
    if style == "outline":
        canvas.line(path, BLUE, 0.008)
    else:
        for a, b in itertools.pairwise(path):
            canvas.capsule(a, b, 0.008, BLUE)
    canvas.disc(ball, 0.025, ORANGE)
    return canvas.finish()


_HAZE, _MOTE = (214, 230, 243), (140, 178, 206)
_FULL_HAZE = 2.5  # Pa s
_MOTES_PER_VISCOSITY = 40


def _thick_air(canvas: Canvas, viscosity: float) -> None:
    """A tint of the ball's window, and dots spread evenly over it (the R2 sequence), the same ones at every step."""
    tint = mix(BACKGROUND, _HAZE, min(1.0, viscosity / _FULL_HAZE))
    canvas.polygon([(-2.0, -2.0), (2.0, -2.0), (2.0, 2.0), (-2.0, 2.0)], tint)
    for k in range(round(_MOTES_PER_VISCOSITY * viscosity)):
        at = ((0.5 + 0.7548776662 * k) % 1 * 1.1 - 0.55, (0.5 + 0.5698402910 * k) % 1 * 1.07)
        canvas.disc(at, 0.007, _MOTE)


def hanging(
    a: tuple[float, float], b: tuple[float, float], length: float, points: int = 20
) -> list[tuple[float, float]]:
    """The parabola from a to b, sagging downwards, whose arc length is `length`; straight where a string is taut.

    The arc length of P(t) = a + (b - a) t - (0, 4 s t (1 - t)) has the closed form used in `_arc`.
    """
    dx, dz = b[0] - a[0], b[1] - a[1]
    sag = 0.0
    if length > math.hypot(dx, dz) * 1.001:
        low, high = 0.0, length
        for _ in range(14):
            sag = (low + high) / 2
            low, high = (sag, high) if _arc(dx, dz, sag) < length else (low, sag)
    if sag < 1e-4:
        return [a, b]
    steps = [k / (points - 1) for k in range(points)]
    return [(a[0] + dx * t, a[1] + dz * t - 4 * sag * t * (1 - t)) for t in steps]


def _arc(dx: float, dz: float, sag: float) -> float:
    """Length of that parabola: the integral of sqrt(dx² + u²) du / (8 s) for u from dz - 4 s to dz + 4 s."""
    dx = max(abs(dx), 1e-6)

    def primitive(u: float) -> float:
        return 0.5 * (u * math.hypot(u, dx) + dx * dx * math.asinh(u / dx))

    return (primitive(dz + 4 * sag) - primitive(dz - 4 * sag)) / (8 * sag)
