"""Writes the library's API page from its docstrings: python tools/api_page.py [--output docs/library.md]."""

import argparse
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO))

import dali  # noqa: E402
from dali.library import Film, OpenRun  # noqa: E402

SECTIONS = ("Args", "Returns", "Raises")


def page() -> str:
    """The page as Markdown."""
    functions = [getattr(dali, name) for name in dali.__all__]
    functions = [f for f in functions if inspect.isfunction(f)]
    parts = [
        "# The library",
        "Written by `python tools/api_page.py --output docs/library.md` from the docstrings.",
        _text(inspect.getdoc(dali.library) or ""),
        *(part for f in functions for part in _function(f, f"dali.{f.__name__}", "##")),
        *_class(OpenRun),
        *_class(Film),
        "## Errors",
        "`dali.DaliError`: what a user can put right, as one sentence. `dali.CheckpointError`, a kind of it: a folder "
        "or file of a run that cannot be used.",
    ]
    return "\n\n".join(parts) + "\n"


def _class(kind: type) -> Iterator[str]:
    yield f"## dali.{kind.__name__}"
    yield _text(inspect.getdoc(kind) or "")
    for name, value in vars(kind).items():
        if name.startswith("_"):
            continue
        if isinstance(value, property):
            yield f"### .{name}"
            yield _text(inspect.getdoc(value) or "")
        else:
            yield from _function(value, f".{name}", "###")


def _function(function: Callable[..., Any], name: str, level: str) -> Iterator[str]:
    yield f"{level} {name}"
    yield f"```python\n{name.removeprefix('.')}{_signature(function)}\n```"
    yield _text(inspect.getdoc(function) or "")


def _signature(function: Callable[..., Any]) -> str:
    """Parameters with their defaults; types stand in the text."""
    signature = inspect.signature(function)
    parameters = [p.replace(annotation=p.empty) for p in signature.parameters.values() if p.name != "self"]
    return str(inspect.Signature(parameters)).replace("'", '"')  # as ruff formats it


def _text(doc: str) -> str:
    """A docstring as Markdown: arguments and errors as lists."""
    lines, section = [], ""
    for line in doc.replace("``", "`").splitlines():
        text = line.strip()
        if text.removesuffix(":") in SECTIONS and text.endswith(":"):
            section = text.removesuffix(":")
            lines += ["", f"**{section}**", ""]
        elif section in ("Args", "Raises") and text:
            starts = re.match(r"    (\w[\w, ]*): ", line)
            lines.append(re.sub(r"^([\w, ]+): ", r"- `\1`: ", text) if starts else f"  {text}")
        else:
            lines.append(text if section else line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=REPO / "docs" / "library.md")
    parser.add_argument("--check", action="store_true", help="fail if the page differs; nothing is written")
    asked = parser.parse_args()
    if asked.check:
        if asked.output.read_text(encoding="utf-8") != page():
            sys.exit(f"{asked.output.name} differs from the docstrings; write it anew: python tools/api_page.py")
        return
    asked.output.write_text(page(), encoding="utf-8")
    print(f"Wrote {asked.output.name}")


if __name__ == "__main__":
    main()
