"""What the pages of training and generalisation list: runs in training, runs shown at first, runs that compare."""

import json
import shutil

import pytest
from streamlit.testing.v1 import AppTest

from dali.runs.checkpoint import METRICS
from dali.studio.training import views as training


@pytest.fixture
def folder(make_run, tmp_path, monkeypatch):
    """Two methods of pendulum, one of cartpole, each with a log of this moment, 300 of 600 steps done."""
    for env, method in (("cartpole", "dali_d"), ("pendulum", "dreamer_dr"), ("pendulum", "dali_d")):
        run = tmp_path / f"{env}-{method}"
        shutil.copytree(make_run(env, method), run)
        (run / METRICS).write_text(json.dumps({"env_steps": 300, "update": 1}) + "\n")
    monkeypatch.setenv("DALI_CHECKPOINTS", str(tmp_path))
    return tmp_path


def test_a_finished_run_is_not_in_training_however_new_its_files(folder):
    (folder / "pendulum-dali_d" / METRICS).write_text(json.dumps({"env_steps": 600, "update": 2}) + "\n")
    (folder / "pendulum-dali_d" / "training.json").write_text(json.dumps({"env_steps": 600}))
    (folder / "pendulum-dreamer_dr" / "training.json").write_text(json.dumps({"env_steps": 300}))
    live = {name: run.is_live() for name, run in training.logged_runs().items()}
    assert live == {"cartpole-dali_d": True, "pendulum-dali_d": False, "pendulum-dreamer_dr": True}


def test_one_run_of_each_method_of_the_usual_environment_is_shown_first(folder):
    shutil.copytree(folder / "pendulum-dali_d", folder / "pendulum-dali_d-again")
    assert training._one_of_each(training.logged_runs()) == ["pendulum-dali_d", "pendulum-dreamer_dr"]


def test_runs_of_another_setting_form_a_group_of_their_own(folder):
    wide = folder / "wide"
    shutil.copytree(folder / "pendulum-dali_d", wide)
    config = json.loads((wide / "config.json").read_text())
    config["train"]["horizon"] += 1
    (wide / "config.json").write_text(json.dumps(config))
    page = AppTest.from_function(show_groups, default_timeout=60).run()
    assert not page.exception
    assert page.selectbox[0].options == [
        "2 methods, 2 runs: preset tiny, 600 environment steps, 1 field changed",
        "DALI-D, 1 run: preset tiny, 600 environment steps, 2 fields changed",
    ]
    assert page.caption[0].value == "Changed from the preset: context_window=16."
    assert page.markdown[0].value == "pendulum-dali_d pendulum-dreamer_dr"  # what has most methods comes first
    page.selectbox[0].set_value(1).run()
    assert page.markdown[0].value == "wide"


def show_groups():
    import streamlit as st

    from dali.studio.loaders import list_checkpoints
    from dali.studio.returns.evaluations import choose_comparable, evaluated_runs

    run = next(run for run in list_checkpoints()[0] if run.name == "wide")
    found = evaluated_runs(choose_comparable(run))
    st.markdown(" ".join(sorted(other.name for other, _ in found.missing)))
