"""requirements.txt names what the project imports, no more and no less, and agrees with constraints.txt."""

import ast
import importlib.metadata
import re
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
PROJECT = {"dali", "pages", "app", "tests"}
# Run, not imported: by make, by pytest or by the notebooks.
TOOLS = {"ipykernel", "matplotlib", "mypy", "pdoc", "pre-commit", "pytest-xdist", "ruff"}
# CARL's environments are gymnasium's, so that its version is ours to choose.
INTERFACES = {"gymnasium"}
# Checks the shapes of tensors in tests; dali.model.shapes does without it elsewhere.
CHECKS = {"jaxtyping"}
# Extras of their own, imported where they are asked for.
OPTIONAL = {"ray"}


def pins(name: str) -> dict[str, str]:
    """Normalised distribution -> version of the exact pins in a requirements file."""
    found = {}
    for line in (REPO / name).read_text(encoding="utf-8").splitlines():
        line = line.split("#")[0].strip()
        if not line or line.startswith("-"):
            continue
        assert re.fullmatch(r"[\w.-]+==[\w.]+", line), f"{name}: {line!r} is no exact pin"
        distribution, version = line.split("==")
        found[normalise(distribution)] = version
    return found


def normalise(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def imported(*patterns: str) -> set[str]:
    """Top-level names of other people's modules that our files import, in functions too."""
    names = set()
    for path in (path for pattern in patterns for path in REPO.glob(pattern)):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                # torch's writer is a shell around a package that torch does not bring.
                tensorboard = node.module.startswith("torch.utils.tensorboard")
                names.add("tensorboard" if tensorboard else node.module.split(".")[0])
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("find_spec", "importorskip")):
                names.add(ast.literal_eval(node.args[0]).split(".")[0])
    return names - set(sys.stdlib_module_names) - PROJECT - OPTIONAL


def distributions(modules: set[str]) -> set[str]:
    """The distributions that bring these modules, as installed here."""
    providers = importlib.metadata.packages_distributions()
    missing = modules - set(providers)
    assert not missing, f"not installed: {missing}"
    return {normalise(providers[module][0]) for module in modules}


def test_runtime_requirements_are_what_the_project_imports():
    needed = distributions(imported("dali/**/*.py", "pages/*.py", "app.py") - CHECKS)
    assert set(pins("requirements.txt")) == needed | INTERFACES


def test_development_requirements_are_what_the_tests_import():
    needed = distributions(imported("tests/**/*.py")) - set(pins("requirements.txt"))
    assert set(pins("requirements-dev.txt")) == needed | TOOLS


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_pins_agree_with_the_constraints(name):
    constraints = pins("constraints.txt")
    assert {d: constraints.get(d) for d in pins(name)} == pins(name)


def test_extras_have_a_file_of_their_own():
    for name in OPTIONAL:
        assert set(pins(f"requirements-{name}.txt")) == {name}
