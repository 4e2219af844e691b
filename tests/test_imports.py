"""Imports run one way, layer by layer: what a person sees knows the engine, and the engine knows nothing of it."""

import ast
import graphlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import dali

REPO = Path(__file__).resolve().parent.parent

# A part may import itself and the parts of lower layers, nothing else. Parts of one layer do not know each other.
LAYERS = (
    ("dali", "dali.files.text"),
    ("dali.errors",),
    ("dali.files",),  # reading, writing and locking files
    ("dali.methods", "dali.envs.spec"),  # what a method and an environment are, as data
    ("dali.config", "dali.jobs"),
    ("dali.runs.schema",),
    ("dali.envs", "dali.model", "dali.runs.folder"),
    ("dali.runs.metrics", "dali.runs.films"),
    ("dali.episodes", "dali.runs.checkpoint"),
    ("dali.codes", "dali.returns"),  # both are handed agents, episodes or returns; they open no folder
    ("dali.train", "dali.dreams"),
    ("dali.runs", "dali.video"),
    ("dali.figures", "dali.export", "dali.bench", "dali.doctor", "dali.train.sweep", "dali.train.film"),
    ("dali.train.pool",),  # where the trainings of a sweep are run; they are processes of their own
    ("dali.library",),
    ("dali.studio", "dali.cli"),
    ("pages", "dali.__main__"),
    ("app",),
)
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}

# What a machine that only trains need not have.
DASHBOARD_PACKAGES = ("streamlit", "plotly", "sklearn", "umap", "imageio", "imageio_ffmpeg")
TRAINING_PARTS = set().union(*LAYERS[:8]) | {"dali.runs.checkpoint", "dali.train", "dali.cli", "dali.__main__"}


def engine_modules() -> list[str]:
    """Names of all modules of dali but those of dali.studio."""
    names = [module.name for module in pkgutil.walk_packages(dali.__path__, "dali.") if "studio" not in module.name]
    assert "dali.config" in names
    return ["dali", *names]


def part_of(module: str) -> str | None:
    """The part of the architecture that a dotted name belongs to, by its longest known prefix; None if not ours."""
    if module.split(".")[0] not in ("dali", "pages", "app"):
        return None
    words = module.split(".")
    for end in range(len(words), 0, -1):
        if (name := ".".join(words[:end])) in RANK:
            return name if name != "dali" or module == "dali" else module
    return module


def project_files() -> dict[str, Path]:
    """Dotted module name -> file, of everything that the layers govern."""
    files = {}
    for path in (*REPO.glob("dali/**/*.py"), *REPO.glob("pages/*.py"), *REPO.glob("app.py")):
        words = path.relative_to(REPO).with_suffix("").parts
        files[".".join(words[:-1] if words[-1] == "__init__" else words)] = path
    return files


def imported_names(module: str, path: Path, known: set[str], top_level_only: bool = False) -> set[str]:
    """Modules of ``known`` that a file imports, inside functions too unless ``top_level_only``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([node.module] if node.module else [])])
            # `from package import name` may name a module or a thing inside the package.
            for alias in node.names:
                full = f"{base}.{alias.name}"
                found.add(full if full in known else base)
    return found & known


def wrong_direction(importer: str, imported: str) -> bool:
    """True where the layers forbid ``importer`` to import ``imported``."""
    here, there = part_of(importer), part_of(imported)
    return here != there and RANK[there] >= RANK[here]


def run_python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, timeout=300)


def test_every_module_has_a_place_in_the_layers():
    homeless = [name for name in project_files() if part_of(name) not in RANK]
    assert not homeless, f"Name these in LAYERS: {homeless}"


def test_imports_follow_the_layers():
    files = project_files()
    del files["dali"]  # offers the library's names without importing it: the next test
    wrong = [
        f"{module} imports {other}"
        for module, path in files.items()
        for other in sorted(imported_names(module, path, set(files)))
        if wrong_direction(module, other)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_package_itself_imports_no_module_of_it():
    result = run_python("import sys, dali; print([name for name in sys.modules if name.startswith('dali.')])")
    assert result.stdout.strip() == "[]", result.stderr


def test_no_cycles_among_modules():
    files = project_files()
    graph = {name: imported_names(name, path, set(files), top_level_only=True) for name, path in files.items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


@pytest.mark.parametrize(
    ("importer", "imported", "wrong"),
    [
        ("dali.model.rssm", "dali.config", False),
        ("dali.model.rssm", "dali.model.nets", False),
        ("dali.config", "dali.model.rssm", True),
        ("dali.envs.base", "dali.model.nets", True),
        ("dali.train.trainer", "dali.studio.loaders", True),
        ("dali.codes.probes", "dali.dreams.film", True),
        ("dali.codes.probes", "dali.returns.scoring", True),
        ("dali.returns.scoring", "dali.codes.probes", True),
        ("dali.dreams.film", "dali.codes.probes", False),
        ("dali.train.monitor", "dali.runs.artifacts", True),
        ("dali.train.trainer", "dali.runs.checkpoint", False),
        ("dali.runs.checkpoint", "dali.runs.artifacts", True),
        ("pages.overview", "dali.codes.probes", False),
    ],
)
def test_the_rule_itself(importer, imported, wrong):
    assert wrong_direction(importer, imported) is wrong


def test_engine_never_loads_streamlit():
    code = f"""
import importlib, sys
for name in {engine_modules()}:
    importlib.import_module(name)
loaded = [name for name in sys.modules if name.split(".")[0] == "streamlit"]
assert not loaded, loaded
"""
    result = run_python(code)
    assert result.returncode == 0, result.stderr


def test_training_runs_without_the_dashboards_packages():
    modules = [name for name in engine_modules() if part_of(name) in TRAINING_PARTS]
    code = f"""
import importlib, sys
for name in {DASHBOARD_PACKAGES}:
    sys.modules[name] = None  # importing it now raises ImportError, as where it is not installed
for name in {modules}:
    importlib.import_module(name)
"""
    result = run_python(code)
    assert result.returncode == 0, result.stderr


def test_few_modules_lie_at_the_top():
    top = [path.stem for path in REPO.glob("dali/*.py") if not path.stem.startswith("__")]
    assert len(top) <= 8, f"A module has its place in a folder by subject: {sorted(top)}"
