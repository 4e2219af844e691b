"""The catalogue through gymnasium's own door."""

import re
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from dali.envs import catalogue
from dali.envs.registration import gymnasium_id
from dali.errors import DaliError

NAMES = catalogue.names()
pytestmark = pytest.mark.filterwarnings("ignore:.*we recommend using a symmetric and normalized space.*:UserWarning")


@pytest.mark.parametrize("name", NAMES)
def test_gymnasiums_checker_passes(name):
    check_env(gymnasium.make(gymnasium_id(name), render_mode="rgb_array").unwrapped)


def test_context_decides_the_physics_and_is_not_observed():
    env = gymnasium.make("dali/BallInCup-v0", context={"gravity": 4.9})
    observation, info = env.reset(seed=3)
    assert info["context"] == {"gravity": 4.9, "string_length": 0.3}
    assert observation.shape == (8,)
    state = env.unwrapped.get_state()
    fallen = {}
    for gravity in (4.9, 14.7):
        env.reset(seed=3, options={"context": {"gravity": gravity}})
        env.unwrapped.set_state(state)
        for _ in range(5):
            observation, _, _, _, info = env.step(np.zeros(2, np.float32))
        assert info["context"]["gravity"] == gravity
        fallen[gravity] = observation[7]
    assert fallen[14.7] < fallen[4.9] < 0


def test_a_sampled_context_follows_the_seed():
    env = gymnasium.make("dali/PendulumInvertedMotor-v0")
    drawn = [env.reset(seed=s, options={"context": "sample"})[1]["context"] for s in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    for context in drawn:
        assert all(catalogue.spec("pendulum_inverted_motor").feature(n).inside(v) for n, v in context.items())


def test_a_random_policy_plays_the_vector_form():
    envs = gymnasium.make_vec("dali/Cartpole-v0", num_envs=3, context={"length": 0.7})
    envs.action_space.seed(0)
    observation, _ = envs.reset(seed=0)
    for _ in range(10):
        observation, reward, *_ = envs.step(envs.action_space.sample())
    assert observation.shape == (3, 4)
    assert np.isfinite(reward).all()
    envs.close()


def test_bad_calls_say_what_is_wrong():
    with pytest.raises(DaliError, match=r"no context feature 'g'; it has: gravity, string_length"):
        gymnasium.make("dali/BallInCup-v0", context={"g": 4.9})
    with pytest.raises(DaliError, match=r"'gravity' of ball_in_cup is 40 m/s²"):
        gymnasium.make("dali/BallInCup-v0", context={"gravity": 40})
    env = gymnasium.make("dali/BallInCup-v0", disable_env_checker=True)
    env.reset(seed=0)
    with pytest.raises(DaliError, match="not finite"):
        env.step(np.array([np.nan, 0.0], np.float32))
    env = gymnasium.make("dali/Cartpole-v0", disable_env_checker=True)
    env.reset(seed=0)
    with pytest.raises(DaliError, match="expected 0 to 1"):
        env.step(2)


def test_the_example_of_the_documentation_runs(capsys):
    text = (Path(__file__).parent.parent / "docs" / "environments.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(import gymnasium\n.*?registration.*?)```", text, re.DOTALL)
    names: dict = {}
    exec(compile(example, "environments.md", "exec"), names)
    assert "{'gravity': 4.9, 'string_length': 0.3}" in capsys.readouterr().out
    assert names["picture"].shape == (256, 256, 3)


def test_the_documentation_names_every_environment_and_its_train_ranges():
    text = (Path(__file__).parent.parent / "docs" / "environments.md").read_text(encoding="utf-8")
    for spec in catalogue.CATALOGUE.values():
        (row,) = re.findall(rf"^\| `{spec.name}` \|.*$", text, re.MULTILINE)
        for feature in spec.features:
            for low, high in feature.train_intervals:
                where = text if feature.name in ("gravity", "l", "actuator_strength") else row
                assert f"{low:g} to {high:g}" in where, feature.name
