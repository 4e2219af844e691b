"""The manifest of an exported film: everything it was made from."""

import hashlib
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from dali import __version__
from dali.dreams.film import Film
from dali.envs.spec import EnvSpec
from dali.episodes import Episodes
from dali.export.second import Second

SCHEMA = 1
PACKAGES = ("numpy", "torch", "mujoco", "opencv-python-headless", "imageio", "imageio-ffmpeg", "pillow")


def episode_digest(episodes: Episodes, index: int) -> str:
    """SHA-256 of all that a film reads of one recorded episode."""
    sha = hashlib.sha256()
    for name in ("obs", "action", "anchor", "code", "context"):
        sha.update(getattr(episodes, name)[index].tobytes())
    return sha.hexdigest()


def make_manifest(
    film: Film,
    episodes: Episodes,
    run: Path,
    checkpoint: str,
    files: dict[str, bytes],
    command: str,
    pinned: Film | None = None,
    second: Second | None = None,
) -> dict[str, Any]:
    """Plain data for JSON.

    Args:
        run: the checkpoint's folder. checkpoint: its digest.
        files: what was exported, by name.
        command: the line that makes the film again.
    """
    spec = film.source.agent.spec
    return {
        "schema": SCHEMA,
        "command": command,
        "checkpoint": {"name": run.name, "sha256": checkpoint},
        "environment": spec.name,
        "episode": {"index": film.request.episode, "sha256": episode_digest(episodes, film.request.episode)},
        "request": film.request.to_dict(),
        "pinned": None if pinned is None else pinned.request.to_dict(),
        "physics": {"factual": _in_units(spec, film.context), "counterfactual": _in_units(spec, film.context_to)},
        "code": {
            "z": film.code.tolist(),
            "change_sigmas": film.sigmas.tolist(),
            "change_sigmas_by_physics": film.moved_by_physics.tolist(),
        },
        "actions_sha256": {
            "factual": hashlib.sha256(film.dream.action.tobytes()).hexdigest(),
            "counterfactual": hashlib.sha256(film.dream_counterfactual.action.tobytes()).hexdigest(),
        },
        "measured": _measured(film),
        "second": None
        if second is None
        else {
            "checkpoint": {"name": second.name, "sha256": second.checkpoint},
            "code": {"z": second.film.code.tolist(), "change_sigmas": second.film.sigmas.tolist()},
            "measured": _measured(second.film),
        },
        "files": {name: {"sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()},
        "versions": versions(),
    }


def _in_units(spec: EnvSpec, values: Iterable[float]) -> dict[str, dict[str, Any]]:
    return {f.name: {"value": float(v), "unit": f.unit} for f, v in zip(spec.features, values, strict=True)}


def _measured(film: Film) -> dict[str, Any]:
    spec = film.source.agent.spec
    return {
        "error_factual_sigmas": film.mean_error,
        "error_counterfactual_sigmas": film.mean_error_counterfactual,
        "error_unsteered_sigmas": film.mean_error_unsteered,
        "steering_skill": film.skill,
        "effective_physics": _in_units(spec, film.effective),
        "way_back_error": None if film.back_error is None else _in_units(spec, film.back_error),
        "outside_train_range": list(film.outside),
        "code_support": None if film.support is None else film.support.text,
    }


def versions() -> dict[str, str]:
    """Versions of what decides a film's bytes; "-" where a package is missing."""
    found = {"dali-studio": __version__, "python": platform.python_version(), "machine": platform.machine()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "-"
    return found
