"""What analysis leaves in a checkpoint's folder for the app and the model card, tied to the weights it came from."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from dali.codes.code_map import CodeMap, fit_steering
from dali.codes.probes import Probe, fit_probe
from dali.codes.settled import mean_codes, settled_codes
from dali.codes.support import Support, fit_support
from dali.codes.typical import TypicalCodes
from dali.config import RunConfig
from dali.envs.spec import EnvSpec
from dali.episodes import Episodes
from dali.errors import CheckpointError
from dali.files import lock
from dali.files.arrays import read_arrays
from dali.files.reading import read_object
from dali.files.writing import reason, write_atomic, write_text
from dali.runs.checkpoint import digest
from dali.runs.episodes_check import episodes_problem
from dali.runs.folder import ANALYSIS_FILE, ANALYSIS_LOCK, made_from
from dali.runs.folder import EPISODES_FILE as EPISODES_FILE  # of the interface of what analysis leaves
from dali.runs.report import Analysis


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


def load_episodes(path: Path, config: RunConfig | None = None) -> Episodes:
    """Reads what ``save_episodes`` wrote.

    Args:
        config: of the run that the episodes are of; what does not fit it is refused.

    Raises:
        CheckpointError: no such file, or not one of episodes: another name, shape, kind or value is in it.
    """
    again = f"Make it anew with: python -m dali record {path.parent}"
    try:
        arrays = read_arrays(path, [f.name for f in fields(Episodes)])
    except FileNotFoundError:
        raise CheckpointError(f"There is no {path}; make it with: python -m dali record {path.parent}") from None
    except CheckpointError as error:
        raise CheckpointError(f"{path} does not hold recorded episodes: {error} {again}") from error
    if problem := episodes_problem(arrays, config):
        raise CheckpointError(f"{path} does not hold recorded episodes: {problem}. {again}")
    return Episodes(**{**arrays, "code": arrays["code"].astype(np.float32)})


def load_typical(folder: Path) -> TypicalCodes | None:
    """The typical codes of the training contexts that analysis left; None where it left none of these weights.

    Raises:
        CheckpointError: the file of figures holds something else in their place.
    """
    path = folder / ANALYSIS_FILE
    try:
        record = read_object(path)
    except FileNotFoundError:
        return None
    if "typical" not in record or record.get("weights") != digest(folder):
        return None
    try:
        context, code = (np.array(record["typical"][name], float) for name in ("context", "code"))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{path} holds no typical codes: {reason(error)}.") from error
    shapes = f"{context.shape} and {code.shape}"
    if context.ndim != 2 or code.ndim != 2 or len(context) != len(code):
        raise CheckpointError(f"{path} holds typical codes of shapes {shapes}; expected as many codes as contexts.")
    if not (np.isfinite(context).all() and np.isfinite(code).all()):
        raise CheckpointError(f"{path} holds typical codes that are not finite.")
    return TypicalCodes(context, code)


def save_analysis(folder: Path, analysis: Analysis, weights: str | None = None) -> None:
    """Writes the recorded episodes and the figures beside the weights.

    Args:
        weights: the digest before the agent was loaded; None where the folder's weights are known to be the same still.

    Raises:
        CheckpointError: they have changed, or the folder cannot be written.
    """
    made = made_from(folder, weights)
    scatter = {
        engine: {
            f.name: {"requested": f.requested.round(4).tolist(), "effective": f.effective.round(4).tolist()}
            for f in dreams.explored
        }
        for engine, dreams in analysis.dreams.items()
    }
    record: dict[str, Any] = {"weights": made, "summary": analysis.summary(), "scatter": scatter["rssm"]}
    if "dynamics" in analysis.dreams:
        record["dynamics"] = {"summary": analysis.summary("dynamics"), "scatter": scatter["dynamics"]}
    typical = analysis.typical
    record["typical"] = {"context": typical.context.round(6).tolist(), "code": typical.code.round(5).tolist()}
    with lock.hold(folder / ANALYSIS_LOCK, wait=True):  # another analysis may end now: each writes both of its files
        save_episodes(folder / EPISODES_FILE, analysis.episodes)
        write_text(folder / ANALYSIS_FILE, json.dumps(record, indent=1) + "\n")
