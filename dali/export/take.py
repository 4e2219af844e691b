"""A take as files: its film, its traces, and the manifest that plays it again."""

import hashlib
import json
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from dali.dreams.take import DREAM, DREAM_ASKED, REAL_ASKED, Performance
from dali.export.manifest import episode_digest, versions
from dali.export.pictures import SIZE, draw_run, physics_text
from dali.export.tables import csv_of
from dali.video import caption, encode_mp4, tile

SCHEMA = 1
TITLES = ("Real, own physics", "Real, asked physics", "Dream, own physics", "Dream, asked physics")
MOST = 300  # frames drawn at a time, so that a long take does not fill the memory with panes


def draw_take(performance: Performance, run: int, first: int, last: int, size: int = SIZE) -> np.ndarray:
    """Frames (last - first, size, size, 3) of one run, each drawn under the physics in force."""
    asked = int(run in (REAL_ASKED, DREAM_ASKED))
    physics = np.stack(performance.contexts[first:last])[:, asked]
    return draw_run(performance.shown(run, first, last), performance.source.agent.spec, physics, size)


def take_film(performance: Performance, size: int = SIZE) -> bytes:
    """All four runs with captions as mp4, at the environment's own speed."""
    spec, parts = performance.source.agent.spec, []
    count = performance.steps + 1
    for first in range(0, count, MOST):
        last = min(first + MOST, count)
        parts.append(tile([_captioned(performance, run, first, last, size) for run in range(4)]))
    return encode_mp4(np.concatenate(parts), 1.0 / spec.timestep)


def take_csv(performance: Performance) -> str:
    """One row a record: physics asked, action taken next, observations of all runs that have any, errors."""
    spec = performance.source.agent.spec
    errors, count = performance.errors(0, performance.steps + 1), performance.steps + 1
    columns: dict[str, list[Any]] = {
        "step": list(range(count)),
        "time [s]": [round(k * spec.timestep, 6) for k in range(count)],
    }
    for i, feature in enumerate(spec.features):
        columns[f"asked {feature.name} [{feature.unit}]"] = [float(context[1, i]) for context in performance.contexts]
    for i, name in enumerate(spec.action_names):
        columns[f"action {name} [1]"] = [*(action[i] for action in performance.take.actions), ""]
    for run, title in enumerate(TITLES):
        if run in (DREAM, DREAM_ASKED) and performance.source.metric.observer.pictures:
            continue  # its dreams are pictures
        observed = performance.observed(run)
        for i, (name, unit) in enumerate(zip(spec.observation_names, spec.observation_units, strict=True)):
            columns[f"{title}: {name} [{unit or '1'}]"] = observed[:, i].tolist()
    columns["error of the dream, own physics [σ]"] = errors[0].tolist()
    columns["error of the dream, asked physics [σ]"] = errors[1].tolist()
    return csv_of(columns)


def take_manifest(performance: Performance, run: Path, checkpoint: str, files: dict[str, bytes]) -> str:
    """JSON: all actions and moves of the physics, the checkpoint, and the line that plays the take again.

    Args:
        run: the checkpoint's folder. checkpoint: its digest. files: what was exported, by name.
    """
    words = ["python", "-m", "dali", "play", str(run), "take.json", "--expect", checkpoint[:16], "--output", "take.mp4"]
    record = {
        "schema": SCHEMA,
        "command": shlex.join(words),
        "checkpoint": {"name": run.name, "sha256": checkpoint},
        "environment": performance.source.agent.spec.name,
        "episode_sha256": episode_digest(performance.source.episodes, performance.take.episode),
        "take": performance.take.to_dict(),
        "files": {name: {"sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()},
        "versions": versions(),
    }
    return json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"


def _captioned(performance: Performance, run: int, first: int, last: int, size: int) -> np.ndarray:
    """Frames of a run under their captions, which change where the physics do."""
    spec, frames = performance.source.agent.spec, draw_take(performance, run, first, last, size)
    asked = int(run in (REAL_ASKED, DREAM_ASKED))
    texts = [physics_text(spec, context[asked]) for context in performance.contexts[first:last]]
    cuts = [0, *(k for k in range(1, len(texts)) if texts[k] != texts[k - 1]), len(texts)]
    return np.concatenate([caption(frames[a:b], TITLES[run], texts[a]) for a, b in pairwise(cuts)])
