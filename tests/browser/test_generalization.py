"""The generalisation page: maps that can be clicked, all views, a missing evaluation made from the page, export."""

import re

import pytest
import torch
from playwright.sync_api import expect

from dali.config import make_config
from dali.envs import catalogue
from dali.envs.contexts import evaluation_grid
from dali.episodes import collect_standard
from dali.model.agent import Agent
from dali.returns.play import evaluate, plan_episodes
from dali.runs.artifacts import EPISODES_FILE, save_episodes
from dali.runs.checkpoint import save_agent
from dali.runs.scores import save_evaluation

SPEC = catalogue.spec("pendulum")
CHARTS = ".js-plotly-plot"


@pytest.fixture(scope="module")
def app(chromium, serve, tmp_path_factory):
    """Untrained agents: two methods evaluated, one not; episodes are recorded of one."""

    folder = tmp_path_factory.mktemp("checkpoints")
    contexts, regimes, grids = evaluation_grid(SPEC, "quick")
    for method, seed in (("dreamer_dr", 0), ("dali_d_chi", 0), ("dali_d_chi", 1), ("crssm_d", 0)):
        torch.manual_seed(seed)
        agent = (
            Agent(make_config("pendulum", method, "tiny", seed, 600, context_window=16), SPEC)
            .requires_grad_(False)
            .eval()
        )
        run = folder / f"{method}-s{seed}"
        save_agent(run, agent)
        if method != "crssm_d":
            save_evaluation(run, evaluate(agent, plan_episodes(SPEC, contexts, regimes, grids, 1, 0), 0))
        if (method, seed) == ("dali_d_chi", 0):
            save_episodes(run / EPISODES_FILE, collect_standard(agent, 0, contexts=10))
    return serve(folder)


@pytest.fixture
def opened(app, page, console):
    """The page, entered by its link as people do."""
    page.goto(f"{app.url}/?run=dali_d_chi-s0")
    expect(page.get_by_text("seed 0").first).to_be_visible()
    page.get_by_role("link", name="Generalisation").click()
    expect(page.get_by_role("heading", name="Generalisation")).to_be_visible()
    return page


def show(page, view: str) -> None:
    page.get_by_role("radio", name=view, exact=True).click()
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_a_click_on_a_cell_leads_to_an_episode_of_the_chosen_checkpoint(opened, box_of):
    """Whichever method's map is clicked, and however many runs it has."""
    choose_maps(opened, "scores")
    expect(opened.locator(CHARTS)).to_have_count(3)  # the shared colour bar, and a map of each method
    assert box_of(opened.locator(CHARTS).nth(1))["x"] < box_of(opened.get_by_text("Click a cell"))["x"]
    cell = (
        opened.locator(CHARTS).nth(1).locator(".scatterlayer .point").first
    )  # of another method than the chosen run's
    box = box_of(cell)
    opened.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    link = opened.get_by_role("link", name=re.compile("Open dali_d_chi-s0 there"))
    expect(link).to_contain_text("dreamed on under gravity 1 m/s², rod length 1 m")  # the grid's first context
    link.click()
    expect(opened).to_have_url(re.compile(r"/counterfactuals\?.*run=dali_d_chi-s0"))
    expect(opened).to_have_url(re.compile(r"episode=\d+.*g=1"))
    expect(opened.get_by_test_id("dali-player")).to_be_visible()
    expect(opened.get_by_test_id("stAlert").filter(has_text="cannot be read")).to_have_count(0)


def choose_maps(page, option: str) -> None:
    page.get_by_test_id("stSelectbox").filter(has_text="Maps show").locator("input").click()
    page.get_by_role("option", name=option).click()


def test_maps_show_differences_from_a_method_in_words_and_colours(opened):
    expect(opened.locator(CHARTS)).to_have_count(2)  # the colour bar, and what DALI-D-χ has over Dreamer-DR
    expect(opened.get_by_text("DALI-D-χ against Dreamer-DR")).to_contain_text("1 seed can't tell")
    expect(opened.get_by_text("blue is better, red is worse")).to_be_visible()


def test_every_view_shows_charts_with_units(opened):
    for view, charts, text in (
        ("Curves", 2, "rod length (m)"),
        ("Regimes", 1, "normalised score, interquartile mean"),
        ("Profiles", 1, "share of contexts and runs above"),
        ("Two methods", 1, "P(DALI-D-χ > Dreamer-DR)"),
        ("Paper", 1, "normalised return, interquartile mean (reported)"),
    ):
        show(opened, view)
        expect(opened.locator(CHARTS)).to_have_count(charts)
        expect(opened.locator(CHARTS).get_by_text(text).last).to_be_visible()
    expect(opened.get_by_text("Reported by the paper, not re-run.")).to_be_visible()
    expect(opened.get_by_text("null")).to_have_count(0)  # a note to readers of the file, not of the page


def test_returns_instead_of_scores_and_one_method_alone(opened):
    opened.get_by_role("radio", name="return", exact=True).click()
    opened.get_by_role("button", name="Dreamer-DR").click()
    expect(opened.locator(CHARTS)).to_have_count(2)  # of one method scores, under their colour bar
    show(opened, "Two methods")
    expect(opened.get_by_text("only one was evaluated or chosen")).to_be_visible()


def test_the_table_downloads(opened):
    with opened.expect_download() as download:
        opened.get_by_role("button", name="Scores as CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0] == "g (m/s²),l (m),regime,grid,method,run,seed,normalised score,random policy"
    assert len(lines) == 1 + 3 * 12  # three runs in a dozen contexts
    assert ",dali_d_chi,dali_d_chi-s1,1," in lines[-1]


def test_regimes_download_and_figures_are_saved(opened):
    show(opened, "Regimes")
    with opened.expect_download() as download:
        opened.get_by_role("button", name="Table as CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0] == "method,runs,contexts,normalised score,low,high,interval over"
    assert [line.split(",")[-1] for line in lines[1:]] == ["contexts"] * 5 + ["runs"] * 5  # 3 regimes, all, the gap
    with opened.expect_download() as download:
        opened.get_by_role("button", name="Table for LaTeX").click()
    latex = download.value.path().read_text()
    assert r"\toprule" in latex
    assert latex.count(r" \\") == 1 + 3  # the head, two methods, the random policy
    for form, begins in (("SVG", b"<svg"), ("PNG", b"\x89PNG")):
        opened.get_by_role("radio", name=form, exact=True).click()
        opened.wait_for_function(
            "([chart, form]) => document.querySelector(chart)?._context?.toImageButtonOptions.format === form",
            arg=[CHARTS, form.lower()],
        )
        with opened.expect_download() as download:
            opened.locator(f"{CHARTS} .modebar-btn").first.click()
        assert download.value.suggested_filename == f"dali-regimes.{form.lower()}"
        assert download.value.path().read_bytes().startswith(begins)


def test_a_missing_evaluation_is_made_from_the_page(opened):
    expect(opened.get_by_text("Without an evaluation: 1")).to_be_visible()
    opened.get_by_text("Without an evaluation: 1").click()
    opened.get_by_role("button", name="Evaluate on a dozen contexts").click()
    expect(opened.get_by_text("Without an evaluation: 1")).to_have_count(0, timeout=60_000)
    expect(opened.locator(CHARTS)).to_have_count(3)
