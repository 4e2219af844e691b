"""Everything a film can be saved as, drawn once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dali.dreams.film import Film
from dali.envs.spec import EnvSpec
from dali.episodes import Episodes
from dali.errors import unknown_name
from dali.export.manifest import command_line, make_manifest
from dali.export.pictures import SIZE, Extra, draw_pictures, draw_pinned, quantity, tile_pictures
from dali.export.tables import to_csv, to_npz
from dali.methods import Method
from dali.video import encode_gif, encode_mp4, png_strip

KINDS = ("mp4", "gif", "png", "csv", "npz")
STRIP_PICTURES = 8
GIF_FPS = 50  # browsers slow a faster GIF down


@dataclass(frozen=True)
class Bundle:
    """A film and how it shall be drawn."""

    film: Film
    spec: EnvSpec
    method: Method
    size: int = SIZE
    extras: Sequence[Extra] = ()
    pinned: Film | None = None  # another counterfactual dream, over as many steps, to compare with

    @cached_property
    def frames(self) -> np.ndarray:
        """(T, height, width, 3) uint8: all panes with captions, tiled."""
        pictures = draw_pictures(self.film, self.spec, self.method, self.size, self.extras)
        if self.pinned:
            pictures.append(draw_pinned(self.pinned, self.spec, self.size))
        return tile_pictures(pictures)

    def make(self, kind: str) -> bytes:
        """The film as "mp4", "gif", "png" (moments side by side), "csv" or "npz"; equal films give equal bytes."""
        if kind not in KINDS:
            raise unknown_name("kind of export", kind, KINDS)
        if kind == "csv":
            return to_csv(self.film, self.spec, self.pinned).encode()
        if kind == "npz":
            return to_npz(self.film, self.spec, self.pinned)
        if kind == "png":
            return png_strip(self.frames, max(1, len(self.frames) // STRIP_PICTURES), self.spec.timestep)
        fps = 1.0 / self.spec.timestep
        return encode_mp4(self.frames, fps) if kind == "mp4" else encode_gif(self.frames, min(fps, GIF_FPS))

    def command_line(self, run: Path, checkpoint: str, output: str = "film.mp4") -> str:
        """The line that makes the film again."""
        return command_line(run, self.film, output, self.size, self.extras, checkpoint, self.pinned)

    def manifest(
        self, episodes: Episodes, run: Path, checkpoint: str, files: dict[str, bytes], output: str = "film.mp4"
    ) -> str:
        """The manifest of exported ``files`` as JSON text."""
        line = self.command_line(run, checkpoint, output)
        record = make_manifest(self.film, self.spec, episodes, run, checkpoint, files, line, self.pinned)
        return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def numbers(self) -> dict[str, Any]:
        """What is measured on the film, as text for people."""
        film = self.film
        lines = {
            "error, factual": f"{film.mean_error:.3f} σ",
            "error, counterfactual": f"{film.mean_error_counterfactual:.3f} σ",
            "error without steering": f"{film.mean_error_unsteered:.3f} σ",
            "steering skill": "-" if film.skill is None else f"{film.skill:.2f}",
        }
        for feature, asked, found in zip(self.spec.features, film.context_to, film.effective, strict=True):
            asked_text, found_text = quantity(feature, asked), quantity(feature, found)
            lines[f"effective {feature.label}"] = f"{found_text} (asked for {asked_text})"
        if film.support is not None:
            lines["code"] = film.support.text
        if film.outside:
            lines["outside the train range"] = ", ".join(film.outside)
        return lines
