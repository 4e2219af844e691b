"""Files from outside: read with limits, written whole or not at all, locked, and their text shown as text."""

import json
import multiprocessing
import os
import stat

import pytest

from dali.errors import CheckpointError, DaliError
from dali.files import lock
from dali.files.reading import parse_json, read_json
from dali.files.text import code_span, markdown, plain, without_images
from dali.files.writing import write_atomic, write_bytes, write_text
from dali.runs.folder import CONFIG, METRICS
from dali.runs.metrics import last_row, read_log
from dali.runs.run import open_runs


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 50 + "1" + "}" * 50, "1" * 5000, '{"seed": ' + "9" * 100 + "}", "{", "", '{"a": 1'],
    ids=["brackets", "deep", "digits", "seed", "open", "empty", "cut"],
)
def test_json_outside_the_limits_is_one_sentence(text, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(CheckpointError) as caught:
        read_json(path)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


def test_a_random_generators_state_is_within_the_limits():
    assert parse_json(json.dumps({"state": 2**128 - 1}), "it") == {"state": 2**128 - 1}


def test_what_is_no_regular_file_is_not_read(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "loop", "pipe"):
        with pytest.raises(CheckpointError, match=r"is not a regular file|cannot be read"):
            read_json(tmp_path / name)


def damaged_folders(root, good):
    """Each fault of a folder that once took down every page."""
    import shutil

    for name in ("brackets", "list", "digits", "loop", "folder"):
        shutil.copytree(good, root / name)
    config = json.loads((good / CONFIG).read_text())
    (root / "brackets" / CONFIG).write_text("[" * 100_000)
    (root / "list" / CONFIG).write_text(json.dumps(config | {"preset": []}))
    (root / "digits" / CONFIG).write_text(json.dumps(config).replace('"seed": 0', '"seed": ' + "1" * 5000))
    (root / "loop" / CONFIG).unlink()
    (root / "loop" / CONFIG).symlink_to(CONFIG)
    (root / "folder" / CONFIG).unlink()
    (root / "folder" / CONFIG).mkdir()
    (root / "a file").write_text("no folder")
    shutil.copytree(good, root / "good")


def test_one_bad_folder_is_named_and_the_rest_goes_on(make_run, tmp_path):
    damaged_folders(tmp_path, make_run())
    runs, unreadable = open_runs(tmp_path)
    assert [run.name for run in runs] == ["good"]
    assert {item.folder.name for item in unreadable} == {"brackets", "list", "digits", "loop", "folder"}
    assert all(len(item.reason) < 500 for item in unreadable)
    from dali.studio.loaders import list_checkpoints

    runs, unreadable = list_checkpoints(tmp_path)
    assert ([run.name for run in runs], len(unreadable)) == (["good"], 5)


def test_a_bad_line_of_a_log_is_named_and_a_cut_one_dropped(tmp_path):
    good = [json.dumps({"env_steps": i, "update": i}) for i in (1, 2, 3)]
    bad = ["[" * 50_000, '{"env_steps": "x", "update": 1}', '{"update": 1}', "[1]", "\udcff"]
    text = "\n".join([good[0], *bad, good[1], good[2], '{"env_st'])
    (tmp_path / METRICS).write_bytes(text.encode("utf-8", "surrogateescape"))
    rows, problems = read_log(tmp_path)
    assert [row["update"] for row in rows] == [1, 2, 3]
    assert len(problems) == len(bad)
    assert all(f"line {number}" in problem for number, problem in enumerate(problems, 2))
    assert last_row(tmp_path) == {"env_steps": 3, "update": 3}
    (tmp_path / METRICS).unlink()
    assert read_log(tmp_path) == ([], [])
    assert last_row(tmp_path) is None


def test_only_regular_files_are_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to("target")
    os.mkfifo(tmp_path / "pipe")
    for name, kind in {"folder": "a folder", "link": "a link", "pipe": "no regular file"}.items():
        with pytest.raises(CheckpointError, match=f"it is {kind}"):
            write_text(tmp_path / name, "x")
    assert (tmp_path / "target").read_text() == "kept"
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    with pytest.raises(CheckpointError, match="no regular file"):
        write_text(tmp_path.__class__("/dev/null"), "x")
    with pytest.raises(CheckpointError, match="there is no folder"):
        write_bytes(tmp_path / "absent" / "film.mp4", b"x", make_parents=False)
    assert not (tmp_path / "absent").exists()


def test_a_failed_write_keeps_what_was_there_and_tells_the_first_error(tmp_path):
    path = tmp_path / "file"
    write_text(path, "before")

    def fail(temporary):
        temporary.unlink()
        temporary.mkdir()  # what makes the clean-up fail as well
        raise OSError(28, "No space left on device")

    with pytest.raises(CheckpointError, match=r"no space left on the disk.*still stands"):
        write_atomic(path, fail)
    assert path.read_text() == "before"


def test_permissions_follow_the_umask(tmp_path):
    def write_privately(temporary):
        temporary.chmod(0o600)

    before = os.umask(0o022)
    try:
        write_atomic(tmp_path / "weights", write_privately)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "weights").stat().st_mode) == 0o644


def _hold(path, ready, end):
    with lock.hold(path):
        ready.set()
        end.wait(60)


def test_a_lock_keeps_others_out_and_a_dead_process_frees_it(tmp_path):
    path, context = tmp_path / "cache" / "train.lock", multiprocessing.get_context("spawn")
    ready, end = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(path, ready, end))
    process.start()
    try:
        assert ready.wait(60)
        assert lock.is_held(path)
        with pytest.raises(lock.Busy, match=f"Process {process.pid} "), lock.hold(path):
            pass
    finally:
        process.kill()
        process.join()
    assert not lock.is_held(path)
    with lock.hold(path):
        assert lock.holder(path) == os.getpid()


def test_text_from_files_is_shown_as_text():
    assert "\\[x\\]" in markdown("![x](http://host/a.png)")
    assert markdown("$a$ <b> `c` *d*") == "\\$a\\$ \\<b> \\`c\\` \\*d\\*"
    assert plain("a\x1b[2Jb\u202ec") == "a\\x1b[2Jb\\u202ec"
    assert code_span("a `b` \n c") == "``a `b`   c``"
    assert without_images("![x](http://host/a.png) and [y](b)") == "\\![x](http://host/a.png) and [y](b)"


def test_an_error_that_quotes_a_file_is_short():
    assert len(str(DaliError("x" * 31_000))) <= 2000
