"""How surprised the forward dynamics f_w are by a run, step by step, under one code and under another.

f_w predicts the next change of what is observed from the observation, the action and the code; it knows nothing of the
dream. Where a real run under another physics surprises f_w under z and not under z', z' tells that physics.

Shapes: H horizon, O observation of the agent, A action, Z code.
"""

import numpy as np
import torch

from dali.dreams.film import Film
from dali.dreams.observation import Rollout, observer_of
from dali.errors import DaliError
from dali.model.agent import Agent


@torch.inference_mode()
def surprise(agent: Agent, run: Rollout, code: np.ndarray) -> np.ndarray:
    """(H + 1,) root mean square over dimensions of what f_w errs by, in standard deviations of a step's change.

    Entry k judges the step that arrives at record k; the first is nan, since nothing led there, and of an agent of
    pixels the second too, whose observation holds a change from before the run.

    Args:
        run: its H + 1 records and H actions. code: (Z,) as the context encoder gives it.

    Raises:
        DaliError: the method infers no code, and so has no forward dynamics.
    """
    if not agent.method.infers_context:
        raise DaliError(f"{agent.method.title} infers no context code, so it has no forward dynamics to be surprised.")
    observer = observer_of(agent)
    obs = torch.from_numpy(observer.watch(run))
    action = torch.from_numpy(np.asarray(run.action, np.float32))
    held = torch.from_numpy(np.asarray(code, np.float32)).expand(len(action), -1)
    world = agent.world_model
    squared = world.forward_dynamics.loss(obs[:-1], action, obs[1:], held, world.normalizer)
    values = np.full(len(obs), np.nan)
    values[observer.known :] = squared.sqrt().numpy()[observer.known - 1 :]
    return values


def film_surprise(agent: Agent, film: Film, std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(H + 1,) each: surprise at the real counterfactual run under the film's z and under its z'.

    Args:
        std: (Z,) of the data's codes, which the film's change of code is counted in.
    """
    run = film.real_counterfactual
    return surprise(agent, run, film.code), surprise(agent, run, film.code + film.sigmas * std)
