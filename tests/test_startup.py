"""The command line answers at once: help and mistakes in options come before anything heavy is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "scipy", "pandas", "streamlit", "sklearn", "plotly", "mujoco")
NOWHERE = "checkpoints/there-is-no-such-run"

CODE = f"""
import sys
sys.argv = ["dali", *sys.argv[1:]]
from dali.__main__ import run
status = 0
try:
    run()
except SystemExit as end:
    status = end.code or 0
print("LOADED", [name for name in {HEAVY} if name in sys.modules])
sys.exit(status)
"""


def answer(*words: str) -> tuple[int, str]:
    """Exit status and all that a command printed; its last line names the heavy packages it had imported."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, *words], cwd=REPO, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stderr + done.stdout


@pytest.mark.parametrize("words", ["--help", "train --help", "evaluate --help", "bench --help", "bench train --help"])
def test_help_imports_nothing_heavy(words):
    status, text = answer(*words.split())
    assert status == 0, text
    assert "Usage" in text, text
    assert "LOADED []" in text, text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense"], "nonsense"),
        (["train"], "--env"),
        (["train", "--env", "moon"], "moon"),
        (["train", "--env", "moon", "--steps", "5000"], "moon"),
        (["train", "--env", "pendulum", "--method", "magic"], "magic"),
        (["train", "--env", "pendulum", "--preset", "huge"], "huge"),
        (["train", "--env", "pendulum", "--set", "wings=2"], "wings"),
        (["train", "--env", "pendulum", "--set", "wings"], "NAME=VALUE"),
        (["train", "--env", "pendulum", "--seed", "-1"], "--seed"),
        (["sweep", "--env", "moon", "--methods", "all"], "moon"),
        (["sweep", "--env", "pendulum", "--methods", "magic"], "magic"),
        (["sweep", "--env", "pendulum", "--methods", "all", "--seeds", "x"], "Seeds"),
        (["evaluate", NOWHERE], NOWHERE),
        (["evaluate", NOWHERE, "--grid", "vast"], "vast"),
        (["analyse", NOWHERE], NOWHERE),
        (["card", NOWHERE], NOWHERE),
        (["record", NOWHERE], NOWHERE),
        (["compact", NOWHERE], NOWHERE),
        (["compare", NOWHERE], NOWHERE),
        (["counterfactual", NOWHERE], NOWHERE),
        (["embed", NOWHERE], NOWHERE),
        (["plausibility", NOWHERE], NOWHERE),
        (["reference", "moon"], "moon"),
        (["bench", "train", "--env", "moon"], "moon"),
        (["bench", "imagine", NOWHERE], NOWHERE),
    ],
    ids=" ".join,
)  # fmt: skip
def test_mistakes_import_nothing_heavy(words, said):
    status, text = answer(*words)
    assert status in (1, 2), text
    assert said in text, text
    assert "Traceback" not in text, text
    assert "LOADED []" in text, text
