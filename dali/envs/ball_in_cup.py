"""Ball in cup (dm_control's suite, task catch) under gravity and string length.

Observation: positions of cup and ball relative to (0, 0.6) m and (0, 0.2) m, and their velocities.
"""

import math

import numpy as np

from dali.envs.base import DrawStyle
from dali.envs.mujoco_simulator import MujocoSimulator

CUP_HEIGHT, BALL_HEIGHT = 0.6, 0.2  # m, body positions of the model
STRING_AT = -0.108  # m, where the string holds the cup, below its centre
TARGET_AT = -0.05  # m, centre of the target, below the cup's centre
STRING = 0.3  # m, the string of the model
REACH = 0.025  # m, half the target's side (0.05) less the ball's radius (0.025)
STRING_SHARE = 0.96  # of its length, to which a string that would start overstretched is relaxed


class BallInCup(MujocoSimulator):
    """A ball on a string under an actuated cup; reward 1 at each step at which the ball is in the cup."""

    model_file = "ball_in_cup.xml"

    def _randomize(self, data, random, context):
        while True:  # dm_control's rule: draw until the ball touches nothing
            data.qpos[2:] = draw_ball(random, self.model.tendon_range[0, 1])
            self._forward(data)
            if data.ncon == 0:
                return

    def _reward(self, data):
        cup_x, cup_z, ball_x, ball_z = data.qpos
        height = (CUP_HEIGHT + cup_z + TARGET_AT) - (BALL_HEIGHT + ball_z)
        return float(abs(cup_x - ball_x) < REACH and abs(height) < REACH)

    def _observe(self):
        return np.array([np.concatenate([d.qpos, d.qvel]) for d in self._data], dtype=np.float32)

    @staticmethod
    def states_from_observations(observation):
        observation = np.asarray(observation, dtype=np.float64)
        return np.concatenate([observation, np.zeros((len(observation), 4))], axis=1)  # no warm start

    @staticmethod
    def draw(state, context, size=256, style: DrawStyle = "solid"):
        from dali.envs import draw  # OpenCV is needed by who draws alone

        return draw.ball_in_cup(np.asarray(state[:4], dtype=np.float64), float(context[1]), size, style)


class BallInCupDrag(BallInCup):
    """Ball in cup in air that drags on the ball, under gravity and the air's viscosity; the string is the model's.

    MuJoCo's inertia-box model of a fluid, at density 0 (https://mujoco.readthedocs.io/en/stable/computation/fluid.html):
    a body of velocity v is dragged by -3π β d v, β the viscosity and d the mean side of the box of uniform density that
    has the body's mass and inertia. For a ball of radius r that is d = r sqrt(12/5), so that it falls at most at
    m g / (3π β d).
    """

    @staticmethod
    def draw(state, context, size=256, style: DrawStyle = "solid"):
        from dali.envs import draw  # OpenCV is needed by who draws alone

        position = np.asarray(state[:4], dtype=np.float64)
        return draw.ball_in_cup(position, STRING, size, style, viscosity=float(context[1]))


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
