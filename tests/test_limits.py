"""Sizes are looked at before anything is read, inflated or kept, and a lack of memory is one sentence."""

import os
import zipfile

import pytest

from dali import __main__ as command
from dali.errors import CheckpointError
from dali.files import arrays
from dali.files.reading import read_json
from dali.runs import cache
from dali.runs.folder import CARD, METRICS
from dali.runs.metrics import read_log
from dali.runs.run import Run

MB = 2**20


def test_large_files_are_not_read(tmp_path):
    for name, size, read in (("a.json", 17 * MB, read_json), (METRICS, 65 * MB, lambda path: read_log(path.parent))):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, size)  # a hole: it takes no room
        with pytest.raises(CheckpointError, match=f"{name} has {size:,} bytes; expected at most"):
            read(tmp_path / name)


def test_arrays_that_inflate_to_more_than_128_mb_are_not_inflated(tmp_path, monkeypatch):
    path = tmp_path / "latents.npz"
    archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with archive, archive.open("obs.npy", "w") as member:
        for _ in range(129):
            member.write(bytes(MB))
    assert path.stat().st_size < MB
    monkeypatch.setattr(arrays, "_read_array", lambda *_: pytest.fail("it was inflated"))
    with pytest.raises(CheckpointError, match=f"holds {129 * MB:,} bytes; expected at most {128 * MB:,}"):
        arrays.read_arrays(path, ["obs"])


def test_the_oldest_maps_of_a_cache_go(tmp_path, monkeypatch):
    assert cache.MAX_CACHE == 64 * MB
    monkeypatch.setattr(cache, "MAX_CACHE", 3000)
    for age, name in enumerate(("newest", "new", "old", "oldest")):
        path = tmp_path / f"map-{name}.npz"
        path.write_bytes(bytes(1200))
        os.utime(path, (1e9 - age, 1e9 - age))
    (tmp_path / "map-gone.npz").symlink_to("deleted meanwhile")
    cache._trim(tmp_path / "map-newest.npz")
    assert {path.name for path in tmp_path.iterdir() if path.exists()} == {"map-newest.npz", "map-new.npz"}
    cache._trim(tmp_path / "map-old.npz")  # which another process has deleted since


def test_a_card_that_is_a_link_is_not_followed(make_run, tmp_path):
    (tmp_path / "secret").write_text("of whoever serves it")
    run = tmp_path / "run"
    run.mkdir()
    (run / CARD).symlink_to(tmp_path / "secret")
    with pytest.raises(CheckpointError, match="is a link"):
        Run(run).card()


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes")]
)
def test_a_lack_of_memory_is_one_sentence(error, monkeypatch, capsys):
    def fail():
        raise error

    monkeypatch.setattr(command, "app", fail)
    with pytest.raises(SystemExit) as ended:
        command.run()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "error: There is not enough memory for this.\n"


def test_another_error_is_not_taken_for_one_of_memory(monkeypatch):
    def fail():
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(command, "app", fail)
    with pytest.raises(RuntimeError, match="shapes differ"):
        command.run()
