"""``python -m dali app``."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

import dali
from dali.errors import DaliError, missing_package

VARIABLE = "DALI_CHECKPOINTS"  # of the environment: what the dashboard reads its folders from


def app(
    checkpoints: Annotated[
        list[Path] | None,
        typer.Option(help="Folder that holds runs' folders; give it again for more. Trainings go into the first."),
    ] = None,
    env: Annotated[
        str | None, typer.Option(help="Environments outside this package that it may import, as in my_module:MyEnv.")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 8501,
) -> None:
    """Open the dashboard, on checkpoints/ or on the folders given."""
    from dali.envs.outside import allow
    from dali.runs.folder import check_folder

    script = Path(dali.__file__).resolve().parents[1] / "app.py"
    if not script.is_file():
        raise DaliError(f"There is no {script}: the dashboard comes with the repository, not with the library alone.")
    if importlib.util.find_spec("streamlit") is None:
        raise missing_package(ModuleNotFoundError(name="streamlit"))
    if env is not None:
        allow(env)
    environment = dict(os.environ)
    for folder in checkpoints or []:
        check_folder(folder)
        if os.pathsep in str(folder):
            raise DaliError(f"{folder} has a {os.pathsep!r} in its name, which tells folders apart; rename it.")
    if checkpoints:
        environment[VARIABLE] = os.pathsep.join(str(folder.absolute()) for folder in checkpoints)
    # Streamlit reads its settings where it starts; modules of environments are found where this was called from.
    paths = filter(None, (str(script.parent), os.getcwd(), os.environ.get("PYTHONPATH")))
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port)]
    raise typer.Exit(subprocess.run(command, env=environment, cwd=script.parent, check=False).returncode)
