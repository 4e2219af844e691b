"""The overview and the latent space as scripts: every state of a folder of checkpoints, without a browser.

AppTest shows no plotly figure; those are tested as figures, and in a browser.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from pandas.api.types import is_numeric_dtype
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from dali.__main__ import app as cli
from dali.config import SCHEMA
from dali.envs.contexts import evaluation_grid
from dali.returns.play import evaluate, plan_episodes
from dali.runs.artifacts import EPISODES_FILE, load_episodes, save_analysis, save_episodes
from dali.runs.checkpoint import WEIGHTS, load_agent
from dali.runs.dimensions import load_dimensions
from dali.runs.report import analyse
from dali.runs.scores import save_evaluation
from dali.studio.loaders import Run, list_checkpoints
from dali.studio.preview import make_preview, stored_preview

GOOD, PLAIN, NEWER, DAMAGED = "good", "plain", "newer", "damaged"


def texts(*elements) -> str:
    return "\n".join(e.value for group in elements for e in group)


def films(page):
    return [e for e in page.get("bidi_component") if e.proto.component_name == "dali_looping_film"]


@pytest.fixture(scope="module")
def folder(make_run, tmp_path_factory) -> Path:
    """A good run with figures, one without a code, one of a newer schema, one whose weights are cut short."""
    root = tmp_path_factory.mktemp("checkpoints")
    good = shutil.copytree(make_run(), root / GOOD)
    save_analysis(good, analyse(load_agent(good), contexts=10))
    shutil.copytree(make_run("pendulum", "dreamer_dr"), root / PLAIN)
    newer = shutil.copytree(good, root / NEWER)
    config = json.loads((newer / "config.json").read_text(encoding="utf-8"))
    (newer / "config.json").write_text(json.dumps(config | {"schema": 99}), encoding="utf-8")
    damaged = shutil.copytree(good, root / DAMAGED)
    for name in (WEIGHTS, "latents.npz"):
        (damaged / name).write_bytes((damaged / name).read_bytes()[:200])
    return root


def test_without_checkpoints_every_page_says_how_to_train_one(open_page, tmp_path):
    for page in ("", "latent_space", "counterfactuals", "generalization"):
        app = open_page(tmp_path / "absent", page)
        assert "No checkpoint" in texts(app.info)
        assert "python -m dali train --env pendulum" in texts(app.code)


@pytest.mark.parametrize("page", ["latent_space", "counterfactuals", "generalization", "training"])
def test_every_page_survives_every_kind_of_run(open_page, folder, page):
    """A good one, one without a code, a damaged one; one of a newer schema stands beside them."""
    app = open_page(folder, page, run=DAMAGED)
    for run in (PLAIN, GOOD, DAMAGED, GOOD):
        if app.sidebar.selectbox:
            app.sidebar.selectbox(key="run_picker").set_value(run).run()
        assert not app.exception, run
        assert app.title[0].value


def test_the_page_opens_with_the_last_method_that_has_figures(open_page, folder, tmp_path):
    shutil.copytree(folder / PLAIN, tmp_path / "a-plain")
    assert open_page(tmp_path).sidebar.selectbox(key="run_picker").value == "a-plain"
    shutil.copytree(folder / GOOD, tmp_path / "good")
    assert open_page(tmp_path).sidebar.selectbox(key="run_picker").value == "good"


def test_the_overview_lists_what_can_be_opened_and_says_why_the_rest_cannot(open_page, folder):
    app = open_page(folder, run=GOOD)
    table = app.dataframe[0].value
    assert table["Checkpoint"].tolist() == [DAMAGED, PLAIN, GOOD]  # the flagship, then by method and by name
    for column in ("R² gravity", "Skill rod length", "Return", "Steps"):
        assert is_numeric_dtype(table[column]) or table[column].isna().all(), column  # sorts as numbers
    assert table["R² gravity"].notna().tolist() == [True, False, True]
    assert f"schema 99; this version reads schemas 1 to {SCHEMA}" in texts(app.error)
    figures = app.dataframe[1].value
    assert figures["Feature"].tolist() == ["gravity g", "rod length l"]
    assert figures["Train range"].tolist() == ["5 to 15 m/s²", "0.5 to 1.5 m"]
    assert f"python -m dali analyse {folder / GOOD} --contexts 10 --seed 0" in texts(app.caption)
    assert not app.warning


def test_runs_stand_by_environment_the_flagship_first(open_page, folder, make_run, tmp_path):
    for name, source in (
        ("a-plain", folder / PLAIN),
        ("b-good", folder / GOOD),
        ("cart", make_run("cartpole", "dali_d")),
    ):
        shutil.copytree(source, tmp_path / name)
    app = open_page(tmp_path)
    assert [title.value for title in app.subheader] == ["Pendulum", "Cartpole"]
    assert [frame.value["Checkpoint"].tolist() for frame in app.dataframe[:2]] == [["b-good", "a-plain"], ["cart"]]


def test_the_overview_and_the_card_tell_the_same_return(open_page, folder, tmp_path):
    run = shutil.copytree(folder / GOOD, tmp_path / "evaluated")
    agent = load_agent(run)
    contexts, regimes, grids = evaluation_grid(agent.spec)
    inside = [i for i, regime in enumerate(regimes) if regime == "interpolation"]
    labels = [[names[i] for i in inside] for names in (regimes, grids)]
    asked = plan_episodes(agent.spec, contexts[inside], *labels, 1, 0)
    save_evaluation(run, evaluate(agent, asked, 0))
    assert CliRunner().invoke(cli, ["card", str(run)]).exit_code == 0
    shown = open_page(tmp_path).dataframe[0].value["Return"].item()
    assert (
        f"| {len(inside)} held-out contexts inside the train range | {shown:.1f} ± " in (run / "README.md").read_text()
    )


def test_the_first_minute_is_a_film_that_is_kept(open_page, folder, tmp_path):
    run = shutil.copytree(folder / GOOD, tmp_path / "filmed")
    assert films(open_page(tmp_path))
    made = {path: path.stat().st_mtime_ns for path in (run / "cache").glob("preview.*")}
    assert len(made) == 2
    app = open_page(tmp_path)
    assert films(app)
    assert {path: path.stat().st_mtime_ns for path in made} == made  # shown again, not made again
    assert "was never told the" in texts(app.markdown)
    (run / "cache" / "preview.json").write_text(json.dumps({"weights": "of last week"}))
    assert stored_preview(open_run_of(run)) is None


def open_run_of(path: Path) -> Run:
    return next(run for run in list_checkpoints(path.parent)[0] if run.folder == path)


def test_figures_of_earlier_weights_are_marked(open_page, folder, tmp_path):
    stale = shutil.copytree(folder / GOOD, tmp_path / "stale")
    record = json.loads((stale / "analysis.json").read_text(encoding="utf-8"))
    (stale / "analysis.json").write_text(json.dumps(record | {"weights": "of last week"}), encoding="utf-8")
    app = open_page(tmp_path)
    assert "earlier weights" in texts(app.warning)
    assert app.dataframe[0].value["Figures"].tolist() == ["older than the weights"]


def test_figures_of_another_version_are_not_shown(open_page, folder, tmp_path):
    other = shutil.copytree(folder / GOOD, tmp_path / "other")
    (other / "analysis.json").write_text('{"summary": {"probe": {}}}', encoding="utf-8")
    (state,) = open_page(tmp_path).dataframe[0].value["Figures"]
    assert "made by another version" in state


def test_a_choice_outlives_a_change_of_page_and_stands_in_the_url(open_page, folder):
    app = open_page(folder, run=GOOD)
    app.sidebar.selectbox(key="run_picker").set_value(PLAIN).run()
    assert app.query_params["run"] in (PLAIN, [PLAIN])
    app.switch_page("pages/latent_space.py").run()
    assert app.sidebar.selectbox(key="run_picker").value == PLAIN


def test_an_unknown_run_in_the_url_is_said_and_replaced(open_page, folder):
    app = open_page(folder, run="../../etc")
    assert "no readable checkpoint '../../etc'" in texts(app.warning)
    assert app.sidebar.selectbox(key="run_picker").value == DAMAGED  # the first by name of the last method


def test_a_method_without_a_code_says_so_and_offers_what_makes_sense(open_page, folder):
    app = open_page(folder, run=PLAIN)
    assert "Dreamer-DR infers no code" in texts(app.info)
    app = open_page(folder, "latent_space", run=PLAIN)
    assert "Dreamer-DR infers no context code" in texts(app.info)
    links = [link.label for link in app.get("page_link")]
    assert links == ["Turn its physics", "How it generalises"]
    assert not texts(app.main.error)


def test_a_damaged_run_ends_the_page_and_not_the_app(open_page, folder):
    app = open_page(folder, "latent_space", run=DAMAGED)
    assert "does not hold recorded episodes" in texts(app.error)
    app.sidebar.selectbox(key="run_picker").set_value(GOOD).run()
    assert not texts(app.main.error)
    assert "Linear probe on exploratory episodes of contexts never trained on" in texts(app.markdown)


def test_a_run_that_was_not_analysed_names_the_command(open_page, folder, tmp_path):
    fresh = shutil.copytree(folder / GOOD, tmp_path / "fresh")
    for name in ("latents.npz", "analysis.json"):
        (fresh / name).unlink()
    assert f"python -m dali analyse {fresh}" in texts(open_page(tmp_path).code)
    assert f"python -m dali record {fresh}" in texts(open_page(tmp_path, "latent_space").info)


def show_view(app: AppTest, view: str) -> AppTest:
    app.segmented_control(key="latent_view").set_value(view).run()
    assert not app.exception
    assert not texts(app.main.error)
    return app


def test_the_map_offers_every_feature_with_its_unit_and_says_what_is_drawn(open_page, folder):
    app = open_page(folder, "latent_space", run=GOOD)
    colour = app.selectbox(key="map_colour:pendulum")
    assert colour.options[:2] == ["gravity g (m/s²)", "rod length l (m)"]
    assert "9,246 of 9,246 records" in texts(app.caption)  # 46 episodes of 201 records
    app.selectbox(key="map_drawn").set_value(5_000).run()
    assert "5,000 of 9,246 records, drawn at random" in texts(app.caption)
    app.selectbox(key="map_points").set_value("episode means").run()
    assert "46 of 46 episode means" in texts(app.caption)
    app.selectbox(key="map_method").set_value("raw axes").run()
    assert not app.exception


def test_one_episode_tells_its_physics_and_its_neighbours(open_page, folder):
    app = show_view(open_page(folder, "latent_space", run=GOOD), "One episode")
    app.number_input(key="record_episode").set_value(3).run()
    app.number_input(key="record_step").set_value(120).run()
    assert "**Episode 3:** gravity g =" in texts(app.markdown)
    neighbours = app.dataframe[0].value
    assert 3 not in neighbours["Episode"].tolist()
    assert neighbours["Distance (code units)"].is_monotonic_increasing
    acted = load_episodes(folder / GOOD / EPISODES_FILE).explored[3]
    assert f"Of 10 held-out episodes of {'exploratory noise' if acted else 'the policy'}" in texts(app.caption)
    moments = texts(app.markdown)
    app.segmented_control(key="reading").set_value("mean so far").run()
    assert not app.exception
    assert texts(app.markdown) != moments


def test_the_record_is_clipped_to_another_episodes_end(open_page, folder, tmp_path):
    run = shutil.copytree(folder / GOOD, tmp_path / "early")
    episodes = load_episodes(run / EPISODES_FILE)
    length = episodes.length.copy()
    length[7] = 50
    save_episodes(run / EPISODES_FILE, replace(episodes, length=length))
    app = show_view(open_page(tmp_path, "latent_space"), "One episode")
    app.number_input(key="record_step").set_value(200).run()
    app.number_input(key="record_episode").set_value(7).run()
    assert app.number_input(key="record_step").value == 50
    assert not app.exception


def test_probes_and_dimensions_show_their_tables(open_page, folder):
    app = show_view(open_page(folder, "latent_space", run=GOOD), "Probes")
    assert len(app.dataframe[0].value) == 4  # two features, two kinds of probe
    assert "decodable" in texts(app.markdown)
    app = show_view(app, "Dimensions")
    assert "DCI disentanglement" in app.dataframe[0].value["Score"].tolist()
    assert [button.label for button in app.button] == ["Test all dimensions"]


def test_what_takes_seconds_is_kept_beside_the_checkpoint(open_page, folder, tmp_path, monkeypatch):
    run = shutil.copytree(folder / GOOD, tmp_path / "kept")
    before = show_view(open_page(tmp_path, "latent_space"), "Dimensions").dataframe[0].value
    assert (run / "cache" / "disentanglement.json").is_file()
    episodes = load_episodes(run / EPISODES_FILE)
    assert load_dimensions(run, replace(episodes, code=episodes.code + 1)) is None  # never read for other codes
    monkeypatch.setattr("dali.runs.dimensions.measure_disentanglement", None)
    st.cache_resource.clear()
    after = show_view(open_page(tmp_path, "latent_space"), "Dimensions").dataframe[0].value
    assert after.equals(before)


def test_two_sessions_keep_to_their_own_checkpoint(open_page, folder):
    first, second = open_page(folder, "latent_space", run=GOOD), open_page(folder, "latent_space", run=PLAIN)
    first.selectbox(key="map_points").set_value("episode means").run()
    second.run()
    assert "Dreamer-DR" in texts(second.info)
    assert first.sidebar.selectbox(key="run_picker").value == GOOD


def test_the_first_screen_waits_for_no_torch(folder, repo):
    """Once the film of the run is there, that is; it is made after all else is shown."""
    make_preview(open_run_of(folder / GOOD))
    code = f"""
import os, sys
os.environ["DALI_CHECKPOINTS"] = {str(folder)!r}
from streamlit.testing.v1 import AppTest
import dali.studio.overview
HEAVY = ("torch", "sklearn", "scipy", "umap", "mujoco")
loaded = []
dali.studio.overview.import_for_other_pages = lambda: loaded.append([name for name in HEAVY if name in sys.modules])
app = AppTest.from_file({str(repo / "app.py")!r}, default_timeout=120)
app.query_params["run"] = {GOOD!r}
app.run()
assert not app.exception and len(app.dataframe) == 2
assert loaded == [[]], loaded
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
