"""A run that came with its figures but without its weights: what still works, and what says why it does not."""

import shutil

import pytest
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from dali.__main__ import app
from dali.errors import CheckpointError, DaliError
from dali.runs.artifacts import EPISODES_FILE
from dali.runs.checkpoint import load_agent, save_agent
from dali.runs.folder import LEFT_OUT, WEIGHTS
from dali.runs.run import open_run

SHIPPED = "pendulum_inverted_motor-dali_d_chi-s1"


@pytest.fixture
def run(repo, tmp_path):
    """A shipped run whose weights and recorded episodes were left out."""
    folder = tmp_path / "runs" / SHIPPED
    shutil.copytree(repo / "checkpoints" / SHIPPED, folder)
    (folder / EPISODES_FILE).unlink()  # of which the latent space page could be drawn
    before = open_run(folder).digest()
    result = CliRunner().invoke(app, ["compact", str(folder), "--figures-only"])
    assert result.exit_code == 0, result.output
    assert "its figures stay" in result.output
    opened = open_run(folder)
    assert opened.digest() == before
    assert opened.figures_only
    return opened


def test_its_evaluation_is_still_tied_to_its_weights(run):
    assert run.evaluation() is not None
    (run.folder / LEFT_OUT).write_text("0" * 64 + "\n")
    with pytest.raises(CheckpointError, match="other weights"):
        run.evaluation()


@pytest.mark.parametrize("text", ["", "a" * 63, "G" * 64, "x" * 200])
def test_a_digest_that_is_none_is_one_sentence(run, text):
    (run.folder / LEFT_OUT).write_text(text)
    with pytest.raises(CheckpointError, match=LEFT_OUT):
        run.digest()


def test_what_needs_the_weights_says_how_to_make_them(run):
    with pytest.raises(CheckpointError, match=r"without its weights.* Train it anew: python -m dali train"):
        load_agent(run.folder)
    again = CliRunner().invoke(app, ["compact", str(run.folder), "--figures-only"])
    assert isinstance(again.exception, CheckpointError)


@pytest.mark.parametrize("page", ["overview", "latent_space", "counterfactuals", "play", "generalization", "training"])
def test_every_page_stands(run, page, repo, monkeypatch):
    monkeypatch.setenv("DALI_CHECKPOINTS", str(run.folder.parent))
    dashboard = AppTest.from_file(str(repo / "app.py"), default_timeout=120)
    dashboard.switch_page(f"pages/{page}.py")
    dashboard.query_params["run"] = run.folder.name
    dashboard.run()
    assert not dashboard.exception
    said = " ".join(e.value for e in (*dashboard.error, *dashboard.info))
    assert ("without its weights" in said) == (page not in ("generalization", "training")), said
    if page == "training":
        assert not any("No checkpoint yet" in c.value for c in dashboard.caption)


def test_no_training_writes_over_it_unasked(run):
    arguments = ["train", "--env", "pendulum", "--preset", "tiny", "--output", str(run.folder)]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, DaliError)
    assert "already holds a trained agent" in str(result.exception)


def test_new_weights_take_the_place_of_the_digest(run, repo):
    save_agent(run.folder, load_agent(repo / "checkpoints" / SHIPPED))
    assert (run.folder / WEIGHTS).exists()
    assert not (run.folder / LEFT_OUT).exists()
