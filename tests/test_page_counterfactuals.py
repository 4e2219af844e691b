"""The counterfactuals page without a browser: its widgets, its URL, what it says of each kind of method."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from streamlit.runtime.caching import clear_session_resource_cache
from streamlit.testing.v1 import AppTest

from dali.dreams.request import Request
from dali.envs import catalogue
from dali.jobs import Status, write_status
from dali.runs.film_source import open_film_source
from dali.studio import jobs
from dali.studio.film import ahead as film_ahead
from dali.studio.film import state as film_state
from dali.studio.film import view as film_view
from dali.studio.film.controls import _train_range_bar
from dali.studio.film.defaults import default_request
from dali.studio.film.sweep import FOLDER
from dali.studio.film.url import PageState, from_url, to_url

SECONDS = 60


@pytest.fixture
def open_page(offer_run, repo):
    """``open_page(method, **url)``: the page on one run, run once."""

    def open_page(method="dali_d_chi", env="pendulum", **url):
        offer_run(env, method)
        page = AppTest.from_file(str(repo / "pages" / "counterfactuals.py"), default_timeout=SECONDS)
        page.session_state["app"] = True
        for name, value in ({"h": "5", **url} if url != {"run": "run"} else url).items():
            page.query_params[name] = value
        page.run()
        assert not page.exception
        return page

    return open_page


def url_of(page):
    return {name: v if isinstance(v, str) else v[-1] for name, v in page.query_params.items()}


def texts(elements):
    return " ".join(e.value for e in elements)


def entry(page, name):
    """The number entry of a slider now: another one after each move of the slider."""
    return next(e for e in page.number_input if e.key.split(":")[0] == name)


def chips(page, name):
    return next(e for e in page.button_group if (e.key or "").split(":")[0] == name)


def unescaped(markdown):
    """Text as a person reads it."""
    return re.sub(r"\\(?=[!-/:-@\[-`{-~])", "", markdown)


def test_where_the_first_film_will_be_it_is_said_that_it_is_made(open_page, monkeypatch):
    waits, spinner = [], film_view.st.spinner
    monkeypatch.setattr(film_view.st, "spinner", lambda text, **options: (waits.append(text), spinner(text))[1])
    page = open_page()
    assert waits.count("Dreaming …") == 1
    page.slider(key="film_g").set_value(5.0).run()
    assert waits.count("Dreaming …") == 1  # the film that is shown stays until the next one


def test_the_url_holds_the_page_and_opens_it_again(open_page):
    page = open_page(episode="2", t="30", g="4.9", z3="1.5", actions="policy", latents="4")
    page.slider(key="film_l").set_value(1.25)
    page.slider(key="film_z0").set_value(-2.0)
    page.selectbox(key="film_sweep_axis").set_value("l")
    page.run()
    url = url_of(page)
    assert url == {
        "run": "run", "episode": "2", "t": "30", "h": "5", "actions": "policy", "latents": "4", "g": "4.9", "l": "1.25",
        "z0": "-2", "z3": "1.5", "dims": "0,1,2", "sweep": "l:7:0.1:2",
    }  # fmt: skip
    again = open_page(**url)
    assert url_of(again) == url
    assert [m.value for m in again.metric] == [m.value for m in page.metric]
    assert again.slider(key="film_l").value == 1.25


def test_a_slider_that_moves_on_before_the_browser_has_the_last_moves_url_is_not_set_back(open_page):
    page = open_page(episode="2", t="30", g="8")
    before = url_of(page)
    page.slider(key="film_g").set_value(9.0).run()
    page.query_params.clear()
    for name, value in before.items():  # what a busy browser still sends along with the next move
        page.query_params[name] = value
    page.slider(key="film_g").set_value(10.0).run()
    assert page.slider(key="film_g").value == 10.0
    assert url_of(page)["g"] == "10.0"


def test_the_next_film_of_a_slider_that_goes_step_by_step_is_made_before_it_is_asked_for(open_page, monkeypatch):
    made, encoded, make, encode = [], [], film_view.make_film, film_ahead.start_encoding

    def make_film(source, request, factual):
        made.append(dict(request.physics).get("g"))
        return make(source, request, factual)

    monkeypatch.setattr(film_view, "make_film", make_film)
    monkeypatch.setattr(film_ahead, "start_encoding", lambda pane: (encoded.append(pane.digest), encode(pane)))
    page = open_page(episode="2", t="30", g="12")
    assert (made, encoded) == ([12.0], [])
    page.slider(key="film_g").set_value(12.1).run()
    assert made == [12.0, 12.1, 12.2]
    assert len({*encoded}) == 4
    page.slider(key="film_g").set_value(12.2).run()
    assert made == [12.0, 12.1, 12.2, 12.3]
    page.slider(key="film_g").set_value(5.0).run()
    assert made == [12.0, 12.1, 12.2, 12.3, 5.0]


def test_a_film_of_another_environment_before_this_one_tells_nothing_of_the_next(open_page):
    page = open_page(episode="2", t="30", g="12")
    page.session_state[film_ahead.SHOWN] = "ball_in_cup", Request(2, 30, 5, physics=(("gravity", 11.9),))
    page.run()
    assert not page.exception
    assert not page.error
    assert page.session_state[film_ahead.SHOWN] == ("pendulum", Request(2, 30, 5, physics=(("g", 12.0),)))


def test_a_url_that_asks_for_nothing_changes_nothing(open_page):
    page = open_page()
    assert page.metric[0].value == page.metric[1].value
    assert page.metric[2].value == "–"  # no physics is asked for, so there is no skill
    assert not {"g", "l", "z0"} & set(url_of(page))
    assert not page.warning


def test_it_opens_with_a_counterfactual_of_held_out_physics_that_is_far_away(open_page, make_run):
    page = open_page(run="run")
    assert url_of(page) == {"run": "run"}  # a default is not written out
    assert not page.warning
    episodes = open_film_source(make_run()).episodes
    episode = page.selectbox(key="film_episode").value
    assert episodes.regime[episode] == "interpolation"
    assert episodes.explored[episode]
    assert page.slider(key="film_g").value == 6.0
    assert abs(episodes.context[episode, 0] - 6.0) > 2.5
    assert "Asked for 6.00 m/s², the dream follows" in texts(page.markdown)


@pytest.mark.parametrize(("env", "observation"), [("ball_in_cup", "vector"), ("pendulum", "pixels")])
def test_every_kind_of_run_opens_with_physics_that_were_held_out(make_run, env, observation):
    source = open_film_source(make_run(env, observation=observation))
    request = default_request(source)
    episodes, spec = source.episodes, source.agent.spec
    assert episodes.regime[request.episode] == "interpolation"
    assert episodes.explored[request.episode]
    ((name, value),) = request.physics
    feature = spec.feature(name)
    assert feature.inside(value)
    assert abs(episodes.context[request.episode, spec.feature_index(name)] - value) > feature.train[1] * 0.1


def test_the_film_outlives_another_page_and_another_checkpoint(make_run, tmp_path, monkeypatch, repo):
    for name, env in (("run", "pendulum"), ("ball", "ball_in_cup")):
        shutil.copytree(make_run(env), tmp_path / "runs" / name)
    monkeypatch.setenv("DALI_CHECKPOINTS", str(tmp_path / "runs"))
    app = AppTest.from_file(str(repo / "app.py"), default_timeout=SECONDS)
    app.query_params["run"] = "run"
    app.run().switch_page("pages/counterfactuals.py").run()
    entry(app, "film_g_entry").set_value(4.9).run()
    app.slider(key="film_z3").set_value(1.5).run()
    asked = url_of(app)
    app.switch_page("pages/overview.py").run()
    for name in list(app.query_params):  # as the navigation opens a page
        del app.query_params[name]
    app.switch_page("pages/counterfactuals.py").run()
    assert not app.exception
    assert url_of(app) == asked
    assert app.slider(key="film_g").value == 4.9
    app.selectbox(key="run_picker").set_value("ball").run()
    app.selectbox(key="run_picker").set_value("run").run()
    assert url_of(app) == asked
    assert not app.warning


def test_an_earlier_url_brings_the_earlier_film_back(open_page):
    page = open_page(g="8.0")
    before = url_of(page)
    page.slider(key="film_g").set_value(12.0).run()
    for name, value in before.items():  # as the browser's Back does
        page.query_params[name] = value
    page.run()
    assert page.slider(key="film_g").value == 8.0
    assert url_of(page) == before


@pytest.mark.parametrize(
    ("key", "typed", "shown", "said"),
    [
        ("film_g_entry", 99.0, 20.0, "Gravity 99.00 m/s² is out of range, which is 1 to 20.00 m/s²"),
        ("film_z3_entry", -7.0, -3.0, "A change of z3 by -7 σ is out of range"),
        ("film_t", 500, 199, "The start is 199 now: episode 1 has 200 steps"),
        ("film_h", 5000, 140, "The horizon is 140 now: at most 140 can be dreamed from step 60"),
        ("film_sweep_count", 1000, 41, "The sweep's number of values is"),
    ],
)
def test_a_number_out_of_range_is_put_right_in_words(open_page, key, typed, shown, said):
    page = open_page(episode="1", t="60")
    entry(page, key).set_value(typed).run()
    if key != "film_sweep_count":
        assert entry(page, key).value == shown
    assert said in unescaped(page.warning[0].value)
    page.slider(key="film_l").set_value(1.0).run()
    assert not page.warning  # it is said once


def test_chips_name_multiples_of_the_episode_s_physics_and_the_planets(open_page, make_run):
    own = open_film_source(make_run()).episodes.context[1]
    page = open_page(episode="1")
    gravity, length = chips(page, "film_g_chip"), chips(page, "film_l_chip")
    assert gravity.options == ["½×", "1×", "2×", "Moon", "Mars", "Earth", "Jupiter"]
    assert length.options == ["½×", "1×", "2×"]
    chips(page, "film_g_chip").set_value("Moon").run()
    assert page.slider(key="film_g").value == pytest.approx(1.62)
    chips(page, "film_l_chip").set_value("½×").run()
    assert page.slider(key="film_l").value == pytest.approx(own[1] / 2)
    chips(page, "film_g_chip").set_value("Jupiter").run()
    assert page.slider(key="film_g").value == 20.0
    assert "Gravity 24.79 m/s² is out of range" in unescaped(page.warning[0].value)
    chips(page, "film_g_chip").set_value("1×").run()
    assert "g" not in url_of(page)


def test_the_strip_under_a_slider_leaves_the_gap_out():
    strip = _train_range_bar(catalogue.spec("pendulum_inverted_motor").features[0], 1.0)
    assert "Train range -1.50× to -0.50× and 0.50× to 1.50×" in strip
    assert strip.count("#0072B2") == 2
    whole = _train_range_bar(catalogue.spec("pendulum").features[0], 9.0)
    assert whole.count("#0072B2") == 1
    assert "Train range 5.00 m/s² to 15.00 m/s²" in whole


def test_too_small_a_change_is_not_judged(open_page, make_run):
    own = open_film_source(make_run()).episodes.context[1, 0]
    page = open_page(episode="1", t="60", h="50", g=f"{own + 0.1:.1f}")
    assert "too small a change to judge" in texts(page.markdown)
    assert page.metric[2].value == "–"


def test_entries_and_sliders_follow_each_other(open_page):
    page = open_page()
    entry(page, "film_g_entry").set_value(12.3).run()
    assert page.slider(key="film_g").value == 12.3
    page.slider(key="film_g").set_value(7.0).run()
    assert entry(page, "film_g_entry").value == 7.0
    assert url_of(page)["g"] == "7.0"


def test_reset_puts_every_slider_to_rest(open_page):
    page = open_page(g="4.9", z3="1.5")
    next(b for b in page.button if b.label == "Reset sliders").click().run()
    assert not {"g", "l", "z3"} & set(url_of(page))
    assert page.slider(key="film_z3").value == 0.0


def test_another_episode_takes_its_own_physics_and_keeps_what_was_asked(open_page, make_run):
    episodes = open_film_source(make_run()).episodes
    page = open_page(episode="0", g="4.9")
    page.selectbox(key="film_episode").set_value(5).run()
    assert not page.exception
    assert page.slider(key="film_l").value == pytest.approx(episodes.context[5, 1], abs=0.01)
    url = url_of(page)
    assert url["episode"] == "5"
    assert url["g"] == "4.9"
    assert "l" not in url


def test_a_horizon_that_no_longer_fits_is_shortened(open_page):
    page = open_page(t="60", h="100")
    page.number_input(key="film_t").set_value(190).run()
    assert not page.exception
    assert page.number_input(key="film_h").value == 10


def test_a_pin_lives_in_the_url(open_page):
    page = open_page(g="4.9")
    next(b for b in page.button if b.label == "Pin this dream").click().run()
    assert '"physics":{"g":4.9}' in url_of(page)["pin"]
    page.slider(key="film_g").set_value(12.0).run()
    told = next(c.value for c in page.caption if "Pinned" in c.value)
    assert "gravity 4.90 m/s²" in told
    assert "effective gravity" in told
    again = open_page(**url_of(page))
    next(b for b in again.button if b.label == "Unpin").click().run()
    assert "pin" not in url_of(again)


def test_another_run_takes_over_the_request_where_it_can(open_page, make_run, tmp_path):
    for name, env, method in (
        ("run", "pendulum", "dali_d_chi"),
        ("same", "pendulum", "dali_s"),
        ("ball", "ball_in_cup", "dali_d_chi"),
    ):
        shutil.copytree(make_run(env, method), tmp_path / "runs" / name)
    page = open_page(run="run", g="4.9", t="30")
    page.selectbox(key="run_picker").set_value("same").run()
    assert url_of(page) | {"run": "same", "g": "4.9", "t": "30"} == url_of(page)
    next(b for b in page.button if b.label == "Pin this dream").click().run()
    page.selectbox(key="run_picker").set_value("ball").run()
    assert not page.exception
    assert not page.warning
    assert url_of(page)["run"] == "ball"
    assert not {"g", "pin"} & set(url_of(page))


@pytest.fixture
def two_agents(make_run, tmp_path):
    """Folders of runs: three of the pendulum, one of them of pixels, and one of another environment."""
    for name, env, method, observation in (
        ("run", "pendulum", "dali_d_chi", "vector"),
        ("given", "pendulum", "crssm_d", "vector"),
        ("pixels", "pendulum", "dali_d_chi", "pixels"),
        ("ball", "ball_in_cup", "dali_d_chi", "vector"),
    ):
        shutil.copytree(make_run(env, method, observation), tmp_path / "runs" / name)


def test_a_second_agent_dreams_beside_the_first_and_lives_in_the_url(open_page, two_agents):
    page = open_page(run="run", g="4.9", t="30", h="5")
    box = page.selectbox(key="film_second")
    assert box.options == ["given"]  # of the same environment, and of the same observations
    box.set_value("given").run()
    assert not page.exception
    assert url_of(page)["second"] == "given"
    table = next(m.value for m in page.markdown if m.value.startswith("| agent |"))
    assert "| agent | run | given |" in table
    assert "| skill over all, gravity | – | – |" in table  # neither was analysed
    again = open_page(**url_of(page))
    assert next(m.value for m in again.markdown if m.value.startswith("| agent |")) == table
    assert "--second" in again.code[0].value
    # The picker makes the second agent the first, and they change places.
    again.selectbox(key="run_picker").set_value("given").run()
    assert not again.warning
    assert (url_of(again)["run"], url_of(again)["second"], url_of(again)["g"]) == ("given", "run", "4.9")


@pytest.mark.parametrize("second", ["run", "ball", "pixels", "nothing"])
def test_a_second_agent_that_cannot_dream_the_film_is_said(open_page, two_agents, second):
    page = open_page(run="run", g="4.9", second=second)
    assert f"second={second} of the URL was not followed" in unescaped(page.warning[0].value)
    assert not any(m.value.startswith("| agent |") for m in page.markdown)


def test_the_command_asks_for_the_look_that_was_chosen(open_page):
    page = open_page(g="4.9")
    assert "--height" not in page.code[0].value
    page.button_group(key="film_height").set_value(720)
    page.selectbox(key="film_speed").set_value(0.5)
    page.toggle(key="film_clock").set_value(True).run()
    assert not page.exception
    assert " --height 720 --speed 0.5 --clock " in page.code[0].value


def test_codes_of_other_weights_are_told(open_page, make_run, tmp_path):
    shutil.copytree(make_run(), tmp_path / "runs" / "run")
    path = tmp_path / "runs" / "run" / "analysis.json"
    summary = {"contexts": {"interpolation": 10}, "seed": 0}
    names = ("r2_inside", "r2_outside", "r2_control", "mae_inside", "skill_25", "skill_50", "control_25")
    figures = dict.fromkeys((*names, "slope", "r2", "mae", "selectivity"))
    summary |= {part: {"g": figures, "l": figures} for part in ("probe", "steering", "effective")}
    path.write_text(json.dumps({"weights": "of long ago", "summary": summary}), encoding="utf-8")
    assert "python -m dali analyse" in open_page().warning[0].value


def test_badges_say_what_to_distrust(open_page):
    page = open_page(g="20")
    assert "gravity is 5.00 m/s² outside the train range 5 to 15 m/s²" in texts(page.markdown)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"episode": "999"}, "episode=999 of the URL was not followed: there are episodes 0 to"),
        ({"g": "much"}, "g=much of the URL was not followed: expected a number"),
        ({"g": "99"}, "it reaches from 1 to 20 m/s²; it is 20 m/s² now"),
        ({"pin": "{}"}, "The pinned dream of the URL was ignored"),
        ({"pin": "g"}, "The pinned dream of the URL was ignored"),
        ({"dims": "9"}, "dims=9 of the URL was not followed: expected some of 0, 1, 2"),
        ({"t": "-3"}, "it is 0 now"),
        ({"h": "900"}, "steps follow; it is"),
        ({"latents": "max"}, "expected mean, mode, or a seed"),
        ({"actions": "jump"}, "expected one of recorded, zero, policy"),
        ({"gravity": "4.9"}, "Pendulum has nothing of that name"),
        ({"z12": "1"}, "Pendulum has nothing of that name"),
        ({"sweep": "x:7:1:2"}, "sweep=x:7:1:2 of the URL was not followed"),
        ({"sweep": "g:99:1:20"}, "sweep=g:99:1:20 of the URL was not followed"),
        ({"sweep": "g"}, "expected one such as g:7:5:15"),
        ({"sweep": "g:7:12:4"}, "sweep=g:7:12:4 of the URL was not followed"),
    ],
)
def test_what_of_a_url_is_not_followed_is_said_and_the_rest_is(open_page, bad, said):
    page = open_page(**{"l": "1.25", **bad})
    assert len(page.warning) == 1
    assert said in unescaped(page.warning[0].value)
    assert page.slider(key="film_l").value == 1.25
    assert len(page.metric) == 5


def test_a_url_cannot_format_the_page(open_page):
    page = open_page(actions="**bold** [link](http://example.com) $x$")
    assert "\\*\\*bold\\*\\*" in page.warning[0].value
    assert "](" not in page.warning[0].value


@pytest.mark.parametrize(
    ("method", "sentence", "sliders"),
    [
        ("dali_s", "shallow: z' acts while the steps before the start are observed again", 10),
        ("crssm_d", "told the true physics", 2),
        ("dreamer_dr", "no context: sliders change the real run alone", 2),
    ],
)
def test_every_kind_of_method_has_its_page(open_page, method, sentence, sliders):
    page = open_page(method, g="15")
    assert sentence in texts(page.markdown)
    assert len(page.slider) == sliders
    if method == "dreamer_dr":
        assert page.metric[2].value == "–"


def test_without_checkpoints_it_says_how_to_train_one(open_page, tmp_path):
    (tmp_path / "runs").mkdir()
    assert "No checkpoint" in open_page().info[0].value


def test_state_and_url_are_the_same_thing(make_run):
    source = open_film_source(make_run())
    request = Request(2, 30, 5, (("g", 4.9),), ((3, -0.5),), "zero", 9)
    state = PageState(request, ("ghost",), (0, 2), replace(request, latents="mode"), ("z3", 9, -1.0, 2.0), "other")
    assert from_url(to_url(state), source, ["other"]) == (state, [])
    assert film_state.fitted(replace(request, t=190), replace(request, horizon=50), source).horizon == 50
    assert film_state.fitted(replace(request, t=190, actions="recorded"), replace(request, horizon=50), source) is None


def test_steps_of_physics_sliders(make_run):
    features = open_film_source(make_run()).agent.spec.features
    assert [film_state.step_of(f) for f in features] == pytest.approx([0.1, 0.01])


def test_a_sweep_goes_with_the_session_that_asked_for_it(open_page, monkeypatch):
    """Its process ends and its files go, as soon as Streamlit drops the session."""

    def launch(arguments, status):
        write_status(status, Status("running", text="starting"))
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)

    monkeypatch.setattr(jobs, "_launch", launch)
    page = open_page()
    next(b for b in page.button if b.label == "Render sweep").click().run()
    status = page.session_state[FOLDER] / "status.json"
    process = jobs._processes[status]
    assert jobs.read(status).state == "running"
    clear_session_resource_cache("test session id")
    assert process.poll() is not None
    assert not status.parents[1].exists()
    assert not page.run().exception  # a session that was only cut off comes back
