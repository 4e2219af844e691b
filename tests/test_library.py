"""The library's answers are those of the engine, and what does not fit is refused with a sentence."""

import numpy as np
import pandas as pd
import pytest

import dali
from dali.library import functions


@pytest.fixture(scope="module")
def run(make_run):
    return dali.open_run(make_run())


def test_codes_are_those_of_the_recorded_episodes(run):
    codes, episodes = run.codes(), run.episodes()
    assert len(codes) == (episodes.length + 1).sum()
    assert {"episode", "step", "time", "g", "l", "regime", "acted_by", "z0"} <= set(codes)
    assert len(run.codes(means=True)) == len(episodes)
    one = codes[codes.episode == 3]
    assert (one.g == episodes.g[3]).all()
    assert one.time.max() == pytest.approx(episodes.length[3] * run.spec.timestep)


def test_a_counterfactual_by_hand_equals_the_film(run):
    film = run.counterfactual(episode=25, t=40, horizon=12, g=4.9)
    codes = run.codes()
    z = codes[(codes.episode == 25) & (codes.step == 40)].filter(regex=r"^z\d$").to_numpy()[0]
    dream = run.dream(25, 40, 12, code=z + run.shift_code(25, g=4.9))
    real = run.simulate(25, 40, dream["action"], g=4.9)
    np.testing.assert_allclose(dream["obs"], film.dream_counterfactual.obs, atol=1e-6)
    np.testing.assert_array_equal(real["obs"], film.real_counterfactual.obs)
    np.testing.assert_array_equal(run.dream(25, 40, 12)["obs"], film.dream.obs)


def test_a_shallow_method_starts_anew_under_the_code_that_is_held(make_run):
    run = dali.open_run(make_run(method="dali_s"))
    film = run.counterfactual(episode=25, t=40, horizon=5, code={"z0": 2.0})
    dream = run.dream(25, 40, 5, code=film.engine_film.code + film.engine_film.sigmas * run._readout().support.std)
    np.testing.assert_allclose(dream["obs"], film.dream_counterfactual.obs, atol=1e-6)


@pytest.mark.parametrize("ending", ["mp4", "gif", "png", "csv", "npz"])
def test_films_are_saved_by_their_ending(run, tmp_path, ending):
    film = run.counterfactual(episode=25, t=40, horizon=4, l=0.6)
    path = film.save(tmp_path / f"film.{ending}", size=64)
    assert path.stat().st_size > 100
    if ending == "csv":
        pd.testing.assert_frame_equal(pd.read_csv(path), film.table())


def test_trains_from_a_script(tmp_path):
    run = dali.train_agent("pendulum", tmp_path / "run", preset="tiny", log_every=0.0)
    assert run.config.preset == "tiny"
    assert dali.list_runs(tmp_path).saved.tolist() == [True]
    with pytest.raises(dali.DaliError, match="already holds a run"):
        dali.train_agent("pendulum", tmp_path / "run", preset="tiny")


def test_environments_go_on_under_other_physics():
    env = dali.make_env("pendulum", copies=2)
    env.reset(np.arange(2), np.array([[10.0, 1.0], [4.9, 1.0]]))
    env.set_state(np.repeat(env.get_state()[:1], 2, axis=0))
    step = env.step(np.zeros((2, 1)))
    assert not np.array_equal(step.observation[0], step.observation[1])
    listed = dali.list_envs().set_index(["env", "feature"])
    assert {"pendulum", "ball_in_cup"} <= set(listed.index.get_level_values("env"))
    motor, length = (listed.loc["pendulum_inverted_motor", name] for name in ("motor_strength", "l"))
    assert (motor.train_low, motor.gap_low, motor.gap_high, motor.train_high) == (-1.5, -0.5, 0.5, 1.5)
    assert np.isnan([length.gap_low, length.gap_high]).all()


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda run: run.counterfactual(episode=999, t=0), "Episode 999 does not exist"),
        (lambda run: run.counterfactual(episode=0, t=10, mass=2.0), "no context feature 'mass'"),
        (lambda run: run.counterfactual(episode=0, t=10, g=500.0), "out of range"),
        (lambda run: run.dream(0, 10, code=np.zeros(3)), "3 numbers"),
        (lambda run: run.simulate(0, 10, np.zeros((5, 2))), "Actions have shape"),
        (lambda run: run.counterfactual(episode=0, t=10).save("film.avi"), "expected one of"),
        (lambda run: run.figures(), "python -m dali analyse"),
        (lambda run: run.returns(), "python -m dali evaluate"),
        (lambda _: dali.open_run("nowhere"), "no checkpoint folder nowhere"),
        (lambda _: dali.make_env("moon"), "Unknown environment 'moon'"),
    ],
)
def test_what_does_not_fit_is_refused(run, ask, said):
    with pytest.raises(dali.DaliError, match=said):
        ask(run)


def test_methods_without_a_code_say_so(make_run):
    run = dali.open_run(make_run(method="dreamer_dr"))
    for ask in (run.codes, lambda: run.read_physics(np.zeros(8)), lambda: run.shift_code(0, g=4.9)):
        with pytest.raises(dali.DaliError, match="infers no context code"):
            ask()
    assert run.counterfactual(episode=0, t=10, horizon=5, g=4.9).support is None


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "dali.train.trainer", None)
    with pytest.raises(ModuleNotFoundError):  # one of ours: a fault, not something to install
        functions.train_agent("pendulum", tmp_path)
    error = ModuleNotFoundError("No module named 'tensorboard'", name="tensorboard")
    assert "'tensorboard' is not installed" in str(dali.errors.missing_package(error))
