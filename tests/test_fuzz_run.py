"""Mutations of every file of a run against every loader: success or a DaliError, soon and in little memory.

``DALI_FUZZ=10000 python -m pytest -s -o faulthandler_timeout=0 tests/test_fuzz_run.py`` makes as many mutations as one
likes, and tells every 500 of them how many loadings ended how, and what they took at most.
"""

import json
import os
import random
import resource
import shutil
import struct
import time
import zipfile

import numpy as np
import pytest

from dali.codes.points import record_points
from dali.dreams.take import Take, perform, read_take
from dali.errors import DaliError
from dali.jobs import Status, read_status, write_status
from dali.returns.estimators import Estimate
from dali.returns.sensitivity import Reaction, ReturnLost, Sensitivity
from dali.runs import dream_errors
from dali.runs.cache import EFFECTS_FILE, MOVE, MapRequest, load_effects, load_map, map_path, points_digest
from dali.runs.checkpoint import load_trainer_state, save_trainer_state
from dali.runs.dimensions import _SCORES, _made_from, load_dimensions
from dali.runs.dimensions import FILE as DIMENSIONS_FILE
from dali.runs.film_source import open_film_source
from dali.runs.films import read_film, write_film
from dali.runs.folder import ANALYSIS_FILE, CACHE, CARD, CONFIG, EPISODES_FILE, EVAL_FILE, METRICS, RECORD, WEIGHTS
from dali.runs.reaction import REACTION_FILE, load_reaction, save_reaction
from dali.runs.run import Run, open_runs
from dali.runs.scores import FILES as EVALUATIONS
from dali.runs.scores import load_evaluation
from dali.train.film import make_films

MUTATIONS = int(os.environ.get("DALI_FUZZ", "200"))
SECONDS, MEGABYTES = 2.0, 500  # of processor time and of memory, a mutation
STATUS, STATE, TAKE = "cache/status.json", "trainer/state.safetensors", "take.json"
FILM = "films/step-600.gif"
REQUEST = MapRequest("tsne", 2, means=False)
MAP, ERRORS = f"cache/map-{REQUEST.name}.npz", f"{CACHE}/{dream_errors.ERRORS_FILE}"
EFFECTS, DIMENSIONS, NO_MEMORY = f"{CACHE}/{EFFECTS_FILE}", f"{CACHE}/{DIMENSIONS_FILE}", EVALUATIONS["none"]
FILES = (CONFIG, WEIGHTS, EPISODES_FILE, ANALYSIS_FILE, EVAL_FILE, METRICS, RECORD, CARD, STATUS, STATE, REACTION_FILE)
FILES += (NO_MEMORY, EFFECTS, ERRORS, DIMENSIONS, MAP, TAKE, FILM)
whole_run: dict[str, object] = {}  # what loaders take besides the folder, of the undamaged run
LOADERS = {
    "list": lambda folder: open_runs(folder.parent),
    "config": lambda folder: Run(folder).config,
    "digest": lambda folder: Run(folder).digest(),
    "progress": lambda folder: Run(folder).progress(),
    "log": lambda folder: Run(folder).log(),
    "record": lambda folder: Run(folder).record(),
    "analysis": lambda folder: Run(folder).analysis(),
    "evaluation": lambda folder: Run(folder).evaluation(),
    "card": lambda folder: Run(folder).card(),
    "agent": lambda folder: Run(folder).agent(),
    "episodes": lambda folder: Run(folder).episodes(),
    "readout": lambda folder: Run(folder).readout(),
    "effects": load_effects,
    "status": lambda folder: read_status(folder / STATUS),
    "state": load_trainer_state,
    "reaction": load_reaction,
    "evaluation without memory": lambda folder: load_evaluation(folder, "none"),
    "dream errors": dream_errors.load_dream_errors,
    "dimensions": lambda folder: load_dimensions(folder, whole_run["episodes"]),
    "map": lambda folder: load_map(folder, REQUEST, whole_run["points"]),
    "film": lambda folder: read_film(folder / FILM),
    "films": lambda folder: Run(folder).films(),
    "take": lambda folder: perform(whole_run["source"], read_take(folder / TAKE)),
}
MADE_ANEW = (
    "effects",
    "dream errors",
    "dimensions",
    "map",
)  # loaders of the cache, which give None for what is damaged
# Which loaders read a file; the others would only repeat what is known of it.
READ_BY = {
    CONFIG: ("list", "config", "digest", "progress", "analysis", "evaluation", "agent", "episodes"),
    WEIGHTS: ("digest", "agent"),
    EPISODES_FILE: ("episodes", "readout"),
    ANALYSIS_FILE: ("analysis", "readout"),
    EVAL_FILE: ("evaluation",),
    METRICS: ("log", "progress"),
    RECORD: ("record", "progress"),
    CARD: ("card",),
    STATUS: ("status",),
    STATE: ("state",),
    REACTION_FILE: ("reaction",),
    NO_MEMORY: ("evaluation without memory",),
    EFFECTS: ("effects",),
    ERRORS: ("dream errors",),
    DIMENSIONS: ("dimensions",),
    MAP: ("map",),
    TAKE: ("take",),
    FILM: ("film", "films"),
}
SCALARS = (None, True, -1, 0, 1e308, 10**30, float("nan"), float("inf"), "", "![x](http://host/a.png)", "\x1b[2J")
SCALARS += ([], {}, [[]], 1_000_000, 2**63, "x" * 5000)


@pytest.fixture(scope="module")
def whole(make_run, tmp_path_factory):
    """A run with every file that a run can have."""
    import torch

    folder = shutil.copytree(make_run(), tmp_path_factory.mktemp("fuzz") / "whole")
    run = Run(folder)
    figures = dict.fromkeys(("r2_inside", "r2_outside", "r2_control", "mae_inside", "skill_25", "skill_50"), 0.5)
    figures |= dict.fromkeys(("control_25", "slope", "r2", "mae", "selectivity"), 0.5)
    features = {f.name: figures for f in run.spec.features}
    summary = dict.fromkeys(("probe", "steering", "effective"), features)
    summary |= {"contexts": {"interpolation": 10}, "seed": 0}
    (folder / ANALYSIS_FILE).write_text(json.dumps({"weights": run.digest(), "summary": summary, "scatter": {}}))
    row = {"context": {f.name: f.default for f in run.spec.features}, "regime": "interpolation", "grid": "paper"}
    row |= {"episode": [0, 1], "seed": [1, 2], "return": [1.0, 2.0], "length": [200, 200], "random_return": [0.0, 0.0]}
    head = {"schema": 1, "weights": run.digest(), "env": "pendulum", "seed": 0, "contexts": [row]}
    (folder / EVAL_FILE).write_text(json.dumps(head))
    (folder / NO_MEMORY).write_text(json.dumps({**head, "memory": "none"}))
    estimate = Estimate(0.5, 0.4, 0.6, "contexts")
    told = tuple(Sensitivity(f.name, estimate, estimate, 0.1) for f in run.spec.features)
    save_reaction(folder, Reaction(told, (ReturnLost("frozen", estimate, None),), 10, 3, 100, 0))
    (folder / TAKE).write_text(json.dumps(Take(1, 40, "rssm", ((0.5,),) * 4, ((0, (("g", 8.0),)),)).to_dict()))
    whole_run["source"] = open_film_source(folder)
    write_cache(run)
    rows = [json.dumps({"env_steps": 100 * i, "update": i, "loss/total": 1.0}) for i in range(20)]
    (folder / METRICS).write_text("\n".join(rows) + "\n")
    record = {"command": "python", "machine": "x", "env_steps": 600, "updates": 9, "wall_seconds": 1.0, "versions": {}}
    (folder / RECORD).write_text(json.dumps(record))
    (folder / CARD).write_text("# A card")
    write_film(folder, 600, make_films(1).make(run.agent()))
    write_status(folder / STATUS, Status("running", 1, 2, "working"))
    save_trainer_state(folder, {"noise": torch.zeros(8)}, {"env_steps": 1, "config": run.config.to_dict()})
    for name, load in LOADERS.items():
        assert load(folder) is not None or name in ("config", "progress"), name
    return folder


def write_cache(run: Run) -> None:
    """What the cache of a run may hold, of its weights and episodes but of made-up figures."""
    folder, episodes = run.folder, run.episodes()
    whole_run["episodes"], whole_run["points"] = episodes, (points := record_points(episodes))
    (folder / CACHE).mkdir(exist_ok=True)
    place = np.random.default_rng(0).normal(size=(len(points.code), 2)).astype(np.float32)
    fitted, made_from = np.ones(len(place), bool), np.array(points_digest(points))
    np.savez_compressed(map_path(folder, REQUEST), points=place, fitted=fitted, made_from=made_from)
    test = {"auc": 0.5, "low": 0.4, "high": 0.6, "p_value": 0.5, "episodes": 9, "dreams": 18}
    effects = [{"dimension": i, "shift": 0.1, "test": test} for i in range(8)]
    (folder / EFFECTS).write_text(json.dumps({"weights": run.digest(), "move": MOVE, "effects": effects}))
    columns = {"episode": [0, 1], "t": [16, 24], "asked": [[9.0, 1.0]] * 2, "factual": [0.1, 0.2]}
    columns["counterfactual"] = [0.3, 0.4]
    record = {"weights": run.digest(), "episodes": dream_errors._episodes_digest(folder), "columns": columns}
    (folder / ERRORS).write_text(json.dumps({**record, "made_with": dream_errors._MADE_WITH}))
    tables = {name: [[0.5, 0.5]] * 8 for name in ("spearman", "mutual_information", "importance")}
    scores = {name: {"value": 0.5, "low": 0.4, "high": 0.6} for name in _SCORES}
    told = {"names": ["g", "l"], "contexts": 20, "bins": 4, "entropy": [1.0, 1.0], **tables, **scores}
    (folder / DIMENSIONS).write_text(json.dumps({"made_from": _made_from(episodes), **told}))


def mutate_json(rng: random.Random, value, depth: int = 0):
    """A JSON value with one part of it replaced, removed, doubled or buried."""
    if isinstance(value, dict) and value and (depth == 0 or rng.random() < 0.7):
        key = rng.choice(list(value))
        if rng.random() < 0.15:
            return {k: v for k, v in value.items() if k != key}
        if rng.random() < 0.1:
            return {**value, rng.choice(["", "extra", "x" * 31_000]): value[key]}
        return {**value, key: mutate_json(rng, value[key], depth + 1)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        place = rng.randrange(len(value))
        return [*value[:place], mutate_json(rng, value[place], depth + 1), *value[place + 1 :]]
    return rng.choice(SCALARS)


def mutate_bytes(rng: random.Random, data: bytes) -> bytes:
    kind = rng.randrange(6)
    place = rng.randrange(len(data))
    if kind == 0:
        return data[:place]
    if kind == 1:
        return data + rng.randbytes(rng.randrange(1, 2000))
    if kind == 2:
        return data[:place] + rng.randbytes(rng.randrange(1, 40)) + data[place:]
    if kind == 3:
        return b"".join(rng.choice([b"[", b"{", b'{"a":', b"9", b"\x00", b"\xff"]) for _ in range(1)) * 100_000
    changed = bytearray(data)
    for _ in range(rng.choice([1, 3, 30])):
        changed[min(rng.randrange(len(data)), rng.randrange(len(data)))] = rng.randrange(256)  # headers come first
    return bytes(changed)


def mutate_zip(rng: random.Random, path) -> None:
    """One array of an NPZ file with another shape, kind, size, name or compression in its header."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(parts))
    kind = rng.randrange(5)
    if kind == 0:
        del parts[name]
    elif kind == 1:
        parts["extra.npy"] = parts[name]
    elif kind == 2:
        old, new = rng.choice([(b"<f4", b"<f8"), (b"<f4", b"|O "), (b"<f2", b"<i2"), (b"<i8", b"<f8"), (b"(", b"(-"),
                               (b"(", b"(9"), (b"shape", b"s\xff"), (b"False", b"True "), (b"{", b"((")])  # fmt: skip
        parts[name] = parts[name].replace(old, new, 1)
    elif kind == 3:
        length = rng.choice([0, 1, 2**15, 2**16 - 1])
        parts[name] = parts[name][:8] + struct.pack("<H", length) + parts[name][10:]
    else:
        parts[name] = (
            parts[name][:128] + struct.pack("<d", rng.choice([float("nan"), 1e300, -1.0])) * 16 + parts[name][256:]
        )
    with zipfile.ZipFile(
        path, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
    ) as archive:
        for part, data in parts.items():
            archive.writestr(part, data)


def mutate(rng: random.Random, path) -> str:
    """Damages one file; tells how."""
    kind = rng.random()
    if kind < 0.04:
        path.unlink()
        rng.choice([path.mkdir, lambda: path.symlink_to(path.name), lambda: os.mkfifo(path), lambda: None])()
        return "no regular file"
    if path.suffix == ".json" and kind < 0.75:
        path.write_text(json.dumps(mutate_json(rng, json.loads(path.read_text()))))
        return "JSON"
    if path.suffix == ".npz" and kind < 0.7:
        mutate_zip(rng, path)
        return "arrays"
    path.write_bytes(mutate_bytes(rng, path.read_bytes()))
    return "bytes"


def test_a_damaged_run_is_read_or_refused_in_a_sentence(whole, tmp_path):
    rng = random.Random(0)
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    refused = loaded = 0
    longest = most = 0.0
    for number in range(MUTATIONS):
        name = FILES[number % len(FILES)]
        path = folder / name
        how = mutate(rng, path)
        for loader in READ_BY[name]:
            began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            sentence = None
            try:
                if LOADERS[loader](folder) is None and loader in MADE_ANEW:
                    refused += 1
            except DaliError as error:
                sentence = str(error)
                refused += 1
            except Exception as error:
                raise AssertionError(f"mutation {number}: {loader} of {name} ({how}) raised {error!r}") from error
            assert sentence is None or (len(sentence) <= 2000 and "\x1b" not in sentence)
            took = time.process_time() - began
            assert took < SECONDS, f"{number}: {loader} of {name} ({how})"
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            assert grown < MEGABYTES, f"{number}: {loader} of {name} ({how}) took {grown:.0f} MB"
            loaded, longest, most = loaded + (sentence is None), max(longest, took), max(most, grown)
        if (number + 1) % 500 == 0:
            print(f"{number + 1} mutations: {loaded} loadings read, {refused} refused, {longest:.2f} s, {most:.0f} MB")
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        path.unlink(missing_ok=True)
        shutil.copy(whole / name, path)
    assert refused > MUTATIONS // 3  # else the mutations damage nothing
    shutil.rmtree(folder / CACHE)
