"""The model card says what was reached, and what was not."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from dali.__main__ import app
from dali.config import make_config
from dali.envs import catalogue
from dali.envs.contexts import evaluation_grid
from dali.model.agent import Agent
from dali.returns.held_out import HeldOutReturns, held_out_returns
from dali.returns.play import evaluate, plan_episodes
from dali.runs.card import render_card
from dali.runs.checkpoint import save_agent
from dali.runs.scores import load_evaluation, save_evaluation

TRAINING = {
    "command": "python -m dali train --env pendulum --seed 0",
    "wall_seconds": 3960.0,
    "env_steps": 600,
    "updates": 12,
    "machine": "2 CPU cores",
    "versions": {"torch": "2.13.0"},
}
RANDOM = np.array([-1000.0, -1200.0])


def make_agent(method: str = "dali_d_chi", env: str = "pendulum") -> Agent:
    torch.manual_seed(0)
    return Agent(make_config(env, method, "tiny", 0, 600), catalogue.spec(env)).eval()


def played(returns: list[float]) -> HeldOutReturns:
    return HeldOutReturns(np.array(returns), RANDOM, -100.0, "a controller")


def summary(r2: float, skill: float) -> dict:
    probe = {"r2_inside": r2, "r2_outside": 0.5, "r2_control": None, "unit": "m"}
    factor = {"g": probe, "l": probe}
    steering = {"skill_25": skill, "skill_50": skill}
    found = {
        "engine": "rssm",
        "probe": factor,
        "steering": {"g": steering, "l": steering},
        "effective": {name: {"slope": 0.9} for name in factor},
        "contexts": {"train": 8, "interpolation": 8},
        "seed": 0,
    }
    better = {name: {"skill_25": 0.91, "skill_50": 0.9, "skill_25_interval": [0.85, 0.95]} for name in factor}
    return {"summary": found, "dynamics": {"summary": found | {"engine": "dynamics", "steering": better}}}


def render(returns: list[float], training: dict | None = TRAINING, found: dict | None = None, **options) -> str:
    agent = options.get("agent") or make_agent()
    return render_card("name", agent, training, played(returns), found, "python -m dali card x")


def test_a_good_agent():
    text = render([-200.0, -220.0], found=summary(0.95, 0.8))
    # (-210 + 1100) / (-100 + 1100) = 89 % of the way.
    assert "89%" in text
    assert "1 h 6 min" in text
    assert "| gravity | 0.95 | 0.50 | - |" in text
    assert "| gravity | `rssm` | 0.80 | - | - | - | 0.80 | 0.90 | - |" in text
    assert "| gravity | `dynamics` | 0.91 | 0.85 to 0.95 | - | - | 0.90 | 0.90 | - |" in text
    assert "Not reached" not in text
    assert "not clearly better" not in text
    assert "stopped after" not in text


def test_a_poor_agent_is_called_poor():
    text = render([-1000.0, -1200.0], {**TRAINING, "env_steps": 300}, summary(0.1, 0.02))
    assert "not clearly better than random" in text
    assert "stopped after 300 of the 600" in text
    assert "does not tell gravity well (R² 0.10)" in text
    assert "steering rod length changes its dreams little (skill 0.02)" in text


def test_a_gap_in_a_train_range_is_said():
    card = render([-200.0, -220.0], agent=make_agent("dreamer_dr", "pendulum_inverted_motor"))
    assert "motor strength (-1.5 to -0.5 or 0.5 to 1.5×) and rod length (0.5 to 1.5 m)" in card


def test_what_is_missing_is_said():
    text = render([-200.0, -220.0], training=None)
    assert "were not recorded" in text
    assert "Not analysed yet: `python -m dali analyse checkpoints/name`" in text
    assert "infers no code" in render([-200.0, -220.0], agent=make_agent("dreamer_dr"))


@pytest.mark.parametrize("method", ["dali_d_chi", "crssm_d"])
def test_the_command_tells_the_return_of_the_evaluation(tmp_path, method):
    agent = make_agent(method)
    save_agent(tmp_path, agent)
    (tmp_path / "training.json").write_text(json.dumps(TRAINING))
    write = ["card", str(tmp_path)]
    assert CliRunner().invoke(app, write).exit_code == 0
    assert f"Not evaluated yet: `python -m dali evaluate checkpoints/{tmp_path.name}`" in card_of(tmp_path)

    contexts, regimes, grids = evaluation_grid(agent.spec, "quick")
    save_evaluation(tmp_path, evaluate(agent, plan_episodes(agent.spec, contexts, regimes, grids, 1, 0), 0))
    assert held_out_returns(agent.spec, load_evaluation(tmp_path)) is None  # of a dozen contexts few lie inside

    inside = [i for i, regime in enumerate(evaluation_grid(agent.spec)[1]) if regime == "interpolation"]
    contexts, regimes, grids = evaluation_grid(agent.spec)
    args = contexts[inside], [regimes[i] for i in inside], [grids[i] for i in inside]
    save_evaluation(tmp_path, evaluate(agent, plan_episodes(agent.spec, *args, 1, 0), 0))
    assert CliRunner().invoke(app, write).exit_code == 0
    found = held_out_returns(agent.spec, load_evaluation(tmp_path))
    assert found is not None
    assert f"| {len(inside)} held-out contexts inside the train range | {found.agent.mean():.1f} ± " in card_of(
        tmp_path
    )
    assert "2 CPU cores" in card_of(tmp_path)


def card_of(folder) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")
