"""What analysis leaves in a checkpoint's folder for the app and the model card, tied to the weights it came from."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from dali.codes.code_map import CodeMap
from dali.codes.probes import Probe, fit_probe
from dali.codes.settled import mean_codes, settled_codes
from dali.codes.code_map import fit_steering
from dali.runs.report import Analysis
from dali.episodes import ANCHOR, Episodes
from dali.codes.support import Support, fit_support
from dali.codes.typical import TypicalCodes
from dali.runs.checkpoint import digest, write_atomic, write_text
from dali.envs.spec import EnvSpec
from dali.errors import CheckpointError
from dali.runs.folder import ANALYSIS_FILE, is_current, load_analysis

EPISODES_FILE = "latents.npz"


@dataclass(frozen=True)
class Readout:
    """What turns codes into physics and back, refitted in a moment from recorded episodes."""

    probe: Probe  # ridge, code -> context in units
    code_map: CodeMap  # context -> expected code
    support: Support  # the cloud of codes met

    @property
    def code_std(self) -> np.ndarray:
        """(Z,) standard deviation of each code dimension over all records, the sigma of the sliders."""
        return self.support.std


def fit_readout(episodes: Episodes, spec: EnvSpec, typical: TypicalCodes | None) -> Readout:
    """Fits probe, code map and support on the training contexts of recorded episodes that carry codes.

    Args:
        typical: what the code map is fitted on (``load_typical``); None where no analysis left any.
    """
    train = episodes.subset(episodes.regime == "train")
    return Readout(
        probe=fit_probe(mean_codes(train), train.context, train.group),
        code_map=fit_steering(episodes, spec, typical),
        support=fit_support(settled_codes(train)),
    )


def save_episodes(path: Path, episodes: Episodes) -> None:
    """Writes recorded episodes as a compressed NPZ."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            arrays = {f.name: getattr(episodes, f.name) for f in fields(episodes)}
            np.savez_compressed(file, **{**arrays, "code": arrays["code"].astype(np.float16)})

    write_atomic(path, write)


def load_episodes(path: Path) -> Episodes:
    """Reads what ``save_episodes`` wrote.

    Raises:
        CheckpointError: no such file, or not one of episodes.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {f.name: file[f.name] for f in fields(Episodes)}
            anchors = arrays["action"].shape[1] // ANCHOR + 1
            if arrays["anchor"].shape[1] != anchors:
                raise ValueError(f"it has {arrays['anchor'].shape[1]} states an episode, expected {anchors}")
            return Episodes(**{**arrays, "code": arrays["code"].astype(np.float32)})
    except FileNotFoundError:
        raise CheckpointError(f"There is no {path}; make it with: python -m dali analyse {path.parent}") from None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise CheckpointError(
            f"{path} does not hold recorded episodes: {error}. Make it anew with: python -m dali analyse {path.parent}"
        ) from error


def load_typical(folder: Path) -> TypicalCodes | None:
    """The typical codes of the training contexts that analysis left; None where it left none of these weights.

    Raises:
        CheckpointError: the file of figures holds something else in their place.
    """
    if not (folder / ANALYSIS_FILE).exists():
        return None
    record = load_analysis(folder)
    if "typical" not in record or not is_current(folder, record):
        return None
    try:
        context, code = (np.array(record["typical"][name], float) for name in ("context", "code"))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / ANALYSIS_FILE} holds no typical codes: {error}.") from error
    if context.ndim != 2 or code.ndim != 2 or len(context) != len(code):
        raise CheckpointError(
            f"{folder / ANALYSIS_FILE} holds typical codes of shapes {context.shape} and {code.shape}; expected as many "
            "codes as contexts."
        )
    return TypicalCodes(context, code)


def save_analysis(folder: Path, analysis: Analysis) -> None:
    """Writes the recorded episodes and the figures beside the weights."""
    save_episodes(folder / EPISODES_FILE, analysis.episodes)
    scatter = {
        engine: {
            f.name: {"requested": f.requested.round(4).tolist(), "effective": f.effective.round(4).tolist()}
            for f in dreams.explored
        }
        for engine, dreams in analysis.dreams.items()
    }
    record: dict[str, Any] = {"weights": digest(folder), "summary": analysis.summary(), "scatter": scatter["rssm"]}
    if "dynamics" in analysis.dreams:
        record["dynamics"] = {"summary": analysis.summary("dynamics"), "scatter": scatter["dynamics"]}
    typical = analysis.typical
    record["typical"] = {"context": typical.context.round(6).tolist(), "code": typical.code.round(5).tolist()}
    write_text(folder / ANALYSIS_FILE, json.dumps(record, indent=1) + "\n")
