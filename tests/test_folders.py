"""Several folders of runs at once: runs of one name stay apart, and a folder that is none is told in a sentence."""

import os
import shutil
import subprocess
import sys

import pytest
import streamlit as st
from typer.testing import CliRunner

from dali.__main__ import app as cli
from dali.errors import CheckpointError, DaliError
from dali.runs.folder import check_folder
from dali.runs.run import Run
from dali.studio import folders, jobs
from dali.studio.loaders import find_run, list_checkpoints


@pytest.fixture(scope="module")
def two(make_run, tmp_path_factory):
    """Two folders, each with a run called "same" of another method; the second has one more."""
    root = tmp_path_factory.mktemp("folders")
    for folder, name, method in (("a", "same", "dali_d_chi"), ("b", "same", "dali_s"), ("b", "other", "dali_d")):
        shutil.copytree(make_run("pendulum", method), root / folder / name)
    return root / "a", root / "b"


@pytest.fixture
def open_page(open_page, two):
    return lambda page="", given=two, **url: open_page(given, page, **url)


def texts(*elements) -> str:
    return "\n".join(e.value for group in elements for e in group)


def picked(app):
    return app.sidebar.selectbox(key="run_picker")


def test_names_are_as_long_as_it_takes_to_tell_runs_apart(tmp_path):
    runs = [Run(tmp_path / place / "s0") for place in ("x/a", "x/b", "y/b")] + [Run(tmp_path / "x/a/s1")]
    assert folders.names_of(runs) == ["a/s0", str(tmp_path / "x/b/s0"), str(tmp_path / "y/b/s0"), "s1"]
    assert folders.names_of([]) == []


def test_runs_of_one_name_are_offered_apart_and_opened_apart(open_page, two):
    app = open_page()
    assert sorted(picked(app).options) == ["a/same", "b/same", "other"]
    for name, method in (("b/same", "DALI-S"), ("a/same", "DALI-D-χ")):
        picked(app).set_value(name).run()
        assert app.query_params["run"] in (name, [name])
        assert f"Pendulum · {method} ·" in texts(app.sidebar.caption).replace("\\", "")
        assert str(two[0 if name[0] == "a" else 1]) in texts(app.sidebar.caption)
    assert sorted(app.dataframe[0].value["Checkpoint"]) == ["a/same", "b/same", "other"]
    runs = list_checkpoints(*two)[0]
    assert find_run(runs, "same").folder == two[0] / "same"  # as a link from before there were two
    assert find_run(runs, "b/same").folder == two[1] / "same"
    assert find_run(runs, "c/same") is None


@pytest.mark.parametrize("page", ["latent_space", "counterfactuals", "generalization", "training", "play"])
def test_every_page_opens_the_run_that_was_meant(open_page, page):
    app = open_page(page, run="b/same")
    if page != "training":
        assert picked(app).value == "b/same"
    assert not app.main.error


def test_the_training_page_lists_the_logs_of_all_folders(open_page, two, tmp_path):
    for folder in two:
        (folder / "same" / "metrics.jsonl").write_text('{"env_steps": 1, "update": 1, "return": 0.5}\n')
    try:
        app = open_page("training")
        assert app.multiselect(key="training_picker").value == ["a/same", "b/same"]
    finally:
        for folder in two:
            (folder / "same" / "metrics.jsonl").unlink()


def test_a_folder_of_several_that_is_none_is_told(open_page, two, tmp_path):
    absent, file = tmp_path / "absent", tmp_path / "file"
    file.write_text("")
    app = open_page(given=(two[0], absent, file))
    assert picked(app).options == ["same"]
    said = texts(app.main.error)
    assert "There is no folder" in said
    assert "is a file; expected the folder that holds the runs' folders" in said


def add(app, text):
    app.text_input(key="folder_text").set_value(str(text))
    next(b for b in app.button if b.label == "Add").click()
    app.run()
    assert not app.exception
    return app


def test_a_folder_is_added_for_the_session_and_removed(open_page, two):
    app = open_page(given=two[:1])
    assert picked(app).options == ["same"]
    add(app, two[1])
    assert sorted(picked(app).options) == ["a/same", "b/same", "other"]
    assert picked(app).value == "a/same"  # what was chosen stays chosen
    add(app, two[1] / ".." / "b")  # the same again
    assert len(app.session_state[folders.ADDED]) == 1
    next(b for b in app.button if b.label == "Remove").click()
    app.run()
    assert picked(app).options == ["same"]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("absent", "There is no folder"),
        ("file", "is a file; expected the folder that holds the runs' folders"),
        ("empty", "holds a config.json, so there is no run in it"),
        ("a/same", "is itself a run; expected the folder that holds it"),
        ("nul\0l", "cannot be read"),
    ],
)
def test_a_field_that_names_no_folder_of_runs_says_so(open_page, two, tmp_path, what, said):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    app = add(open_page(given=two[:1]), two[0].parent / what if what.startswith("a/") else tmp_path / what)
    assert said in texts(app.main.error)
    assert folders.ADDED not in app.session_state


def test_visitors_from_elsewhere_add_no_folders(open_page, two, monkeypatch):
    monkeypatch.setattr(jobs, "allowed", lambda: False)
    app = open_page(given=two[:1])
    assert not any(b.label == "Add" for b in app.button)
    monkeypatch.setattr(st, "session_state", {})
    with pytest.raises(DaliError, match="folders of DALI_CHECKPOINTS alone"):
        folders.add_folder(str(two[1]))


def test_the_variable_lists_folders_each_once(monkeypatch, two):
    a, b = two
    monkeypatch.setenv("DALI_CHECKPOINTS", os.pathsep.join(map(str, (b, a, "", b / ".." / "b"))))
    assert folders.given_folders() == [b, a]
    monkeypatch.delenv("DALI_CHECKPOINTS")
    assert folders.given_folders() == [folders.DEFAULT_FOLDER]


def test_the_command_opens_the_dashboard_on_the_folders_given(monkeypatch, two):
    asked = {}

    def run(command, env, cwd, check):
        asked.update(command=command, folders=env["DALI_CHECKPOINTS"])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("dali.cli.app.subprocess.run", run)
    words = ["app", "--port", "8777", *(word for folder in two for word in ("--checkpoints", str(folder)))]
    assert CliRunner().invoke(cli, words).exit_code == 0
    assert asked["folders"] == os.pathsep.join(map(str, two))
    assert asked["command"][:4] == [sys.executable, "-m", "streamlit", "run"]
    assert asked["command"][-1] == "8777"


def test_the_command_refuses_what_is_no_folder(two, tmp_path):
    for folder, said in ((tmp_path / "x", "There is no folder"), (two[0] / "same", "is itself a run")):
        with pytest.raises(CheckpointError, match=said):
            check_folder(folder)
        result = CliRunner().invoke(cli, ["app", "--checkpoints", str(two[0]), "--checkpoints", str(folder)])
        assert result.exit_code == 1
        assert said in str(result.exception)


def test_a_dashboard_without_streamlit_is_a_sentence(monkeypatch):
    monkeypatch.setattr("dali.cli.app.importlib.util.find_spec", lambda name: None)
    with pytest.raises(DaliError, match=r"'streamlit' is not installed.*pip install"):
        CliRunner().invoke(cli, ["app"], catch_exceptions=False)
