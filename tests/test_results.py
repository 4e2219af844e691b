"""docs/results.md says what the shipped analysis.json and eval.json say, and no more."""

import json
import shutil
from dataclasses import replace

import pytest

from dali.cli.results import results, with_differences
from dali.envs import catalogue
from dali.errors import CheckpointError, DaliError
from dali.export.results import difference_table, load_results, results_page
from dali.methods import METHODS
from dali.returns.comparison import sentence as sentence_of
from dali.returns.scoring import compare
from dali.studio.returns.views import versus


@pytest.fixture(scope="module")
def shipped(repo):
    return load_results(repo / "checkpoints")


def test_the_page_agrees_with_the_checkpoints(repo, monkeypatch, capsys):
    monkeypatch.chdir(repo)
    results(check=repo.__class__("docs/results.md"))
    assert "agrees" in capsys.readouterr().out


def test_the_readme_and_the_dashboard_say_what_the_page_says(repo, shipped):
    """All three tell intervals of the same draws; the README tells those of methods with seeds enough."""
    table = difference_table(shipped)
    readme = repo / "README.md"
    assert with_differences(readme, table) == readme.read_text(encoding="utf-8")
    page = results_page(shipped, "")
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    assert rows
    for _, method, *told in rows:
        sentences = [line for line in page.splitlines() if line.startswith(f"{method} against Dreamer-DR")]
        assert any(all(words in sentence for words in told) for sentence in sentences)
    by_method: dict = {}
    for result in shipped:
        if result.config.env == "pendulum" and result.config.train.steps == 60_000 and result.evaluation:
            by_method.setdefault(result.config.method_name, []).append((result.config.seed, result.evaluation))
    scores = compare(catalogue.spec("pendulum"), {name: [e for _, e in runs] for name, runs in by_method.items()})
    seeds = {name: tuple(seed for seed, _ in runs) for name, runs in by_method.items()}
    for method in by_method:
        if method != "dreamer_dr":
            told = versus(scores, seeds, method, "dreamer_dr")
            assert sentence_of(METHODS[method].title, METHODS["dreamer_dr"].title, told, 2) in page


def test_the_readme_leaves_out_methods_whose_seeds_are_other_ones(shipped):
    """Its table says that differences are paired by seed."""
    runs = [r for r in shipped if r.config.env == "pendulum_inverted_motor"]
    apart = [
        replace(r, config=replace(r.config, seed=r.config.seed + 100)) if r.config.method_name == "dreamer_dr" else r
        for r in runs
    ]
    assert len(difference_table(runs).splitlines()) == 2 + 2
    assert len(difference_table(apart).splitlines()) == 2


def test_a_readme_without_marks_is_refused(tmp_path):
    with pytest.raises(DaliError, match="There is no"):
        with_differences(tmp_path / "absent", "")
    (tmp_path / "README.md").write_text("x")
    with pytest.raises(DaliError, match="has no lines <!-- differences -->"):
        with_differences(tmp_path / "README.md", "")


def test_a_changed_figure_fails_the_check(repo, shipped, tmp_path):
    target = tmp_path / "results.md"
    page = results_page(shipped, "", tmp_path)
    target.write_text(page.replace("0.98", "0.99", 1), encoding="utf-8")
    with pytest.raises(DaliError, match="differs from the figures"):
        results(repo / "checkpoints", check=target)


def test_every_shipped_run_stands_on_the_page(shipped):
    page = results_page(shipped, "")
    for result in shipped:
        assert page.count(result.folder.name) >= 1


def test_figures_of_other_weights_are_refused(repo, tmp_path):
    run = tmp_path / "pendulum-dali_s-s1"
    shutil.copytree(repo / "checkpoints" / run.name, run)
    record = json.loads((run / "analysis.json").read_text(encoding="utf-8"))
    (run / "analysis.json").write_text(json.dumps({**record, "weights": "0" * 64}), encoding="utf-8")
    with pytest.raises(CheckpointError, match="other weights"):
        load_results(tmp_path)


def test_names_of_folders_cannot_break_the_table(repo, tmp_path):
    run = tmp_path / "a|b <i>"
    shutil.copytree(repo / "checkpoints" / "pendulum-dali_s-s1", run)
    page = results_page(load_results(tmp_path), "")
    assert r"a\|b \<i\>" in page
    assert "a|b" not in page
