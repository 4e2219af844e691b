"""Methods side by side, by hand: made-up returns on a made-up scale, and the command's tables."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from dali.__main__ import app
from dali.config import make_config
from dali.envs import catalogue
from dali.envs.contexts import evaluation_grid
from dali.errors import CheckpointError, DaliError
from dali.export.comparison import memory_table, render_memory
from dali.model.agent import Agent
from dali.returns import scoring
from dali.returns.comparison import compare_methods, setting, setting_text
from dali.returns.memory import memory_rows
from dali.returns.play import Evaluation, evaluate, plan_episodes
from dali.returns.reference import References
from dali.runs.checkpoint import load_agent, save_agent
from dali.runs.scores import save_evaluation

SPEC = catalogue.spec("pendulum")
# Four contexts inside, four outside: returns of 0 are random play, 100 the reference.
CONTEXTS = np.array([[g, 1.0] for g in (6.0, 7.0, 8.0, 9.0, 1.0, 2.0, 18.0, 19.0)])
REGIMES = ["interpolation"] * 4 + ["extrapolation"] * 4


@pytest.fixture(autouse=True)
def scale(monkeypatch):
    found = References(CONTEXTS, np.zeros(8), np.full(8, 100.0), "an expert")
    monkeypatch.setattr(scoring, "load_references", lambda env: found)


def played(returns: list[float], episodes: int = 1, rows: slice = slice(None)) -> Evaluation:
    """The same return in all episodes of a context."""
    contexts = CONTEXTS[rows]
    table = plan_episodes(SPEC, contexts, REGIMES[rows], ["g"] * len(contexts), episodes, 0)
    results = {"return": np.repeat(np.array(returns, float), episodes), "steps": 200, "random_return": 0.0}
    return Evaluation(("g", "l"), table.assign(**results), 0)


BASE = [10, 20, 30, 40, 0, 0, 0, 0]  # inside: the middle half is 20 and 30
BETTER = [30, 40, 50, 60, 0, 10, 10, 0]  # inside: beats it in three contexts and ties in none


def test_means_by_regime_by_hand():
    found = compare_methods(SPEC, {"dali_d": [(0, played(BETTER, 3))], "dreamer_dr": [(0, played(BASE, 2))]}, draws=50)
    assert [row.method for row in found.rows] == ["dreamer_dr", "dali_d"]  # in the order of the methods
    base, better = found.rows
    assert base.iqm["interpolation"].value == pytest.approx(0.25)
    assert base.iqm["extrapolation"].value == 0.0
    assert base.iqm["all"].value == pytest.approx(0.075)  # of 0 0 0 0 .1 .2 .3 .4: 0 0 .1 .2
    assert better.iqm["interpolation"].value == pytest.approx(0.45)
    assert better.gap.value == pytest.approx(1 - (0.3 + 0.4 + 0.5 + 0.6 + 0.1 + 0.1) / 8)
    assert found.contexts == {"interpolation": 4, "extrapolation": 4, "all": 8}
    assert found.episodes == (2, 3)
    assert found.random == {"interpolation": 0.0, "extrapolation": 0.0, "all": 0.0}
    assert base.iqm["all"].resampled == "contexts"


def test_probability_of_improvement_over_the_baseline_by_hand():
    runs = {
        "dreamer_dr": [(0, played(BASE)), (1, played([r + 30 for r in BASE[:4]] + BASE[4:]))],
        "dali_d": [(0, played(BETTER)), (1, played(BETTER))],
    }
    base, better = compare_methods(SPEC, runs, draws=200).rows
    assert base.versus == {}
    # Inside, each of its runs beats the first of the baseline (20 more) and loses to the second (10 less).
    wins = {regime: versus.improvement for regime, versus in better.versus.items()}
    assert wins["interpolation"].value == pytest.approx(0.5)
    assert wins["extrapolation"].value == pytest.approx((0.5 + 1 + 1 + 0.5) / 4)
    assert wins["all"].value == pytest.approx((0.5 * 4 + 3) / 8)
    assert wins["extrapolation"].low == wins["extrapolation"].high  # its runs are alike
    assert better.seeds == (0, 1)
    assert better.iqm["all"].resampled == wins["all"].resampled == "runs"
    # IQM of its runs inside: 40 and 50. Of the baseline's: 20 and 30, 50 and 60, together 30 to 50.
    assert dict(better.versus["interpolation"].paired.by_seed) == {0: pytest.approx(0.2), 1: pytest.approx(-0.1)}
    assert better.versus["interpolation"].unpaired.value == pytest.approx(0.45 - 0.4)


def test_the_sentence_is_of_the_paired_difference_where_no_seed_is_left_out():
    base = [(seed, played([r + seed for r in BASE])) for seed in range(3)]
    better = [(seed, played([r + seed for r in BETTER])) for seed in range(3)]
    found = compare_methods(SPEC, {"dreamer_dr": base, "dali_d": better}, draws=400)
    (text,) = found.sentences
    assert text.startswith("DALI-D against Dreamer-DR (paired by seed): inside the training range better by 0.20 [")
    assert "outside it 3 seeds can't tell (+0.0" in text
    found = compare_methods(SPEC, {"dreamer_dr": base[:2], "dali_d": better}, draws=50)
    assert found.sentences[0].startswith(
        "DALI-D against Dreamer-DR (seeds not paired): inside the training range 2 seeds"
    )


def test_returns_of_the_first_steps_stand_beside_where_all_episodes_have_them():
    evaluation = played(BASE)
    known = Evaluation(evaluation.features, evaluation.episodes.assign(return_10=-1.0, return_25=range(8)), 0)
    (row,) = compare_methods(SPEC, {"dali_d": [(0, known)]}, draws=50).rows
    assert row.early[10].value == -1.0
    assert row.early[25].value == pytest.approx(3.5)
    (row,) = compare_methods(SPEC, {"dali_d": [(0, evaluation)]}, draws=50).rows
    assert row.early == {}


def test_without_the_baseline_nothing_is_held_against_it():
    found = compare_methods(SPEC, {"dali_d": [(0, played(BETTER))]}, draws=10)
    assert found.baseline is None
    assert found.rows[0].versus == {}
    assert found.sentences == []


def test_only_shared_contexts_count():
    found = compare_methods(
        SPEC, {"dreamer_dr": [(0, played(BASE[:4], rows=slice(0, 4)))], "dali_d": [(0, played(BETTER))]}, draws=10
    )
    assert found.contexts == {"interpolation": 4, "all": 4}


def test_what_cannot_be_compared():
    with pytest.raises(DaliError, match="no run was given"):
        compare_methods(SPEC, {})
    with pytest.raises(DaliError, match="have the same seed"):
        compare_methods(SPEC, {"dali_d": [(0, played(BASE)), (0, played(BASE))]})
    with pytest.raises(DaliError, match="share 0 contexts"):
        compare_methods(
            SPEC,
            {
                "dali_d": [(0, played(BASE[:4], rows=slice(0, 4)))],
                "dali_s": [(0, played(BASE[4:], rows=slice(4, 8)))],
            },
        )


def test_what_is_lost_without_memory_by_hand():
    kept = {"dali_d": [(0, played(BETTER)), (1, played(BETTER)), (2, played(BASE))], "dali_s": [(0, played(BASE))]}
    none = {"dali_d": [(1, played(BASE)), (0, played(BASE))], "dreamer_dr": [(0, played(BASE))]}
    (row,) = memory_rows(SPEC, kept, none, draws=50)
    assert (row.method, row.seeds) == ("dali_d", (0, 1))  # of the runs that were evaluated both ways
    assert row.kept["interpolation"].value == pytest.approx(0.45)
    assert row.none["interpolation"].value == pytest.approx(0.25)
    assert row.difference["interpolation"].value == pytest.approx(-0.2)
    assert row.difference["interpolation"].paired
    head, cells, _ = memory_table([row], "normalised score")
    assert head == ["method", "seeds", "memory", "interpolation", "extrapolation", "all"]
    assert [line[2] for line in cells] == ["kept", "none", "difference"]
    assert cells[2][3].startswith("-0.20 [")
    assert render_memory([], "return", True) == ""


@pytest.fixture
def runs(tmp_path):
    """Untrained agents of two methods, one of them with two seeds, evaluated on three contexts."""
    contexts, regimes, grids = evaluation_grid(SPEC, "quick")
    for method, seed in (("dreamer_dr", 0), ("dreamer_dr", 1), ("dali_d", 0)):
        torch.manual_seed(seed)
        agent = Agent(make_config("pendulum", method, "tiny", seed, 600), SPEC).requires_grad_(False).eval()
        folder = tmp_path / f"{method}-{seed}"
        save_agent(folder, agent)
        save_evaluation(folder, evaluate(agent, plan_episodes(SPEC, contexts[:3], regimes[:3], grids[:3], 1, 0), 0))
    return tmp_path


def test_the_command(runs):
    folders = [str(folder) for folder in sorted(runs.iterdir())]
    plain = CliRunner().invoke(app, ["compare", *folders, "--returns"])
    assert plain.exit_code == 0, plain.output
    assert "2 (0, 1)" in plain.output
    assert "P(DALI-D > Dreamer-DR)" in plain.output
    assert "* over contexts, since there is one run" in plain.output
    assert "DALI-D against Dreamer-DR (seeds not paired): " in plain.output
    assert "1 seed can't tell (" in plain.output
    assert "return of the first steps  10 steps" in plain.output
    table = CliRunner().invoke(app, ["compare", *folders, "--returns", "--markdown"]).output.splitlines()
    assert table[0] == "Pendulum: preset tiny, 600 environment steps"
    assert table[2].startswith("| method | context | seeds |")
    assert all(line.count("|") == table[2].count("|") for line in table[2:7])
    latex = CliRunner().invoke(app, ["compare", *folders, "--returns", "--latex"]).output
    assert r"\toprule" in latex
    assert latex.count(r"\begin{table}") == latex.count(r"\caption{") >= 2
    assert latex.isascii()
    refused = CliRunner().invoke(app, ["compare", *folders, "--latex", "--json"]).exception
    assert "Give one of --markdown, --latex and --json." in str(refused)
    (record,) = json.loads(CliRunner().invoke(app, ["compare", *folders, "--returns", "--json"]).output)
    assert [row["method"] for row in record["rows"]] == ["dreamer_dr", "dali_d"]
    assert record["measure"] == "return"


def test_the_command_shows_what_is_left_without_memory_where_it_was_played(runs):
    folder = runs / "dali_d-0"
    contexts, regimes, grids = evaluation_grid(SPEC, "quick")
    asked = plan_episodes(SPEC, contexts[:3], regimes[:3], grids[:3], 1, 0)
    save_evaluation(folder, evaluate(load_agent(folder), asked, 0, memory="none"))
    words = ["compare", *map(str, sorted(runs.iterdir())), "--returns"]
    plain = CliRunner().invoke(app, words)
    assert plain.exit_code == 0, plain.output
    assert "with h and s made anew at every step" in plain.output
    assert sum(line.startswith("DALI-D") and "difference" in line for line in plain.output.splitlines()) == 1
    (record,) = json.loads(CliRunner().invoke(app, [*words, "--json"]).output)
    assert [row["method"] for row in record["memory"]] == ["dali_d"]


def test_the_command_says_what_is_missing(runs):
    first, *_ = folders = sorted(runs.iterdir())
    (first / "eval.json").unlink()
    assert isinstance(CliRunner().invoke(app, ["compare", *map(str, folders)]).exception, CheckpointError)


def test_runs_that_differ_in_more_than_method_and_seed_stand_apart(runs):
    torch.manual_seed(5)
    wide = Agent(make_config("pendulum", "dali_d", "tiny", 5, 600, units=40), SPEC).requires_grad_(False).eval()
    save_agent(runs / "wide", wide)
    contexts, regimes, grids = evaluation_grid(SPEC, "quick")
    save_evaluation(runs / "wide", evaluate(wide, plan_episodes(SPEC, contexts[:3], regimes[:3], grids[:3], 1, 0), 0))
    result = CliRunner().invoke(app, ["compare", *map(str, sorted(runs.iterdir())), "--returns", "--json"])
    small, other = json.loads(result.output)
    assert [len(record["rows"]) for record in (small, other)] == [2, 1]
    assert other["setting"] == "preset tiny, 600 environment steps, units=40"


def test_a_setting_is_all_but_method_seed_and_the_immaterial():
    one = make_config("pendulum", "dali_d", "small", 0, 80_000)
    assert setting(one) == setting(make_config("pendulum", "crssm_s", "small", 3, 80_000, threads=1, log_every=5.0))
    for other in (
        make_config("pendulum", "dali_d", "small", 0, 80_000, deter=128),
        make_config("pendulum", "dali_d", "small", 0, 60_000),
        make_config("cartpole", "dali_d", "small", 0, 80_000),
    ):
        assert setting(other) != setting(one)
    assert setting_text(make_config("pendulum", "dali_d", "small", 0, 60_000, deter=128)) == (
        "preset small, 60,000 environment steps, deter=128"
    )
