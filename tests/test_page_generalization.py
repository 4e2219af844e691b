"""The generalisation page without a browser: what policies react to, and what is left of them without memory."""

import shutil

import pytest
from streamlit.testing.v1 import AppTest

from dali.envs import catalogue
from dali.envs.contexts import evaluation_grid
from dali.returns.estimators import Estimate
from dali.returns.play import evaluate, plan_episodes
from dali.returns.sensitivity import Reaction, ReturnLost, Sensitivity
from dali.runs.checkpoint import load_agent
from dali.runs.reaction import REACTION_FILE, save_reaction
from dali.runs.scores import FILES, save_evaluation

SPEC = catalogue.spec("pendulum")


def estimate(value):
    return Estimate(value, value - 0.05, value + 0.05, "contexts")


@pytest.fixture
def folder(make_run, tmp_path):
    """Three methods, all evaluated; a reaction of one of the two with a context, and it again without memory."""
    contexts, regimes, grids = (part[:6] for part in evaluation_grid(SPEC, "quick"))
    asked = plan_episodes(SPEC, contexts, regimes, grids, 1, 0)
    for method in ("dali_d_chi", "crssm_d", "dreamer_dr"):
        run = shutil.copytree(make_run("pendulum", method), tmp_path / method)
        save_evaluation(run, evaluate(load_agent(run), asked, 0))
    run = tmp_path / "dali_d_chi"
    save_evaluation(run, evaluate(load_agent(run), asked, 0, memory="none"))
    features = (
        Sensitivity("g", estimate(0.6), estimate(0.3), 1.0),
        Sensitivity("l", estimate(0.3), estimate(0.3), 1.0),
    )
    lost = tuple(ReturnLost(name, estimate(20.0), estimate(0.2)) for name in ("frozen", "shuffled", "delayed by 5"))
    save_reaction(run, Reaction(features, lost, 20, 3, 960, 0))
    return tmp_path


@pytest.fixture
def open_page(folder, monkeypatch, repo):
    def open_page(view, run="dali_d_chi"):
        monkeypatch.setenv("DALI_CHECKPOINTS", str(folder))
        app = AppTest.from_file(repo / "app.py", default_timeout=120)
        app.query_params["run"] = run
        app.run().switch_page("pages/generalization.py").run()
        app.segmented_control(key="generalization_view").set_value(view).run()
        assert not app.exception
        return app

    return open_page


def texts(*elements) -> str:
    return "\n".join(e.value for group in elements for e in group)


def test_reactions_are_shown_of_each_run_that_has_them_and_offered_for_the_rest(open_page, folder):
    app = open_page("Reaction")
    said = texts(app.markdown)
    assert "DALI-D-χ changes its action more than random directions when gravity moves" in said
    assert "no differently from random directions when rod length moves" in said
    assert "it loses 0.20 of the way from random to reference" in said
    (row,) = app.dataframe[0].value.to_dict("records")
    assert row["Action, gravity"] == "0.600 [0.550, 0.650]"
    assert row["Lost, delayed by 5"] == "0.20 [0.15, 0.25]"
    assert [b.key for b in app.button if b.label.startswith("Measure")] == [f"react:{folder / 'crssm_d'}"]
    assert f"python -m dali react {folder / 'crssm_d'}" in texts(app.code)


def test_a_reaction_of_other_weights_is_not_shown(open_page, folder):
    path = folder / "dali_d_chi" / REACTION_FILE
    path.write_text(path.read_text().replace('"weights": "', '"weights": "x'))
    app = open_page("Reaction")
    assert "changes its action" not in texts(app.markdown)
    assert "is of other weights" in texts(app.markdown).replace("\\", "")


def test_without_a_context_there_is_nothing_to_react_to(open_page, folder):
    for method in ("dali_d_chi", "crssm_d"):
        shutil.rmtree(folder / method)
    assert "no policy here can react to one" in texts(open_page("Reaction", "dreamer_dr").info)


def test_what_is_left_without_memory_stands_below_the_regimes(open_page, folder):
    app = open_page("Regimes")
    table = app.dataframe[-1].value
    assert table["method"].tolist() == ["DALI-D-χ"] * 3
    assert table["memory"].tolist() == ["kept", "none", "difference"]
    assert "h and s made anew at every step" in texts(app.caption)
    (folder / "dali_d_chi" / FILES["none"]).unlink()
    app = open_page("Regimes")
    assert "memory" not in app.dataframe[-1].value
    assert "--memory none" in texts(app.caption)


def test_titles_of_maps_are_whole_at_any_width(open_page):
    """As text of the page, and not of a figure, which cuts it."""
    app = open_page("Maps")
    assert "less that of Dreamer-DR: blue is better, red is worse" in texts(app.markdown)
