"""Recording episodes for a run that came without: the command, and the pages that offer it."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from dali.__main__ import app
from dali.jobs import Status, read_status
from dali.returns.play import evaluate, plan_episodes
from dali.runs.artifacts import EPISODES_FILE, save_analysis
from dali.runs.checkpoint import load_agent
from dali.runs.report import analyse
from dali.runs.run import open_run
from dali.runs.scores import save_evaluation
from dali.studio import jobs

SEED, CONTEXTS = 3, 12  # not those of the command without an analysis
LABEL = "Record episodes"


@pytest.fixture(scope="module")
def analysed(make_run, tmp_path_factory) -> Path:
    """A run with figures and the episodes they are of."""
    folder = shutil.copytree(make_run(), tmp_path_factory.mktemp("analysed") / "run")
    save_analysis(folder, analyse(load_agent(folder), SEED, CONTEXTS))
    return folder


@pytest.fixture
def bare(analysed, tmp_path) -> Path:
    """The same without episodes."""
    return shutil.copytree(analysed, tmp_path / "runs" / "run", ignore=shutil.ignore_patterns(EPISODES_FILE, "cache"))


def record(folder: Path, *options: object) -> dict[str, np.ndarray]:
    result = CliRunner().invoke(app, ["record", str(folder), *map(str, options)])
    assert result.exit_code == 0, result.output
    with np.load(folder / EPISODES_FILE) as arrays:
        return dict(arrays)


def test_recorded_episodes_are_those_of_the_figures_every_time(analysed, bare, tmp_path):
    status = tmp_path / "status.json"
    with np.load(analysed / EPISODES_FILE) as arrays:
        expected = dict(arrays)
    for _ in range(2):
        made = record(bare, "--status", status)
        assert made.keys() == expected.keys()
        for name, values in expected.items():
            assert made[name].dtype == values.dtype
            assert made[name].tobytes() == values.tobytes(), name
        assert read_status(status) == Status("done", 200, 200, "step 200 of 200")
        (bare / EPISODES_FILE).unlink()


def test_options_come_before_the_figures(bare):
    assert open_run(bare).analysed_on() == (CONTEXTS, SEED)
    assert (record(bare, "--contexts", 10)["regime"] == "interpolation").sum() == 20
    (bare / "analysis.json").unlink()
    assert open_run(bare).analysed_on() is None


@pytest.mark.parametrize("found", ['"many"', "1.5", "-1", "null", "0", "99999999"])
def test_figures_of_no_number_of_contexts_are_refused(bare, found):
    path = bare / "analysis.json"
    text = path.read_text(encoding="utf-8")
    assert f'"interpolation": {CONTEXTS}' in text
    path.write_text(text.replace(f'"interpolation": {CONTEXTS}', f'"interpolation": {found}'), encoding="utf-8")
    assert "made by another version" in str(CliRunner().invoke(app, ["record", str(bare)]).exception)


@pytest.mark.parametrize("page", ["latent_space", "counterfactuals", "play"])
def test_a_page_offers_to_record_and_goes_on(bare, page, repo, monkeypatch):
    monkeypatch.setenv("DALI_CHECKPOINTS", str(bare.parent))
    script = AppTest.from_file(str(repo / "pages" / f"{page}.py"), default_timeout=120)
    script.session_state["app"] = True
    script.run()
    assert not script.exception
    assert not script.main.error
    assert f"python -m dali record {bare}" in script.info[0].value
    (button,) = [b for b in script.button if b.label == LABEL]
    button.click().run()
    assert not script.exception
    status, deadline = bare / "cache" / "record.status.json", time.monotonic() + 120
    while jobs.read(status).state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert jobs.read(status).state == "done", jobs.read(status).text
    script.run()
    assert not script.exception
    assert not script.main.error
    assert LABEL not in [b.label for b in script.button]


def test_a_recording_that_failed_says_why_and_is_offered_again(bare, repo, monkeypatch):
    monkeypatch.setenv("DALI_CHECKPOINTS", str(bare.parent))
    (bare / "cache").mkdir()
    (bare / "cache" / "record.status.json").symlink_to("nowhere")  # which is never written through
    script = AppTest.from_file(str(repo / "pages" / "latent_space.py"), default_timeout=120)
    script.session_state["app"] = True
    script.run()
    (button,) = script.button
    button.click().run()
    assert not script.exception
    assert "Could not write" in script.error[0].value
    assert [b.label for b in script.button] == [LABEL]


def _show_a_context(folder):
    """The script of a page, so it imports what it needs."""
    from dali.returns.scoring import compare
    from dali.runs.run import open_run
    from dali.runs.scores import load_evaluation
    from dali.studio.returns.maps import _show_context

    run = open_run(folder)
    _show_context(run, compare(run.spec, {run.config.method_name: [load_evaluation(run.folder)]}, False), 0, None)


def test_a_context_of_the_generalisation_page_offers_it_too(bare):
    agent = load_agent(bare)
    asked = plan_episodes(agent.spec, agent.spec.default_context[None], ["interpolation"], ["default"], 1, 0)
    save_evaluation(bare, evaluate(agent, asked, 0))
    script = AppTest.from_function(_show_a_context, args=(str(bare),), default_timeout=120).run()
    assert not script.exception
    assert [b.label for b in script.button] == [LABEL]
