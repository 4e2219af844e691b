"""Environments from outside: the examples of docs/environments.md as printed, CARL's, and whose code is run."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

import dali
from dali.cli.analyse import _table
from dali.envs import adapter, catalogue, outside
from dali.envs.contexts import evaluation_grid, held_out_contexts
from dali.errors import CheckpointError, DaliError
from dali.runs.film_source import open_film_source
from dali.runs.folder import load_config
from dali.runs.run import open_run, open_runs
from dali.train.trainer import Trainer

REPO = Path(__file__).resolve().parent.parent
TEXT = (REPO / "docs" / "environments.md").read_text(encoding="utf-8")
SPRING, GYM = "spring:Spring", "gym_pendulum:GymPendulum"
CARL = ("carl:Acrobot", "carl:MountainCarContinuous")
PLAY = "python -m dali train --env {} --preset tiny --steps 260 --set replay_ratio=4 --output {}"


def write_examples(folder: Path) -> None:
    """The modules that the page prints, each under the name that it gives."""
    for name, source in re.findall(r"`(\w+\.py)`:\n\n```python\n(.*?)```", TEXT, re.S):
        (folder / name).write_text(source, encoding="utf-8")


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """A folder with the examples, which this process may import."""
    folder = tmp_path_factory.mktemp("examples")
    write_examples(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(outside.VARIABLE, "")
        patch.setattr(sys, "path", [*sys.path, str(folder)])
        patch.setattr(outside, "_known", {})
        outside.allow(f"{SPRING},{GYM}")
        yield folder


@pytest.fixture(scope="module")
def trained(examples):
    """A folder with a tiny agent of each example, trained and analysed from a shell as the page says."""
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    for name in (SPRING, GYM):
        folder = catalogue.folder_name(name)
        for command in (
            PLAY.format(name, f"runs/{folder}"),
            f"python -m dali --env {name} analyse runs/{folder} --contexts 10",
        ):
            words = [sys.executable, *command.split()[1:]]
            done = subprocess.run(words, cwd=examples, env=environment, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr
    return examples / "runs"


@pytest.mark.parametrize("name", [SPRING, GYM, *CARL])
def test_a_copy_does_not_depend_on_those_beside_it_and_each_feature_acts(examples, name):
    if name in CARL:
        pytest.importorskip("carl")
    spec = catalogue.spec(name)
    rng = np.random.default_rng(0)
    steps = 120
    actions = rng.uniform(-1, 1, (steps, spec.action_dim)).repeat(4, 0)[:steps]
    if spec.discrete:
        actions = np.eye(spec.action_dim)[actions.argmax(1)]
    contexts = np.tile(spec.default_context, (spec.context_dim + 1, 1))
    for i, feature in enumerate(spec.features):
        contexts[i + 1, i] = feature.train[0]

    def play(seeds, physics):
        simulator = catalogue.make(name, len(seeds))
        obs = [simulator.reset(np.array(seeds), physics)]
        obs += [simulator.step(np.tile(action, (len(seeds), 1))).observation for action in actions]
        return np.stack(obs, 1)

    together = play([7] * len(contexts), contexts)
    for row in range(1, len(contexts)):
        np.testing.assert_array_equal(together[row], play([7], contexts[row : row + 1])[0])
        np.testing.assert_array_equal(together[row, 0], together[0, 0])
        assert np.abs(together[row] - together[0]).max() > 1e-3, spec.features[row - 1].name


@pytest.mark.parametrize("name", [SPRING, *CARL])
def test_a_moment_goes_on_under_other_physics_from_the_bits_of_its_state(examples, name):
    if name in CARL:
        pytest.importorskip("carl")
    spec, simulator = catalogue.spec(name), catalogue.make(name, 2)
    assert simulator.restores_state
    simulator.reset(np.array([1, 2]), np.tile(spec.default_context, (2, 1)))
    action = np.tile(np.eye(spec.action_dim)[:1], (2, 1))
    for _ in range(5):
        simulator.step(action)
    state = simulator.get_state()
    after = simulator.step(action).observation
    simulator.step(action)
    simulator.set_state(state)
    np.testing.assert_array_equal(simulator.step(action).observation, after)
    simulator.set_state(state)
    simulator.set_context(np.array([[f.limits[0] for f in spec.features], spec.default_context]))
    other = simulator.step(action).observation
    np.testing.assert_array_equal(other[1], after[1])
    assert (other[0] != after[0]).any()


def test_a_sum_by_hand_of_the_spring(examples):
    simulator = catalogue.make(SPRING, 1)
    simulator.set_context(np.array([[4.0, 0.4]]))
    simulator.set_state(np.array([[0.5, 1.0, 0.5, 1.0]]))
    step = simulator.step(np.array([[1.0]]))
    velocity = 1.0 + 0.05 * (3.0 - 4.0 * 0.5 - 0.4)
    np.testing.assert_allclose(step.observation, [[0.5 + 0.05 * velocity, velocity]], rtol=1e-6)
    assert step.reward[0] == pytest.approx(-0.05 * velocity, rel=1e-5)


@pytest.mark.parametrize("name", [SPRING, GYM, *CARL])
def test_real_and_dreamed_observations_are_drawn_alike(examples, name):
    spec, cls = catalogue.spec(name), catalogue.simulator_class(name)
    rng = np.random.default_rng(1)
    obs = rng.uniform(-1, 1, (3, spec.obs_dim)).astype(np.float32)
    for state in cls.states_from_observations(obs):
        picture = cls.draw(state, spec.default_context, 64)
        assert picture.shape == (64, 64, 3)
        assert picture.dtype == np.uint8
        assert picture.std() > 1
    assert (cls.draw(cls.states_from_observations(obs)[0], spec.default_context, 64) != picture).any()


@pytest.mark.parametrize("name", [SPRING, GYM, *CARL])
def test_grids_and_held_out_physics_of_a_described_feature(examples, name):
    spec = catalogue.spec(name)
    assert spec.name == name
    contexts, regimes, _ = evaluation_grid(spec)
    assert {"interpolation", "extrapolation"} <= set(regimes)
    low, high = np.array([f.limits for f in spec.features]).T
    assert ((contexts >= low) & (contexts <= high)).all()
    assert (contexts == spec.default_context).all(axis=1).sum() == 1
    held_out_contexts(spec, 5, 0, "extrapolation")


def test_a_description_that_cannot_work_is_refused():
    with pytest.raises(DaliError, match="limits must be wider"):
        adapter.feature("g", 1.0, (0.0, 2.0), (0.0, 2.0))
    with pytest.raises(DaliError, match="expected one in its train range"):
        adapter.feature("g", 3.0, (0.0, 2.0), (-1.0, 4.0))
    with pytest.raises(DaliError, match="at least one feature"):
        adapter.describe("Nothing", [], {"x": ""}, ["a"], 10, 0.1)


def test_the_page_trains_analyses_and_judges_dreams(trained):
    run = open_run(trained / "spring_Spring")
    assert run.title.startswith("Mass on a spring")
    analysis = run.analysis()
    assert analysis is not None
    for feature in ("stiffness", "friction"):
        assert np.isfinite(analysis["summary"]["steering"][feature]["skill_25"])
    film = dali.open_run(run.folder).counterfactual(episode=10, t=30, horizon=5, stiffness=6.0)
    assert film.real_counterfactual.obs.shape == (6, 2)
    assert film.frames(64).shape[0] == 6


def test_an_environment_without_set_state_says_what_it_lacks(trained):
    run = open_run(trained / "gym_pendulum_GymPendulum")
    analysis = run.analysis()
    assert analysis is not None
    assert analysis["summary"]["steering"]["g"]["skill_25"] is None
    assert np.isfinite(analysis["summary"]["probe"]["g"]["mae_inside"])
    assert "no real counterfactual" in _table(analysis["summary"], adapter.no_real_counterfactual(run.spec))
    with pytest.raises(DaliError, match="there is no real counterfactual of it"):
        open_film_source(run.folder)
    dreamed = dali.open_run(run.folder).dream(episode=0, t=30, horizon=5)
    assert dreamed["obs"].shape == (6, 3)


def test_the_page_of_counterfactuals_says_it_in_a_sentence(trained, monkeypatch):
    monkeypatch.setenv("DALI_CHECKPOINTS", str(trained))
    page = AppTest.from_file(str(REPO / "app.py"), default_timeout=120)
    page.query_params["run"] = "gym_pendulum_GymPendulum"
    page.switch_page("pages/counterfactuals.py").run()
    assert not page.exception
    assert any("no real counterfactual" in e.value for e in page.error)


def test_a_training_without_set_state_resumes_with_new_episodes(trained):
    folder = trained / "gym_pendulum_GymPendulum"
    trainer = Trainer(load_config(folder), folder)
    trainer.load()
    collector = trainer.collector
    assert collector.first.all()
    assert not collector.lengths.any()
    obs = collector.obs.copy()
    np.testing.assert_array_equal(collector.simulator.get_state(), obs)
    assert not collector.step(True, torch.Generator())
    assert (collector.obs != obs).any()


def test_a_folder_that_names_a_module_never_has_it_imported(tmp_path, trained, monkeypatch):
    marker = tmp_path / "ran"
    (tmp_path / "trap.py").write_text(f"open({str(marker)!r}, 'w').write('x')\n", encoding="utf-8")
    folder = tmp_path / "runs" / "trapped"
    shutil.copytree(trained / "spring_Spring", folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "env": "trap:Trap"}), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    _, unreadable = open_runs(folder.parent)
    assert "imported only where you name it" in unreadable[0].reason
    for words in (["analyse", folder], ["counterfactual", folder], ["results", folder.parent]):
        done = subprocess.run(
            [sys.executable, "-m", "dali", *map(str, words)], cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPO)}, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 1
        assert "imported only where you name it" in done.stderr
    with pytest.raises(CheckpointError, match="imported only where you name it"):
        dali.open_run(folder).figures()
    assert not marker.exists()
    with pytest.raises(DaliError, match="no subclass"):
        dali.open_run(folder, env="trap:Trap")
    assert marker.exists()


@pytest.mark.parametrize("name", ["../x:Y", "x:", ":Y", "os.path:a.b", "x y:Z", "x:Y;import os"])
def test_names_of_another_form_are_refused(name, monkeypatch):
    monkeypatch.setenv(outside.VARIABLE, "")
    with pytest.raises(DaliError, match="not of the form module:Class"):
        outside.allow(name)
    assert os.environ[outside.VARIABLE] == ""
    with pytest.raises(DaliError):
        catalogue.spec(name)


def test_names_are_safe_in_folders():
    assert catalogue.folder_name("carl:Acrobot") == "carl_Acrobot"
    assert catalogue.folder_name("a.b:C") == "a_b_C"


def test_carl_is_imported_only_for_its_own_environments():
    code = (
        "import sys; from dali.envs import catalogue, outside; catalogue.spec('carl:Acrobot'); outside.names(); "
        "catalogue.make('pendulum', 1); print([m for m in ('carl', 'gymnasium') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_machine_without_carl_is_told_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "carl.envs.gymnasium", None)
    with pytest.raises(DaliError, match="which is not installed"):
        catalogue.make("carl:Acrobot", 1)


def test_acrobot_steps_as_gymnasium_does():
    """Against gymnasium's own integrator, whose one line NumPy 2 refuses is given the name that it asks for."""
    pytest.importorskip("carl")
    from gymnasium.envs.classic_control import AcrobotEnv, acrobot

    simulator = catalogue.make("carl:Acrobot", 1)
    simulator.reset(np.array([3]), catalogue.spec("carl:Acrobot").default_context[None])
    theirs = AcrobotEnv()
    theirs.state = simulator.get_state()[0, 6:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(acrobot, "np", SimpleNamespace(**vars(np), float_=np.float64))
        for choice in (0, 2, 2, 1, 0) * 8:
            observation, reward, terminated, _, _ = theirs.step(choice)
            step = simulator.step(np.eye(3)[choice][None])
            np.testing.assert_allclose(step.observation[0], observation, rtol=1e-5, atol=1e-6)
            assert (step.reward[0], step.terminated[0]) == (reward, terminated)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("get_state", ()), ("set_state", (None, {})), ("render", (None, {}, 64)), ("state_from_observation", (None,))],
)
def test_a_method_that_an_adapter_does_not_write_is_named(method, arguments):
    class Bare(adapter.Adapter):
        def reset(self, seed, context):
            return np.zeros(1)

        def step(self, action):
            return np.zeros(1), 0.0, False

    with pytest.raises(DaliError, match=f"does not write '{method}'"):
        getattr(Bare(), method)(*arguments)
