"""Runs the notebooks of examples/ and stores their outputs: python tools/notebooks.py."""

import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient

REPO = Path(__file__).resolve().parent.parent
EXAMPLES = REPO / "examples"


def main() -> None:
    os.environ["PYTHONPATH"] = str(REPO)
    for path in sorted(EXAMPLES.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(EXAMPLES)}}).execute()
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)  # times of this run
        nbformat.write(notebook, path)
        print(f"Wrote {path.relative_to(REPO)}")


if __name__ == "__main__":
    main()
