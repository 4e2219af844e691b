"""The path on the map without a browser: its URL, its dreams, and how it is kept, exported and read back."""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dali.codes.paths import CodePath
from dali.codes.points import record_points
from dali.codes.selections import read_records
from dali.runs.artifacts import EPISODES_FILE, load_episodes
from dali.studio.latent import map as latent_map
from dali.studio.latent import path as paths
from dali.studio.loaders import list_checkpoints

PATH = "3-60.7-150.12-100"


@pytest.fixture
def open_page(offer_run, repo):
    """``open_page(method, **url)``: the map of one run."""

    def open_page(method="dali_d_chi", **url):
        offer_run("pendulum", method)
        page = AppTest.from_file(str(repo / "pages" / "latent_space.py"), default_timeout=120)
        page.session_state["app"] = True
        for name, value in url.items():
            page.query_params[name] = value
        return run(page)

    return open_page


def run(page):
    page.run()
    assert not page.exception
    assert not page.error
    return page


def url_of(page):
    return {name: v if isinstance(v, str) else v[-1] for name, v in page.query_params.items()}


def texts(elements):
    return " ".join(e.value for e in elements)


def films(page):
    return [e for e in page.get("bidi_component") if e.proto.component_name == "dali_looping_film"]


def test_a_path_of_the_url_is_dreamed_along_and_stays_in_it(open_page):
    page = open_page(path=PATH, dream="2-30-12")
    assert url_of(page) == {"run": "run", "path": PATH, "dream": "2-30-12"}
    assert "episode 3, step 60 → episode 7, step 150 → episode 12, step 100" in texts(page.markdown)
    assert "As the probe reads it, the code goes from gravity" in texts(page.markdown)
    assert [b.label for b in page.get("download_button")][:2] == ["mp4", "PNG strip"]
    page.number_input(key="path_h").set_value(20)
    assert url_of(run(page))["dream"] == "2-30-20"
    page.segmented_control(key="path_as:False").set_value("Dreams side by side")
    run(page)
    assert films(page)
    assert page.slider(key="path_count").value == 7


def test_points_are_taken_back_and_the_url_follows(open_page):
    page = open_page(path=PATH)
    for left in ("3-60.7-150", "3-60"):
        next(b for b in page.button if b.label == "Take back").click()
        assert url_of(run(page))["path"] == left
    assert "One point so far" in texts(page.caption)
    next(b for b in page.button if b.label == "Clear path").click()
    assert "path" not in url_of(run(page))
    assert "Path or Draw" in texts(page.info)


def test_the_urls_earlier_path_is_shown_again_as_back_asks(open_page):
    page = open_page(path=PATH)
    page.query_params["path"] = "3-60.7-150"
    run(page)
    assert "12" not in texts(page.markdown).split("episode 3, step 60")[1][:40]
    assert "→ episode 7, step 150" in texts(page.markdown)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ({"path": "3-60.99-9"}, "names record 9 of episode 99"),
        ({"path": "**3"}, "episode-step by episode-step"),
        ({"path": PATH, "dream": "x"}, "dream= was not followed"),
    ],
)
def test_what_of_a_url_is_no_path_is_said(open_page, url, said):
    assert said in texts(open_page(**url).warning)


def test_numbers_beyond_are_put_in_range_in_words(open_page):
    page = open_page(path=PATH, dream="2-150-900")
    assert url_of(page)["dream"] == "2-150-50"
    assert "the dream is of 50 steps from step 150 of episode 2" in texts(page.caption)
    assert url_of(open_page(path=PATH, dream="9999-9999-0"))["dream"] == "45-198-2"


def test_points_of_one_code_are_no_way(open_page):
    page = open_page(path="3-60.3-60")
    assert "same code" in texts(page.info)
    assert not films(page)


def test_a_shallow_method_dreams_side_by_side_alone(open_page):
    page = open_page("dali_s", path=PATH, dream="2-30-6")
    assert page.segmented_control(key="path_as:True").options == ["Dreams side by side"]
    assert films(page)


def test_a_path_is_kept_and_comes_back_also_from_a_file(open_page, tmp_path):
    page = open_page(path=PATH, dream="2-30-6")
    page.text_input(key="path_name").set_value("light to heavy")
    run(page)
    next(b for b in page.button if b.key == "path_keep").click()
    run(page)
    file = tmp_path / "runs" / "run" / "paths" / "light to heavy.parquet"
    assert read_records(file.read_bytes(), file.name) == [(3, 60), (7, 150), (12, 100)]
    next(b for b in page.button if b.label == "Clear path").click()
    run(page)
    next(b for b in page.button if b.key == "path_show").click()
    assert url_of(run(page))["path"] == PATH
    again = open_page()
    again.get("file_uploader")[1].upload("a.csv", b"episode,t\n3,60\n,\n7,150\n", "text/csv")
    assert url_of(run(again))["path"] == "3-60.7-150"


@pytest.mark.parametrize("mouse", [latent_map.PATH, latent_map.LINE, latent_map.CLICK, latent_map.LASSO])
def test_the_mouse_does_what_it_is_set_to(make_run, monkeypatch, mouse):
    kept: dict = {}
    for module in (paths.st, latent_map.st):
        monkeypatch.setattr(module, "session_state", kept)
    found = next(r for r in list_checkpoints(make_run().parent)[0] if r.folder == make_run())
    episodes = load_episodes(make_run() / EPISODES_FILE)
    points = record_points(episodes)
    clicks = {"points": [{"customdata": [3, 60, 9.8]}]}
    left, right = points.code[500, :2].tolist(), points.code[3000, :2].tolist()
    line = {"lasso": [{"xref": "x", "yref": "y", "x": [left[0], right[0], 0.0], "y": [left[1], right[1], 0.0]}]}
    for what in (clicks, line):
        latent_map._follow_selection(found, episodes, points, points.code, what, mouse)
    path = paths.get_path(found)
    if mouse == latent_map.PATH:
        assert path.records[0] == (3, 60)
    elif mouse == latent_map.LINE:
        assert path.is_whole
        assert f"selection:{found.folder}" not in kept
    else:
        assert path == CodePath()
        held = kept[f"selection:{found.folder}"]
        assert held is None or isinstance(held, np.ndarray)
