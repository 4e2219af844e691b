"""View and map settings live in the URL: it opens them elsewhere, Back undoes a step, another page loses nothing."""

import pytest
from streamlit.testing.v1 import AppTest

from dali.runs.run import open_run
from dali.studio import address
from dali.studio.latent.path import path_key


@pytest.fixture
def open_app(offer_run, repo):
    """``open_app(page, **url)``: app.py at one of its pages, with a URL."""

    def open_app(page="latent_space", **url):
        offer_run()
        app = AppTest.from_file(repo / "app.py", default_timeout=120)
        app.switch_page(f"pages/{page}.py")
        for name, value in url.items():
            app.query_params[name] = value
        return run(app)

    return open_app


def run(app):
    app.run()
    assert not app.exception
    return app


def url_of(app):
    return {name: v if isinstance(v, str) else v[-1] for name, v in app.query_params.items()}


def texts(elements):
    return " ".join(e.value for e in elements)


def view_of(app, key="latent_view"):
    return app.segmented_control(key=key).value


def test_a_default_page_has_a_bare_url(open_app):
    app = open_app()
    assert url_of(app) == {"run": "run"}
    assert view_of(app) == "Map"


def test_the_url_opens_the_map_as_it_was(open_app):
    url = {"points": "means", "colour": "regime", "dims": "3", "drawn": "5000"}
    app = open_app(**url)
    assert url_of(app) == {"run": "run", **url}
    assert app.selectbox(key="map_points").value == "episode means"
    assert app.selectbox(key="map_colour:pendulum").value == "regime"
    assert app.selectbox(key="map_dimensions").value == 3
    assert not app.warning
    app.selectbox(key="map_colour:pendulum").set_value("l")
    assert url_of(run(app))["colour"] == "l"


def test_a_view_is_opened_by_the_url_and_back_undoes_it(open_app):
    app = open_app(view="Probes")
    assert view_of(app) == "Probes"
    app.segmented_control(key="latent_view").set_value("One episode")
    assert url_of(run(app))["view"] == "One episode"
    app.query_params["view"] = "Probes"  # as the browser's Back does
    assert view_of(run(app)) == "Probes"
    del app.query_params["view"]
    assert view_of(run(app)) == "Map"


def test_a_widget_that_moves_before_the_browser_has_the_last_moves_url_is_not_set_back(open_app):
    app = open_app(view="Probes")
    app.segmented_control(key="latent_view").set_value("One episode")
    run(app)
    app.query_params["view"] = "Probes"  # what a busy browser still sends along with the next move
    app.segmented_control(key="latent_view").set_value("Map")
    assert view_of(run(app)) == "Map"
    assert "view" not in url_of(app)


def test_a_path_that_goes_on_before_the_browser_has_its_url_keeps_its_points(open_app, tmp_path):
    app = open_app(path="3-60.7-150", dream="2-30-5")
    key = path_key(open_run(tmp_path / "runs" / "run"))
    path = app.session_state[key].then(5, 20)
    app.session_state[key] = path  # as a click on the map does
    app.number_input(key="path_t").set_value(31)
    run(app)
    app.query_params["path"], app.query_params["dream"] = "3-60.7-150", "2-30-5"
    app.session_state[key] = path.then(6, 40)
    app.number_input(key="path_t").set_value(32)
    run(app)
    assert url_of(app)["path"] == "3-60.7-150.5-20.6-40"
    assert url_of(app)["dream"] == "2-32-5"


def test_what_was_looked_at_outlives_another_page(open_app):
    app = open_app(view="Probes")
    app.switch_page("pages/overview.py")
    app.query_params.clear()
    run(app)
    app.switch_page("pages/latent_space.py")
    app.query_params.clear()
    run(app)
    assert view_of(app) == "Probes"
    assert url_of(app) == {"run": "run", "view": "Probes"}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ({"view": "**Moon**"}, "expected one of Map, One episode, Dreams, Probes, Dimensions"),
        ({"dims": "4"}, "expected one of 2, 3"),
        ({"colour": "taste"}, "expected one of g, l, regime"),
    ],
)
def test_what_of_a_url_is_not_followed_is_said(open_app, url, said):
    app = open_app(**url)
    assert said in texts(app.warning)
    assert url_of(app) == {"run": "run"}


def test_back_to_before_a_path_ends_it(open_app):
    app = open_app(path="3-60.7-150", dream="2-30-5")
    assert "Dreams along the path" in texts(app.subheader)
    del app.query_params["path"]
    run(app)
    assert "Dreams along the path" not in texts(app.subheader)
    assert "path" not in url_of(app)


def test_generalisation_keeps_its_view_too(open_app):
    app = open_app("generalization", view="Paper")
    assert view_of(app, "generalization_view") == "Paper"
    assert "Reported by the paper" in texts(app.warning)


def test_what_is_still_sent_of_a_widget_that_another_one_changed_is_not_taken(monkeypatch):
    monkeypatch.setattr(address.st, "session_state", session := {})
    taken = []
    first = address.follower("entry", 8.0, taken.append)
    assert address.follower("entry", 8.0, taken.append)["key"] == first["key"]
    second = address.follower("entry", 9.9, taken.append)  # a slider moved
    session[first["key"]] = 8.0
    first["on_change"]()
    assert not taken
    session[second["key"]] = 10.0
    second["on_change"]()
    assert taken == [10.0]
    assert address.follower("entry", 10.0, taken.append)["key"] == second["key"]  # and so the focus
