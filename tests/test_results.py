"""docs/results.md says what the shipped analysis.json and eval.json say, and no more."""

import json
import shutil

import pytest

from dali.cli.results import results
from dali.errors import CheckpointError, DaliError
from dali.export.results import load_results, results_page


@pytest.fixture(scope="module")
def shipped(repo):
    return load_results(repo / "checkpoints")


def test_the_page_agrees_with_the_checkpoints(repo, monkeypatch, capsys):
    monkeypatch.chdir(repo)
    results(check=repo.__class__("docs/results.md"))
    assert "agrees" in capsys.readouterr().out


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
