"""Everything a film can be saved as, drawn once."""

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dali.dreams.film import Film
from dali.dreams.observation import Rollout
from dali.envs.spec import EnvSpec
from dali.envs.units import number, quantity
from dali.episodes import Episodes
from dali.errors import unknown_name
from dali.export.latex import booktabs
from dali.export.look import PLAIN, Look
from dali.export.manifest import make_manifest
from dali.export.paper import column, lay_out, moments, to_pdf, to_svg
from dali.export.pictures import SIZE, Extra, Picture, draw_pictures, draw_pinned, tile_pictures
from dali.export.second import Second, Summary, draw_second, figures_head, figures_row
from dali.export.tables import to_csv, to_npz, to_pgfplots
from dali.methods import Method
from dali.video import encode_gif, encode_mp4, png_strip

KINDS = ("mp4", "gif", "png", "csv", "npz", "svg", "pdf", "pgfplots", "tex")
SUFFIXES = {"pgfplots": "csv"}  # of kinds that files are not named by
STRIP_PICTURES = 8
PAPER_SIZE = 400  # pixels a side in print
GIF_FPS = 50  # browsers slow a faster GIF down


@dataclass(frozen=True)
class Bundle:
    """A film and how it shall be drawn.

    Attributes:
        pinned: another counterfactual dream, over as many steps, to compare with. second: another agent's film of it.
        look: of the mp4 and the GIF. name: of the run. summary: of its analysis, for the table; None where it has none,
            and ``second_summary`` likewise. width: of the figure for a paper, "column" or "page".
    """

    film: Film
    spec: EnvSpec
    method: Method
    size: int = SIZE
    extras: Sequence[Extra] = ()
    pinned: Film | None = None
    second: Second | None = None
    look: Look = PLAIN
    name: str = "agent"
    summary: Summary | None = None
    second_summary: Summary | None = None
    width: str = "column"

    @cached_property
    def frames(self) -> np.ndarray:
        """(T, height, width, 3) uint8: all panes with captions, tiled."""
        return tile_pictures(self.pictures(self.size))

    def pictures(self, size: int) -> list[Picture]:
        """All panes, ``size`` pixels a side."""
        pictures = draw_pictures(self.film, self.spec, self.method, size, self.extras)
        if self.pinned:
            pictures.append(draw_pinned(self.pinned, self.spec, size))
        if self.second:
            pictures += draw_second(self.second, self.spec, size)
        return pictures

    def make(self, kind: str) -> bytes:
        """The film as one of KINDS; equal films give equal bytes.

        "mp4" and "gif" move; "png" (moments side by side), "svg" and "pdf" (a figure for a paper) stand; "csv", "npz"
        and "pgfplots" hold traces; "tex" is a table of the figures.
        """
        if kind not in KINDS:
            raise unknown_name("kind of export", kind, KINDS)
        others = self.pinned, self.second.film if self.second else None
        if kind == "csv":
            return to_csv(self.film, self.spec, *others).encode()
        if kind == "npz":
            return to_npz(self.film, self.spec, *others)
        if kind == "pgfplots":
            return to_pgfplots(self.film, self.spec, *others).encode()
        if kind == "tex":
            return self.table().encode()
        if kind in ("svg", "pdf"):
            return self._figure(kind)
        if kind == "png":
            return png_strip(self.frames, max(1, len(self.frames) // STRIP_PICTURES), self.spec.timestep)
        rate = self.look.rate(self.spec.timestep)
        if kind == "mp4":
            return encode_mp4(self._shown(), rate)
        return encode_gif(np.stack(list(self._shown())), min(rate, GIF_FPS))

    def _shown(self) -> Iterator[np.ndarray]:
        """The frames as the look has them, in order."""
        order, columns, size = self.look.arrange(len(self.pictures(self.size)))
        pictures = self.pictures(size or self.size)
        arranged = [pictures[i] for i in order]
        held = round(self.look.hold * self.look.rate(self.spec.timestep))  # times that the last frame is shown besides
        for _ in range(self.look.loops):
            for frame in self.look.compose(arranged, columns, self._notes()):
                yield frame
            for _ in range(held):
                yield frame

    def _notes(self) -> list[str]:
        """The clock and the errors at each frame."""
        notes = []
        for t in range(len(self.film.error)):
            factual, counterfactual = self.film.error[t], self.film.error_counterfactual[t]
            text = f"t = {t * self.spec.timestep:.2f} s   error: factual {factual:.2f} σ, counterfactual "
            text += f"{counterfactual:.2f} σ"
            if self.second:
                other = self.second.film
                text += f"; second {other.error[t]:.2f} σ, {other.error_counterfactual[t]:.2f} σ"
            notes.append(text)
        return notes

    def _figure(self, kind: str) -> bytes:
        count = len(self.film.error)
        steps = moments(count, min(column(self.width)[1], count))
        at = replace(
            self,
            film=_at(self.film, steps),
            pinned=_at(self.pinned, steps) if self.pinned else None,
            second=replace(self.second, film=_at(self.second.film, steps)) if self.second else None,
        )
        times = [t * self.spec.timestep for t in steps]
        figure = lay_out(at.pictures(PAPER_SIZE), times, self._sentence(), self.width)
        return to_svg(figure) if kind == "svg" else to_pdf(figure)

    def _sentence(self) -> str:
        film = self.film
        text = f"Error of the dream over {film.request.horizon} steps: factual {film.mean_error:.2f} σ, counterfactual "
        text += f"{film.mean_error_counterfactual:.2f} σ"
        if self.second:
            other = self.second.film
            text += f"; of {self.second.name}: {other.mean_error:.2f} σ and {other.mean_error_counterfactual:.2f} σ"
        return f"{text}."

    def rows(self) -> list[list[str]]:
        """The figures of the agent, and of the second one, under ``figures_head``."""
        scale = self.film.source.scale
        rows = [figures_row(self.name, self.film, self.spec, self.method, scale, self.summary)]
        if self.second:
            other = self.second
            rows.append(figures_row(other.name, other.film, self.spec, other.method, scale, self.second_summary))
        return rows

    def table(self) -> str:
        """The figures as a LaTeX table: a row a figure, a column an agent."""
        request, film = self.film.request, self.film
        asked = ", ".join(
            f"{f.label} {quantity(f, c)}" for f, c in zip(self.spec.features, film.context_to, strict=True)
        )
        caption = (
            f"{self.spec.title}: dreams of {request.horizon} steps from step {request.t} of episode {request.episode}, "
            f"asked for {asked}. Errors are in standard deviations of the data; steering skill is 1 - error / error "
            "without the change, over all: of 25 steps on held-out episodes, with 95 % intervals."
        )
        rows = self.rows()
        turned = [list(column) for column in zip(figures_head(self.spec), *rows, strict=True)]
        return booktabs(turned[0], turned[1:], caption, "tab:counterfactual")

    def command_line(self, run: Path, checkpoint: str, output: str = "film.mp4") -> str:
        """The ``python -m dali counterfactual`` line that makes the film again, byte for byte with the same versions.

        Args:
            checkpoint: its digest; the command refuses another one.
        """
        words = ["python", "-m", "dali", "counterfactual", str(run), *self.film.request.arguments()]
        if self.size != SIZE:
            words += ["--size", str(self.size)]
        for extra in self.extras:
            words += ["--extra", extra]
        if self.pinned:
            words += ["--pin", self.pinned.request.to_json()]
        if self.second:
            words += ["--second", str(self.second.run), "--expect-second", self.second.checkpoint[:16]]
        return shlex.join([*words, *self.look.arguments(), "--expect", checkpoint[:16], "--output", output])

    def manifest(
        self, episodes: Episodes, run: Path, checkpoint: str, files: dict[str, bytes], output: str = "film.mp4"
    ) -> str:
        """The manifest of exported ``files`` as JSON text."""
        line = self.command_line(run, checkpoint, output)
        record = make_manifest(self.film, episodes, run, checkpoint, files, line, self.pinned, self.second)
        return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def numbers(self) -> dict[str, Any]:
        """What is measured on the film, as text for people."""
        film = self.film
        lines = {
            "error, factual": f"{film.mean_error:.3f} σ",
            "error, counterfactual": f"{film.mean_error_counterfactual:.3f} σ",
            "error without steering": f"{film.mean_error_unsteered:.3f} σ",
            "steering skill": number(film.skill, missing="-"),
        }
        for feature, asked, found in zip(self.spec.features, film.context_to, film.effective, strict=True):
            asked_text, found_text = quantity(feature, asked), quantity(feature, found)
            lines[f"effective {feature.label}"] = f"{found_text} (asked for {asked_text})"
        if film.support is not None:
            lines["code"] = film.support.text
        if film.outside:
            lines["outside the train range"] = ", ".join(film.outside)
        if self.second:
            for name, value in list(zip(figures_head(self.spec), self.rows()[1], strict=True))[1:]:
                lines[f"{self.second.name}: {name}"] = value
        return lines


def _at(film: Film, steps: Sequence[int]) -> Film:
    """A film whose runs have these records alone, to be drawn."""

    def of(run: Rollout) -> Rollout:
        state, frames = (None if part is None else part[list(steps)] for part in (run.state, run.frames))
        return replace(run, obs=None, reward=None, spread=None, state=state, frames=frames)

    return replace(
        film,
        real=of(film.real),
        real_counterfactual=of(film.real_counterfactual),
        dream=of(film.dream),
        dream_counterfactual=of(film.dream_counterfactual),
    )
