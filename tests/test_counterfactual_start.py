"""The state that a dream starts from is the state that training would have filtered from the same records."""

import numpy as np
import pytest
import torch

from dali.config import make_config
from dali.dreams.counterfactual import FILTERED, held_context, infer_start
from dali.envs import catalogue
from dali.envs.contexts import sample_contexts
from dali.episodes import collect
from dali.model.agent import Agent
from dali.train.replay import Replay


@pytest.mark.parametrize("t", [0, 3, 40])
def test_a_films_start_is_what_filtering_the_replay_gives(t):
    torch.manual_seed(0)
    config = make_config("pendulum", "dali_d_chi", "tiny", seed=0, steps=600, envs=1, context_window=16)
    spec = catalogue.spec("pendulum")
    agent = Agent(config, spec).requires_grad_(False).eval()
    contexts = sample_contexts(spec, 1, 0)
    episodes = collect(agent, contexts, np.array(["train"]), seed=0, explored=np.array([True]), steps=60)

    replay = Replay(spec, config.model, config.train, np.random.default_rng(0))
    blank = np.zeros((1, spec.action_dim), np.float32)
    for step in range(t + 1):
        action = episodes.action[:, step - 1] if step else blank
        replay.add(
            np.zeros(1, np.int64), episodes.obs[:, step], action, np.zeros(1, np.float32), np.zeros(1, bool),
            np.array([step == 0]), spec.scale_context(contexts),
        )  # fmt: skip
    records = slice(max(0, t + 1 - FILTERED), t + 1)
    held = held_context(agent, episodes, episodes.code[:, t], contexts)
    states, _ = agent.world_model.observe(
        replay.obs[None, records],
        replay.action[None, records],
        held[:, None].expand(-1, records.stop - records.start, -1),
        agent.world_model.rssm.initial(1, "cpu"),
        "mean",
    )
    start = infer_start(agent, episodes, t, held).latent
    assert torch.equal(start.deter, states.deter[:, -1])
    assert torch.equal(start.stoch, states.stoch[:, -1])
