"""Ball in cup (dm_control's suite, task catch) under gravity and string length.

Observation: positions of cup and ball relative to (0, 0.6) m and (0, 0.2) m, and their velocities.
"""

import mujoco
import numpy as np

from dali.envs.base import DrawStyle
from dali.envs.mujoco_simulator import MujocoSimulator

CUP_HEIGHT, BALL_HEIGHT = 0.6, 0.2  # m, body positions of the model
STRING_AT = -0.108  # m, where the string holds the cup, below its centre
TARGET_AT = -0.05  # m, centre of the target, below the cup's centre
REACH = 0.025  # m, half the target's side (0.05) less the ball's radius (0.025)
STRING_SHARE = 0.96  # of its length, to which a string that would start overstretched is shortened


class BallInCup(MujocoSimulator):
    """A ball on a string under an actuated cup; reward 1 at each step at which the ball is in the cup."""

    model_file = "ball_in_cup.xml"

    def _apply_context(self, context):
        self.model.opt.gravity[2] = -context[0]
        self.model.tendon_range[0, 1] = context[1]

    def _randomize(self, data, random, context):
        # As dm_control: a random ball position that touches nothing. Where the string is too short for it, the ball
        # is moved along the string towards the cup, since a stretched string would fling it.
        while True:
            position = np.array([random.uniform(-0.2, 0.2), random.uniform(0.2, 0.5)])
            anchor = np.array([0.0, CUP_HEIGHT + STRING_AT - BALL_HEIGHT])
            distance = np.linalg.norm(position - anchor)
            reach = STRING_SHARE * context[1]
            data.qpos[2:] = position if distance <= context[1] else anchor + (position - anchor) * (reach / distance)
            self._forward_without_actuation(data)
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
