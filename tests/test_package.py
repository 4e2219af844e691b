"""The package: `import dali` and `dali --help` are quick, the pins agree, and a wheel has all that it needs."""

import re
import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import dali

REPO = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))
HEAVY = ("torch", "streamlit", "numpy", "plotly", "pandas", "mujoco", "cv2")


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after running the code."""
    code += "\nimport sys; print('\\n'.join({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_importing_the_library_loads_nothing_heavy():
    loaded = loaded_by("import dali")
    assert not loaded & set(HEAVY)


def test_help_loads_nothing_heavy():
    run = "import sys; sys.argv = ['dali', '--help']\nfrom dali.__main__ import app\napp(standalone_mode=False)"
    assert not loaded_by(run) & (set(HEAVY) - {"numpy"})  # the catalogue, which names environments, is of arrays


def test_help_takes_less_than_a_second():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "dali", "--help"], cwd=REPO, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Seconds of a core, since the wall clock also counts what other processes do.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


def test_the_library_offers_what_it_lists_and_nothing_private():
    for name in dali.__all__:
        assert getattr(dali, name).__name__ == name
    assert not [name for name in dali.__all__ if name.startswith("_")]


def test_every_public_function_of_the_library_is_documented():
    from dali.library import Film, OpenRun

    functions = [getattr(dali, name) for name in dali.__all__]
    methods = [value for kind in (OpenRun, Film) for name, value in vars(kind).items() if not name.startswith("_")]
    assert len(methods) > 12
    undocumented = [f for f in (*functions, *methods) if not (f.__doc__ or "").strip()]
    assert not undocumented


def test_extras_and_requirements_have_the_same_pins():
    def pins(name: str) -> set[str]:
        lines = (REPO / name).read_text(encoding="utf-8").splitlines()
        return {line.split("#")[0].strip() for line in lines} - {""}

    def plain(lines: set[str]) -> set[str]:
        return {line for line in lines if not line.startswith("-")}

    project = PROJECT["project"]
    extras = {name: set(wanted) for name, wanted in project["optional-dependencies"].items()}
    assert set(project["dependencies"]) | extras["train"] | extras["app"] == plain(pins("requirements.txt"))
    assert extras["dev"] == plain(pins("requirements-dev.txt"))
    assert extras["sweep"] == plain(pins("requirements-ray.txt"))
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in project["dependencies"])


def test_everything_that_the_engine_reads_is_packed():
    packed = PROJECT["tool"]["setuptools"]["package-data"]
    for path in REPO.glob("dali/**/*"):
        if path.is_dir() or path.suffix in (".py", ".pyc"):
            continue
        package, rest = next(
            (
                (name, path.relative_to(REPO / name.replace(".", "/")))
                for name in packed
                if path.is_relative_to(REPO / name.replace(".", "/"))
            ),
            ("", Path()),
        )
        assert package, f"pyproject.toml packs no {path.relative_to(REPO)}"
        assert any(rest.match(pattern) for pattern in packed[package]), path
