"""A counterfactual film as a library hands it out: four rollouts, what is measured on them, and its files.

Shapes: T = H + 1 records, V observation, A action, F context features, Z code.
"""

import io
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dali.dreams import film as engine
from dali.errors import DaliError, unknown_name
from dali.export.bundle import KINDS, SUFFIXES, Bundle
from dali.export.pictures import EXTRAS, SIZE, Extra
from dali.export.tables import to_csv
from dali.files.writing import write_bytes

if TYPE_CHECKING:
    from dali.dreams.observation import Rollout
    from dali.library.run import OpenRun


class Film:
    """One moment of one episode, real and dreamed, under its own physics and under another; ``OpenRun.counterfactual``
    makes it.

    The rollouts ``real``, ``real_counterfactual``, ``dream`` and ``dream_counterfactual`` have arrays: ``obs`` (T, V),
    ``action`` (T - 1, A), ``state`` (T, S), and for dreams ``reward`` (T - 1,). Index 0 is the start. An agent of
    pixels dreams ``frames`` (T, 64, 64, 3) instead of ``obs`` and ``state``.
    """

    def __init__(self, run: "OpenRun", film: engine.Film):
        self.run, self.engine_film = run, film

    @property
    def real(self) -> "Rollout":
        """The simulator under the episode's own physics."""
        return self.engine_film.real

    @property
    def real_counterfactual(self) -> "Rollout":
        """The simulator from the same state and under the same actions, at the physics asked for."""
        return self.engine_film.real_counterfactual

    @property
    def dream(self) -> "Rollout":
        """What the agent dreams under the code that it inferred."""
        return self.engine_film.dream

    @property
    def dream_counterfactual(self) -> "Rollout":
        """What the agent dreams under the changed code."""
        return self.engine_film.dream_counterfactual

    @property
    def physics(self) -> pd.DataFrame:
        """A row a quantity: ``factual``, ``asked`` for, and ``effective`` (that of the simulator's run which is nearest
        to the counterfactual dream), in its ``unit``."""
        features, film = self.run.spec.features, self.engine_film
        columns = {"factual": film.context, "asked": film.context_to, "effective": film.effective}
        return pd.DataFrame(
            {**columns, "unit": [f.unit for f in features]}, index=pd.Index([f.name for f in features], name="feature")
        )

    @property
    def errors(self) -> pd.Series:
        """How far dreams are from the simulator, in standard deviations of the data (root mean square over time):
        ``factual``, ``counterfactual``, and ``unsteered`` (the dream under the unchanged code against the
        counterfactual run)."""
        film = self.engine_film
        return pd.Series(
            {
                "factual": film.mean_error,
                "counterfactual": film.mean_error_counterfactual,
                "unsteered": film.mean_error_unsteered,
            },
            name="error",
        )

    @property
    def skill(self) -> float | None:
        """Steering skill, 1 - counterfactual error / unsteered error: 1 is ideal, 0 means that the change of the code
        did nothing useful. None where no physics was asked for."""
        return self.engine_film.skill

    @property
    def support(self) -> str | None:
        """Whether the changed code lies where training codes lie, in words. None for methods that infer no code."""
        return self.engine_film.support.text if self.engine_film.support else None

    def table(self) -> pd.DataFrame:
        """All traces, a row a step, each column headed with its unit in brackets."""
        return pd.read_csv(io.StringIO(to_csv(self.engine_film, self.run.spec)))

    def frames(self, size: int = SIZE, extras: tuple[Extra, ...] = ()) -> np.ndarray:
        """The panes with their captions, tiled: (T, height, width, 3) uint8.

        Args:
            size: pixels a side of each pane.
            extras: more panes, "ghost" (the dream drawn over the real run) or "difference" (of their pixels).
        """
        return self._bundle(size, extras).frames

    def save(self, path: str | Path, size: int = SIZE, extras: tuple[Extra, ...] = ()) -> Path:
        """Writes the film in the format of the path's ending and returns the path.

        ``.mp4`` (H.264), ``.gif``, ``.png`` (moments side by side), ``.pdf`` or ``.svg`` (the same as a figure for a
        paper), ``.csv`` (traces with units), ``.npz`` (arrays) or ``.tex`` (the figures as a table).
        The same film gives the same bytes.

        Args:
            size, extras: as in ``frames``.

        Raises:
            DaliError: another ending, an unknown extra pane, or nowhere to write.
        """
        target = Path(path)
        kind = target.suffix.removeprefix(".").lower()
        formats = [k for k in KINDS if k not in SUFFIXES]
        if kind not in formats:
            raise DaliError(f"{target} does not end in a format of films; expected one of: {', '.join(formats)}.")
        write_bytes(target, self._bundle(size, extras).make(kind))
        return target

    @cached_property
    def _numbers(self) -> dict[str, str]:
        return self._bundle(SIZE, ()).numbers()

    def __str__(self) -> str:
        return "\n".join(f"{name}: {value}" for name, value in self._numbers.items())

    def __repr__(self) -> str:
        request = self.engine_film.request
        return f"<Film of {self.run.name}, episode {request.episode}, t {request.t}, {request.horizon} steps>"

    def _bundle(self, size: int, extras: tuple[Extra, ...]) -> Bundle:
        for extra in extras:
            if extra not in EXTRAS:
                raise unknown_name("extra pane", extra, EXTRAS)
        return Bundle(self.engine_film, self.run.spec, self.run.config.method, size, extras, name=self.run.name)
