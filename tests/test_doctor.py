"""The doctor: what is well, and one line for each thing that is not."""

import importlib.metadata
import json
import shutil

import pytest
from typer.testing import CliRunner

from dali import doctor
from dali.__main__ import app
from dali.errors import DaliError


@pytest.fixture
def runs(make_run, tmp_path):
    shutil.copytree(make_run(), tmp_path / "good")
    return tmp_path


def test_a_sound_installation(runs):
    result = CliRunner().invoke(app, ["doctor", str(runs)])
    assert result.exit_code == 0, result.output
    for word in ("Python", "torch", "mujoco", "streamlit", "ffmpeg", "CPU threads", "quadruped", "good"):
        assert word in result.output
    assert "FAIL" not in result.output
    assert "not analysed; not evaluated" in result.output


def test_each_broken_checkpoint_has_a_line(runs):
    (runs / "stale").mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(runs / "good" / name, runs / "stale" / name)
    (runs / "stale" / "analysis.json").write_text(json.dumps({"weights": "of another day"}))
    (runs / "torn").mkdir()
    (runs / "torn" / "config.json").write_text("{")
    result = CliRunner().invoke(app, ["doctor", str(runs)])
    assert isinstance(result.exception, DaliError)
    assert str(result.exception) == "2 problems: stale, torn."
    failed = [line for line in result.output.splitlines() if line.startswith("FAIL")]
    assert ["stale" in failed[0], "torn" in failed[1], len(failed)] == [True, True, 2]
    assert "python -m dali analyse" in failed[0]


def test_missing_and_other_versions_are_told(monkeypatch):
    def version(name):
        if name == "streamlit":
            raise importlib.metadata.PackageNotFoundError(name)
        return "4.0.0" if name == "mujoco" else doctor._pins().get(name, "1")

    monkeypatch.setattr(importlib.metadata, "version", version)
    bad = {f.what: f.text for f in doctor.versions() if f.problem}
    assert set(bad) == {"mujoco", "streamlit"}
    assert bad["mujoco"].startswith("4.0.0; requirements.txt asks for 3.")
    assert "is not installed" in bad["streamlit"]


def test_an_environment_that_cannot_be_made(monkeypatch):
    def broken(name, num):
        raise DaliError("It needs a package that is not installed.")

    monkeypatch.setattr(doctor.catalogue, "make", broken)
    assert doctor.environment("walker") == doctor.Finding(
        "walker", "cannot be made: It needs a package that is not installed.", True
    )


def test_a_missing_encoder(monkeypatch):
    import imageio_ffmpeg

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: "/nowhere/ffmpeg")
    found = doctor.encoder()
    assert found.problem
    assert "films cannot be encoded" in found.text


def test_an_empty_folder_is_no_problem(tmp_path):
    *_, last = doctor.examine(tmp_path / "none")
    assert (last.what, last.problem) == ("checkpoints", False)
