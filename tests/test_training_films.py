"""Films that a training leaves on its way: what they show, that they change nothing, and how they are read."""

import json
import shutil
import sys

import numpy as np
import pytest
import streamlit as st
import torch
from safetensors.torch import load_file
from streamlit.testing.v1 import AppTest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dali.config import make_config
from dali.envs import catalogue
from dali.envs.contexts import sample_contexts
from dali.errors import CheckpointError
from dali.files import writing
from dali.model.agent import Agent
from dali.runs import films
from dali.runs.checkpoint import compact_agent, leave_out_weights, load_agent
from dali.runs.films import EVERY, list_films, read_film, write_film
from dali.runs.folder import FILMS, METRICS, WEIGHTS
from dali.runs.metrics import read_log
from dali.train import film
from dali.train.film import HORIZON, SIZE, dream_beside_truth, encode, film_episode, make_films
from dali.train.log import FILM
from dali.train.trainer import Trainer
from dali.video import caption_height

FRAMES = HORIZON // EVERY + 1


def trainer(folder, count=3, **changes) -> Trainer:
    config = make_config("pendulum", "dali_d_chi", "tiny", 0, 280, threads=1, log_every=0, **changes)
    return Trainer(config, folder, films=make_films(count))


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filmed")
    assert trainer(folder).run()
    return folder


def agent_of(env="pendulum", method="dali_d_chi", **changes) -> Agent:
    torch.manual_seed(0)
    config = make_config(env, method, "tiny", 0, 600, **changes)
    return Agent(config, catalogue.spec(env)).requires_grad_(False).eval()


def same(a, b) -> bool:
    first, second = load_file(a / WEIGHTS), load_file(b / WEIGHTS)
    return first.keys() == second.keys() and all(first[k].equal(second[k]) for k in first)


def test_films_are_evenly_made_and_the_last_is_of_the_finished_agent(filmed):
    found = list_films(filmed)
    rows = {row["env_steps"]: row["update"] for row in read_log(filmed).rows}
    assert len(found) == 3
    assert found[-1].step == 280
    assert all(film.step in rows for film in found)
    frames = read_film(found[-1].path)
    assert frames.shape == (FRAMES, SIZE + caption_height(SIZE), 2 * SIZE + 8, 3)
    assert found[-1].path.read_bytes() == make_films(1).make(load_agent(filmed))


def test_the_agent_is_the_same_without_films(filmed, tmp_path):
    plain = trainer(tmp_path, 0)
    assert plain.films is None
    assert plain.run()
    assert not (tmp_path / FILMS).exists()
    assert same(filmed, tmp_path)


def test_making_a_film_moves_nothing_of_the_training(tmp_path):
    made = trainer(tmp_path)
    for _ in range(60):
        made._collect()
    made._update()
    before = made.rng.bit_generator.state, made.noise.get_state(), torch.get_rng_state(), np.random.get_state()[1].sum()
    weights = {name: value.clone() for name, value in made.agent.state_dict().items()}
    first = made.films.make(made.agent)
    assert first == made.films.make(made.agent)
    assert made.rng.bit_generator.state == before[0]
    assert torch.equal(made.noise.get_state(), before[1])
    assert torch.equal(torch.get_rng_state(), before[2])
    assert np.random.get_state()[1].sum() == before[3]
    assert all(torch.equal(value, weights[name]) for name, value in made.agent.state_dict().items())
    assert made.agent.training
    assert all(p.requires_grad for p in made.agent.behavior.actor.parameters())


def test_a_resumed_run_leaves_the_same_films(filmed, tmp_path):
    again = trainer(tmp_path)
    collect = again._collect

    def stop_on_the_way():
        collect()
        again.interrupted = again.env_steps >= 240

    again._collect = stop_on_the_way
    assert not again.run()
    write_film(tmp_path, 261, b"of a part that was lost")
    assert trainer(tmp_path).run(resume=True)
    assert same(filmed, tmp_path)
    a, b = ({f.step: f.path.read_bytes() for f in list_films(folder)} for folder in (filmed, tmp_path))
    assert a == b


@pytest.mark.parametrize("env", ["pendulum", "ball_in_cup", "cartpole"])
@pytest.mark.parametrize("method", ["dali_d_chi", "dali_s", "crssm_d", "dreamer_dr"])
def test_the_real_pane_is_the_episode_as_the_simulator_draws_it(env, method):
    agent = agent_of(env, method)
    episode = film_episode(agent)
    real, dream, physics, watched = dream_beside_truth(agent)
    length = int(episode.length[0])
    start = int(watched.split()[1]) - 1
    assert real.shape == dream.shape
    assert start + EVERY * (len(real) - 1) <= length
    simulator = catalogue.make(env, 1)
    seeds = np.random.default_rng(0).integers(0, 2**31, len(sample_contexts(agent.spec, 8, 0)[: film.EPISODES]))
    chosen = np.flatnonzero((sample_contexts(agent.spec, 8, 0) == episode.context[0]).all(1))[0]
    simulator.reset(seeds[chosen : chosen + 1], episode.context)
    for t in range(start):
        simulator.step(episode.action[:, t])
    for t in range(3):  # observations are kept in single precision, states are not
        drawn = simulator.draw(simulator.get_state()[0], episode.context[0], SIZE)
        assert np.abs(real[t].astype(int) - drawn).mean() < 0.1
        for step in range(EVERY):
            simulator.step(episode.action[:, start + EVERY * t + step])
    assert all(f.name in physics for f in agent.spec.features)
    pane = read_gif(encode(real, dream, physics, watched))[:, caption_height(SIZE) :, :SIZE]
    assert len(pane) == len(real)
    assert np.abs(pane[0].astype(int) - real[0]).mean() < 4  # of its few colours


def read_gif(gif: bytes) -> np.ndarray:
    from io import BytesIO

    from PIL import Image

    return np.concatenate(
        [
            np.repeat(np.asarray(image.convert("RGB"))[None], image.info["duration"] // 100, 0)
            for image in frames_of(Image.open(BytesIO(gif)))
        ]
    )


def frames_of(image):
    for number in range(image.n_frames):
        image.seek(number)
        yield image


def test_only_training_contexts_are_filmed():
    agent = agent_of()
    trained_on = sample_contexts(agent.spec, agent.config.train.contexts, agent.config.seed)
    assert (trained_on == film_episode(agent).context[0]).all(1).any()
    assert set(film_episode(agent).regime) == {"train"}


def test_an_agent_of_pixels_is_filmed_as_it_sees():
    agent = agent_of(observation="pixels", latents="draws", expectation=False, ensemble=0)
    real, dream, _, _ = dream_beside_truth(agent)
    assert real.shape == dream.shape == (FRAMES, SIZE, SIZE, 3)
    assert (real[:, ::2, ::2] == real[:, 1::2, 1::2]).all()  # 64 pixels a side, each as a block
    assert (dream[:, ::2, ::2] == dream[:, 1::2, 1::2]).all()


def test_tensorboard_shows_them_as_animated_pictures(filmed):
    board = EventAccumulator(str(filmed / "tensorboard"), {"images": 0}).Reload()
    shown = board.Images(FILM)
    assert [image.encoded_image_string for image in shown] == [f.path.read_bytes() for f in list_films(filmed)]
    assert {(image.height, image.width) for image in shown} == {read_film(list_films(filmed)[0].path).shape[1:3]}
    assert [image.step for image in shown] == sorted({image.step for image in shown})


def test_where_no_film_can_be_made_it_is_said_once_and_training_goes_on(filmed, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "dali.video", None)  # as where a package of it is not installed
    assert trainer(tmp_path).run()
    assert capsys.readouterr().err.count("goes on without films of its dreams") == 1
    assert not list_films(tmp_path)
    assert same(filmed, tmp_path)


def test_a_film_that_cannot_be_written_is_said_and_training_goes_on(filmed, tmp_path, monkeypatch, capsys):
    replace = writing.os.replace

    def full(source, target):
        if str(target).endswith(".gif"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(writing.os, "replace", full)
    assert trainer(tmp_path).run()
    assert capsys.readouterr().err.count("no space left on the disk") == 3
    assert not list(tmp_path.rglob("*.tmp"))
    assert same(filmed, tmp_path)


def test_films_take_a_bounded_room(tmp_path):
    for step in range(1, 8):
        write_film(tmp_path, step, bytes(200_000))
    assert [film.step for film in list_films(tmp_path)] == [6, 7]
    write_film(tmp_path, 8, bytes(10))
    write_film(tmp_path, 8, bytes(10))
    assert [film.step for film in list_films(tmp_path)] == [6, 7, 8]
    assert sum(film.path.stat().st_size for film in list_films(tmp_path)) <= films.KEPT_BYTES


@pytest.mark.parametrize("ship", [compact_agent, leave_out_weights])
def test_they_are_not_shipped(ship, filmed, tmp_path):
    folder = shutil.copytree(filmed, tmp_path / "run")
    ship(folder)
    assert not (folder / FILMS).exists()


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "folder", "large", "screen", "absent"])
def test_a_damaged_film_is_one_sentence(damage, filmed, tmp_path):
    whole, path = list_films(filmed)[0].path.read_bytes(), tmp_path / "step-1.gif"
    if damage == "folder":
        path.mkdir()
    elif damage != "absent":
        path.write_bytes(
            {
                "cut": whole[: len(whole) // 2],
                "text": b"GIF89a, not really",
                "empty": b"",
                "large": bytes(films.MAX_BYTES + 1),
                "screen": whole[:6] + b"\xff\xff\xff\xff" + whole[10:],
            }[damage]
        )
    with pytest.raises(CheckpointError) as raised:
        read_film(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_folder_of_films_that_is_none(tmp_path):
    assert list_films(tmp_path) == []
    (tmp_path / FILMS).write_text("")
    with pytest.raises(CheckpointError, match="cannot be read"):
        list_films(tmp_path)


@pytest.fixture
def open_page(filmed, tmp_path, monkeypatch, repo):
    """The Training page over a copy of a filmed run: its folder, and the page."""
    run = shutil.copytree(filmed, tmp_path / "checkpoints" / "run")

    def open_() -> AppTest:
        monkeypatch.setenv("DALI_CHECKPOINTS", str(run.parent))
        st.cache_data.clear()
        app = AppTest.from_file(repo / "app.py", default_timeout=120).run()
        page = app.switch_page("pages/training.py").run()
        assert not page.exception
        return page

    return run, open_


def shown_in(page) -> str:
    return "\n".join(e.value for group in (page.caption, page.warning, page.subheader) for e in group)


def test_the_training_page_shows_the_latest_film_and_those_before(open_page):
    run, open_ = open_page
    page = open_()
    text = shown_in(page)
    assert "Dreams on the way" in text
    assert "run after 280 environment steps" in text
    assert f"{HORIZON} last steps" in text
    assert "none held out" in text
    slider = next(s for s in page.select_slider if s.label == "After environment steps")
    first = list_films(run)[0].step
    slider.set_value(first).run()
    assert f"run after {first} environment steps" in shown_in(page)
    assert not page.exception


def test_the_training_page_without_films_and_with_a_damaged_one(open_page):
    run, open_ = open_page
    list_films(run)[-1].path.write_bytes(b"GIF89a")
    assert "is not a film that can be shown" in shown_in(open_())
    shutil.rmtree(run / FILMS)
    assert "Dreams on the way" not in shown_in(open_())
    (run / FILMS).write_text("")
    assert "cannot be read" in shown_in(open_())
    assert json.loads((run / METRICS).read_text().splitlines()[0])["update"]
