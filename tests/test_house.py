"""The rules of the house, measured: how long modules and functions are, how much they are handed, what nobody uses."""

import ast
from collections import Counter
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
FILES = sorted((*REPO.glob("dali/**/*.py"), *REPO.glob("pages/*.py"), REPO / "app.py", *REPO.glob("tools/*.py")))
ENGINE = [p for p in FILES if p.is_relative_to(REPO / "dali") and not p.is_relative_to(REPO / "dali" / "studio")]

MODULE_LINES, PAGE_LINES, FUNCTION_LINES, PARAMETERS, TOP_MODULES = 350, 150, 60, 8, 8


def name_of(path: Path) -> str:
    return path.relative_to(REPO).as_posix()


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Without self and cls."""
    taken = function.args
    named = [argument.arg for argument in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)]
    return len([n for n in named if n not in ("self", "cls")]) + bool(taken.vararg) + bool(taken.kwarg)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_modules_and_functions_can_be_taken_in(path):
    name = name_of(path)
    limit = PAGE_LINES if name.startswith("pages/") else MODULE_LINES
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= limit, f"{name} has {lines} lines"
    if name.startswith("dali/cli/"):
        return  # a command's signature is its options, with their help
    for function in functions(path):
        long = (function.end_lineno or 0) - function.lineno + 1
        assert long <= FUNCTION_LINES, f"{name}: {function.name} has {long} lines"
        taken = parameters(function)
        assert taken <= PARAMETERS, f"{name}: {function.name} takes {taken}"


def test_few_modules_lie_at_the_top():
    top = [path.name for path in (REPO / "dali").glob("*.py") if not path.name.startswith("__")]
    assert len(top) <= TOP_MODULES, top


def test_nothing_is_there_that_only_tests_use():
    """Names of modules' own level that no other line of the program mentions."""
    mentioned: Counter[str] = Counter()
    defined: dict[str, str] = {}
    notebooks = "".join(path.read_text(encoding="utf-8") for path in REPO.glob("examples/*.ipynb"))
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            if (
                path in ENGINE
                and isinstance(node, ast.FunctionDef | ast.ClassDef)
                and not (node.decorator_list or node.name.startswith("__"))
            ):
                defined[node.name] = name_of(path)
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                mentioned[node.id] += 1
            elif isinstance(node, ast.Attribute):
                mentioned[node.attr] += 1
            elif isinstance(node, ast.alias):
                mentioned[node.name] += 1
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                mentioned.update(node.value.replace(":", " ").replace("[", " ").replace("]", " ").split())
    unused = {name for name in defined if mentioned[name] == 0 and name not in notebooks}
    assert not unused, {name: defined[name] for name in sorted(unused)}


def test_no_work_is_left_in_comments():
    for path in FILES:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not any(word in line for word in ("TODO", "FIXME", "XXX")), f"{name_of(path)}:{number}"
