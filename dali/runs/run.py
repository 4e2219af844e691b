"""One training run as everything else sees it: its folder, and all that training and analysis leave there.

What lists and tables need (configuration, progress, figures, card) takes no torch; what takes it is imported when it is
asked for. Nothing but the configuration is kept: a run may be training on, or be analysed anew, at any moment.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dali.config import MAX_SEED, RunConfig
from dali.envs import catalogue
from dali.envs.spec import EnvSpec
from dali.errors import CheckpointError, DaliError
from dali.files import lock
from dali.files.reading import read_object, read_text
from dali.files.text import quote
from dali.runs.films import TrainingFilm, list_films
from dali.runs.folder import (
    ANALYSIS_FILE,
    CARD,
    CONFIG,
    EPISODES_FILE,
    EVAL_FILE,
    LEFT_OUT,
    METRICS,
    RECORD,
    SWEEP_LOCK,
    TRAINER_STATE,
    TRAINING_LOCK,
    WEIGHTS,
    digest,
    exists,
    list_runs,
    load_config,
    weights_name,
)
from dali.runs.metrics import MetricsLog, last_row, read_log

if TYPE_CHECKING:
    from dali.episodes import Episodes
    from dali.model.agent import Agent
    from dali.returns.evaluation import Evaluation
    from dali.runs.artifacts import Readout

LIVE = 60.0  # seconds since the last row of the log, within which a run counts as training; rows come every ten
MOST_CONTEXTS = 10_000  # that an analysis is asked for

Summary = Mapping[str, Any]


@dataclass(frozen=True)
class Progress:
    """How far a training is, in environment steps."""

    done: int
    total: int  # 0: not begun
    training: bool  # a process is at work in the folder now

    @property
    def share(self) -> float:
        """0 to 1; 0 before the first checkpoint, which alone tells the total."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def complete(self) -> bool:
        return self.total > 0 and self.done >= self.total


@dataclass(frozen=True)
class Unreadable:
    """A folder that looks like a run and cannot be opened, with the reason."""

    folder: Path
    reason: str


@dataclass(frozen=True)
class Run:
    """The run in a folder. ``open_run`` gives one whose configuration is known to be readable.

    Files that are absent give None; files that are there and can't be read raise CheckpointError, with the file and
    what is wrong with it.
    """

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def config(self) -> RunConfig:
        """Raises CheckpointError: there is none yet, or it cannot be read."""
        config = load_config(self.folder)
        try:
            catalogue.spec(config.env)  # a run of an environment that this version lacks cannot be opened
        except DaliError as error:
            raise CheckpointError(f"{self.folder / CONFIG}: {error}") from error
        return config

    @property
    def spec(self) -> EnvSpec:
        """The environment that it was trained in."""
        return catalogue.spec(self.config.env)

    @property
    def title(self) -> str:
        """What it is, for people."""
        c = self.config
        return f"{self.spec.title} · {c.method.title} · preset {c.preset} · seed {c.seed}"

    @property
    def has_weights(self) -> bool:
        """False before the first checkpoint, and where they were left out."""
        return exists(self.folder / CONFIG) and exists(self.folder / WEIGHTS)

    @property
    def figures_only(self) -> bool:
        """True where the run came without its weights."""
        return weights_name(self.folder) == LEFT_OUT

    @property
    def can_resume(self) -> bool:
        return exists(self.folder / TRAINER_STATE)

    def digest(self) -> str:
        """SHA-256 of weights and configuration: what figures and films are tied to."""
        return digest(self.folder)

    # Training

    def progress(self) -> Progress:
        """How far the training is. A folder that is absent, or not written yet, has not begun."""
        total = done = 0
        try:
            total = load_config(self.folder).train.steps
            done = (self.record() or {"env_steps": 0})["env_steps"]
        except CheckpointError:
            pass  # not written yet, or damaged: then whoever trains in it says so
        if row := last_row(self.folder):
            done = max(done, int(row["env_steps"]))
        return Progress(done, total, any(lock.is_held(self.folder / path) for path in (TRAINING_LOCK, SWEEP_LOCK)))

    def log(self) -> MetricsLog:
        """What it logged while it trained; empty where there is no log."""
        return read_log(self.folder)

    def films(self) -> list[TrainingFilm]:
        """The films of its dreams that training left on its way. Raises CheckpointError: no folder of them to read."""
        return list_films(self.folder)

    def log_age(self) -> float | None:
        """Seconds since the last row of the log; None where there is none."""
        try:
            return time.time() - (self.folder / METRICS).stat().st_mtime
        except OSError:
            return None

    def is_live(self) -> bool:
        """True where rows of the log are still to come: it is locked, or one came lately and it is not complete.

        The latter also where it trains on another machine; files that were just copied look the same.
        """
        progress, age = self.progress(), self.log_age()
        return progress.training or (age is not None and age < LIVE and not progress.complete)

    def record(self) -> dict[str, Any] | None:
        """training.json: the command, the time and the machine of the training, and how far it is."""
        path = self.folder / RECORD
        try:
            found = read_object(path)
        except FileNotFoundError:
            return None
        for name, kind in _RECORD.items():
            if not isinstance(found.get(name), kind) or isinstance(found[name], bool):
                raise CheckpointError(f"{path} holds {quote(found.get(name))} as {name!r}; it is not a training's.")
        return found

    # Figures

    def analysis(self) -> dict[str, Any] | None:
        """analysis.json: ``weights``, ``summary`` and ``scatter``, with figures of every context feature."""
        path = self.folder / ANALYSIS_FILE
        try:
            found = read_object(path)
        except FileNotFoundError:
            return None
        if problem := _analysis_problem(found, self.spec):
            raise CheckpointError(
                f"{path} was made by another version: {problem}. Make it anew: python -m dali analyse {self.folder}"
            )
        return found

    def analysed_on(self) -> tuple[int, int] | None:
        """How many training contexts the figures were asked for on, and the seed; None where there are no figures."""
        found = self.analysis()
        return (found["summary"]["contexts"]["interpolation"], found["summary"]["seed"]) if found else None

    def analysis_is_current(self) -> bool:
        """False where there are no figures, or the weights have changed since they were computed."""
        found = self.analysis()
        return found is not None and found["weights"] == self.digest()

    def evaluation(self) -> "Evaluation | None":
        """Returns of the present weights under evaluated contexts.

        Raises:
            CheckpointError: besides, they are of other weights.
        """
        from dali.runs.scores import load_evaluation

        return load_evaluation(self.folder) if exists(self.folder / EVAL_FILE) else None

    def card(self) -> str | None:
        """The model card, Markdown. A link is not followed: it could lead to any file of whoever serves it."""
        path = self.folder / CARD
        if path.is_symlink():
            raise CheckpointError(f"{path} is a link; a card is a file of the run's own.")
        try:
            return read_text(path)
        except FileNotFoundError:
            return None

    # What takes torch

    def agent(self, device: str = "cpu") -> "Agent":
        """The trained agent. Raises CheckpointError where the weights are missing, damaged or do not fit."""
        from dali.runs.checkpoint import load_agent

        return load_agent(self.folder, device)

    def episodes(self) -> "Episodes":
        """The recorded episodes. Raises CheckpointError where there are none, with the command that makes them."""
        from dali.runs.artifacts import load_episodes

        return load_episodes(self.folder / EPISODES_FILE, self.config)

    def readout(self) -> "Readout":
        """Probe, code map and support, fitted on the recorded training contexts.

        Raises:
            DaliError: no recorded episodes, too few of them, or no codes in them.
        """
        from dali.runs.artifacts import fit_readout, load_typical

        if not self.config.method.infers_context:
            raise DaliError(f"{self.config.method.title} infers no context code, so no physics can be read from it.")
        return fit_readout(self.episodes(), self.spec, load_typical(self.folder))


def open_run(folder: str | Path) -> Run:
    """The run in a folder.

    Raises:
        CheckpointError: there is none, or its configuration cannot be read.
    """
    run = Run(Path(folder))
    _ = run.config
    return run


def open_runs(folder: Path) -> tuple[list[Run], list[Unreadable]]:
    """The runs below a folder, by name, and those that cannot be opened, each with its reason."""
    runs, unreadable = [], []
    try:
        paths = list_runs(folder)
    except CheckpointError as error:
        return [], [Unreadable(folder, str(error))]
    for path in paths:
        try:
            runs.append(open_run(path))
        except CheckpointError as error:
            unreadable.append(Unreadable(path, str(error)))
    return runs, unreadable


_RECORD: dict[str, type | tuple[type, ...]] = {
    "command": str,
    "machine": str,
    "env_steps": int,
    "updates": int,
    "wall_seconds": (int, float),
    "versions": dict,
}
_FIGURES = {
    "probe": ("r2_inside", "r2_outside", "r2_control", "mae_inside"),
    "steering": ("skill_25", "skill_50", "control_25"),
    "effective": ("slope", "r2", "mae", "selectivity"),
}


def _analysis_problem(found: dict[str, Any], spec: EnvSpec) -> str | None:
    """What an analysis lacks of the figures that are shown of it; None where it lacks nothing."""
    summary = found.get("summary")
    if not isinstance(found.get("weights"), str) or not isinstance(summary, dict):
        return "it has no digest of weights or no summary"
    for part, names in _FIGURES.items():
        for feature in spec.features:
            figures = summary.get(part)
            figures = figures.get(feature.name) if isinstance(figures, dict) else None
            if not isinstance(figures, dict):
                return f"it has no {part} of {feature.name}"
            for name in names:
                if not _is_figure(figures.get(name, "")):
                    return f"it has no {part} of {feature.name}: {name}"
    contexts = summary.get("contexts")
    if not isinstance(contexts, dict) or not all(_is_count(n) for n in (*contexts.values(), summary.get("seed"))):
        return "it does not tell its contexts and its seed"
    if not 0 < contexts.get("interpolation", 0) <= MOST_CONTEXTS:
        return "it has no contexts inside the train range, or too many"
    return None


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_SEED


def _is_figure(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
