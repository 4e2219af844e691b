"""Who else is at a run and where it lies: retrained, deleted, analysed twice, read-only, and reached from anywhere."""

import errno
import io
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from dali.__main__ import app as cli
from dali.config import make_config
from dali.envs import catalogue
from dali.errors import CheckpointError, DaliError
from dali.model.agent import Agent
from dali.runs import artifacts
from dali.runs.artifacts import load_episodes, save_analysis
from dali.runs.checkpoint import load_agent, save_agent
from dali.runs.folder import ANALYSIS_FILE, EPISODES_FILE, WEIGHTS, digest
from dali.runs.reaction import REACTION_FILE
from dali.runs.report import analyse
from dali.runs.scores import EVAL_FILE

PAGES = ("", "latent_space", "counterfactuals", "generalization", "training")


def retrain(folder: Path, **changes) -> None:
    """Other weights in a run's place, as a training that goes on there writes them."""
    torch.manual_seed(1)
    config = make_config("pendulum", "dali_d_chi", "tiny", seed=0, steps=600, **{"context_window": 16, **changes})
    save_agent(folder, Agent(config, catalogue.spec("pendulum")))


@pytest.fixture(scope="module")
def analysed(make_run, tmp_path_factory):
    folder = shutil.copytree(make_run(), tmp_path_factory.mktemp("surroundings") / "run")
    save_analysis(folder, analyse(load_agent(folder), contexts=10))
    return folder


@pytest.mark.parametrize(
    ("words", "work", "written"),
    [
        (["analyse", "--contexts", "10"], "dali.runs.report.analyse", ANALYSIS_FILE),
        (["record", "--contexts", "10"], "dali.episodes.collect_standard", EPISODES_FILE),
        (["react", "--episodes", "1"], "dali.returns.sensitivity.measure_reaction", REACTION_FILE),
        (["evaluate", "--grid", "quick", "--episodes", "1"], "dali.returns.play.evaluate", EVAL_FILE),
    ],
)
def test_figures_are_not_saved_for_weights_that_they_are_not_of(words, work, written, analysed, tmp_path, monkeypatch):
    folder = shutil.copytree(analysed, tmp_path / "run")
    (folder / written).unlink(missing_ok=True)
    real = pkgutil.resolve_name(work)

    def meanwhile(*arguments, **options):
        retrain(folder)
        return real(*arguments, **options)

    monkeypatch.setattr(work, meanwhile)
    result = CliRunner().invoke(cli, [words[0], str(folder), *words[1:]])
    assert isinstance(result.exception, CheckpointError), result.exception
    assert "changed while figures were made" in str(result.exception)
    assert not (folder / written).exists()


def test_two_analyses_at_once_leave_the_files_of_one(analysed, tmp_path, monkeypatch):
    """The episodes and the figures are two files; each analysis writes both before the other may."""
    folder = shutil.copytree(analysed, tmp_path / "run")
    results = [analyse(load_agent(folder), seed, contexts=10) for seed in (1, 2)]
    save = artifacts.save_episodes

    def slowly(path, episodes):
        save(path, episodes)
        time.sleep(0.3)

    monkeypatch.setattr(artifacts, "save_episodes", slowly)
    threads = [threading.Thread(target=save_analysis, args=(folder, result)) for result in results]
    for thread in threads:
        thread.start()
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    seed = json.loads((folder / ANALYSIS_FILE).read_text())["summary"]["seed"]
    assert (load_episodes(folder / EPISODES_FILE).context == results[seed - 1].episodes.context).all()


@pytest.mark.parametrize("page", PAGES)
def test_a_run_is_retrained_and_deleted_while_a_page_shows_it(page, analysed, make_run, tmp_path, open_page):
    shutil.copytree(make_run("pendulum", "dreamer_dr"), tmp_path / "runs" / "other")
    folder = shutil.copytree(analysed, tmp_path / "runs" / "run")
    app = open_page(tmp_path / "runs", page)
    retrain(folder)
    assert not app.run().exception
    weights = (folder / WEIGHTS).read_bytes()
    retrain(folder, deter=48)  # a configuration of another size, whose weights are not there yet
    (folder / WEIGHTS).write_bytes(weights)
    assert not app.run().exception
    for name in (EPISODES_FILE, WEIGHTS):
        (folder / name).unlink()
        assert not app.run().exception, name
    shutil.rmtree(folder)
    assert not app.run().exception
    shutil.rmtree(tmp_path / "runs")
    assert not app.run().exception


@pytest.fixture
def read_only(monkeypatch):
    """``read_only(folder)``: nothing below it can be written, made or removed, not even by root."""

    def close(folder: Path) -> None:
        def refusing(call, writes):
            def guarded(path, *arguments, **options):
                inside = isinstance(path, (str, os.PathLike)) and folder in Path(path).absolute().parents
                if inside and writes(*arguments, **options):
                    raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
                return call(path, *arguments, **options)

            return guarded

        def writes_file(mode="r", *_, **__):
            return any(letter in mode for letter in "wax+")

        def writes_flags(flags, *_, **__):
            return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))

        monkeypatch.setattr(io, "open", refusing(io.open, writes_file))
        monkeypatch.setattr(os, "open", refusing(os.open, writes_flags))
        for name in ("mkdir", "replace", "unlink", "rmdir", "chmod", "utime"):
            monkeypatch.setattr(os, name, refusing(getattr(os, name), lambda *_, **__: True))

    return close


@pytest.mark.parametrize("page", PAGES)
def test_pages_show_runs_that_cannot_be_written(page, analysed, tmp_path, open_page, read_only):
    shutil.copytree(analysed, tmp_path / "runs" / "run")
    read_only(tmp_path / "runs")
    app = open_page(tmp_path / "runs", page)
    assert app.title[0].value
    assert "cannot be opened" not in " ".join(e.value for e in app.error)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["analyse", "--contexts", "10"], "Could not write"),
        (["record", "--contexts", "10"], "Could not write"),
        (["compact"], "Could not write"),
        (["card"], "Could not write"),
        (["plausibility"], "Could not write"),
        (["dreams"], "Could not write"),
        (["counterfactual", "--t", "40", "--horizon", "2"], None),
        (["analyse", "--contexts", "10", "--no-save"], None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_commands_on_a_run_that_cannot_be_written(words, said, analysed, tmp_path, read_only):
    folder = shutil.copytree(analysed, tmp_path / "runs" / "run")
    before = digest(folder)
    read_only(tmp_path / "runs")
    result = CliRunner().invoke(cli, [words[0], str(folder), *words[1:]])
    if said is None:
        assert result.exit_code == 0, result.exception
    else:
        assert isinstance(result.exception, DaliError), result.exception
        assert said in str(result.exception)
        assert "read-only file system" in str(result.exception)
    assert digest(folder) == before


def test_a_run_is_trained_and_filmed_from_anywhere(tmp_path, repo):
    """In another folder, of a name with blanks and other alphabets, without a home, by a terminal of Latin letters."""
    place = tmp_path / "Läufe 実験 и пробелы"
    place.mkdir()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(repo), "OMP_NUM_THREADS": "1"}
    environment |= {"LC_ALL": "C", "PYTHONIOENCODING": "latin-1"}

    def dali(*words: str) -> str:
        command = [sys.executable, "-X", "utf8=0", "-m", "dali", *words]
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode(errors="replace")

    dali("train", "--env", "pendulum", "--method", "dreamer_dr", "--preset", "tiny", "--steps", "220")
    run = "checkpoints/pendulum-dreamer_dr-s0"
    assert (place / run / WEIGHTS).is_file()
    words = ["--t", "40", "--horizon", "2", "--physics", "g=5", "--strip", "ü b.png", "--csv", "м.csv"]
    assert re.search(r"error, factual: \d+\.\d+ \?$", dali("counterfactual", run, *words), re.M)  # it has no σ
    assert {"ü b.png", "м.csv"} <= set(os.listdir(place))


@pytest.mark.parametrize("words", [["--help"], ["results", "checkpoints"]], ids=" ".join)
def test_whoever_reads_the_output_may_stop(words, repo):
    """As ``| head`` does: no traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "dali", *words]
    done = subprocess.run(command, cwd=repo, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=300)
    os.close(writing)
    assert done.stderr == ""
