"""``python -m dali app``."""

from typing import Annotated

import typer

from dali.errors import DaliError


def app(
    env: Annotated[
        str | None, typer.Option(help="Environments outside this package that it may import, as in my_module:MyEnv.")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the dashboard's address on this machine.")] = 8501,
) -> None:
    """Start the dashboard; ``streamlit run app.py`` does the same."""
    import importlib.util
    import os
    import sys
    from pathlib import Path

    from dali.envs.outside import allow

    allow(env or "")
    root = Path(__file__).resolve().parents[2]
    if not (root / "app.py").is_file():
        raise DaliError(f"The dashboard's app.py is not in {root}: it comes with the repository, not with the package.")
    if importlib.util.find_spec("streamlit") is None:
        raise DaliError("The package 'streamlit' is not installed; the extra app brings it: pip install '.[app]'")
    # Streamlit reads its settings where it starts; modules of environments are found where this was called from.
    paths = filter(None, (str(root), os.getcwd(), os.environ.get("PYTHONPATH")))
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    os.chdir(root)
    words = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    os.execv(sys.executable, words)
