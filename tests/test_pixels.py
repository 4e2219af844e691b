"""Agents of pixels: pictures in, pictures out, honest in between, and resumed bit for bit."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dali.config import ModelConfig, TrainConfig, make_config
from dali.dreams.film import make_film
from dali.dreams.observation import PixelObserver, make_metric, observer_of
from dali.dreams.request import Request
from dali.envs import catalogue
from dali.envs.frames import SHAPE, check_observation, draw_frames
from dali.episodes import Episodes
from dali.errors import CheckpointError, DaliError
from dali.export.bundle import Bundle
from dali.export.tables import to_csv
from dali.methods import METHODS
from dali.model.agent import Agent
from dali.model.context_losses import infer_context
from dali.model.conv import Autoencoder, picture_error, with_change
from dali.model.losses import world_model_loss
from dali.runs.checkpoint import CONFIG, TRAINER_STATE, load_agent, save_agent
from dali.runs.film_source import open_film_source
from dali.runs.schema import RENAMED, parse_config
from dali.train.trainer import Trainer, planned_updates

NOT_GIVEN = [m.name for m in METHODS.values() if m.source != "given"]
PLANAR = [name for name, entry in catalogue.CATALOGUE.items() if entry.planar]


def config(method: str = "dali_d_chi", env: str = "pendulum", steps: int = 360, **changes):
    as_preset = {"ensemble": 0, "expectation": False, "latents": "draws", "dream_steps": 0}
    return make_config(
        env, method, "tiny", 0, steps, **{"observation": "pixels", "conv_depth": 2, **as_preset, **changes}
    )


def taught(method: str, folder, **changes) -> Trainer:
    """A tiny run of pixels whose the autoencoder has been learnt, and nothing else."""
    made = Trainer(config(method, **{"context_warmup": 0, "autoencoder_updates": 2, **changes}), folder)
    while made.env_steps < 240:
        made.collector.step(True, made.noise)
        made.env_steps += made.config.train.envs
    for _ in range(2):
        made._update()
    return made


# Pictures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("env", PLANAR)
def test_pictures_are_those_of_each_state_and_physics(env):
    simulator = catalogue.make(env, 3)
    contexts = np.array([[f.train[i] for f in simulator.spec.features] for i in (0, 1, 1)])
    simulator.reset(np.array([1, 1, 2]), contexts)
    frames = draw_frames(simulator.spec, simulator.get_state(), contexts)
    assert frames.shape == (3, *SHAPE)
    assert frames.dtype == np.uint8
    assert (frames[1] != frames[2]).any()
    cue = [f.cue for f in simulator.spec.features]  # drawn for people alone
    seen = np.where(cue, simulator.spec.default_context, contexts[2])
    np.testing.assert_array_equal(frames[2], simulator.draw(simulator.get_state()[2], seen, 64))


def test_what_has_a_shape_is_seen_and_what_has_none_is_not():
    spec, state = catalogue.spec("pendulum"), np.array([[1.0, 0.0]])
    default = spec.default_context[None]
    assert (draw_frames(spec, state, default) == draw_frames(spec, state, default * [1.5, 1.0])).all()  # gravity
    assert (draw_frames(spec, state, default) != draw_frames(spec, state, default * [1.0, 1.5])).any()  # rod length
    assert (
        draw_frames(spec, state, default) == draw_frames(spec, state + np.array([0.0, 5.0]), default)
    ).all()  # velocity


def test_three_dimensions_are_refused(tmp_path):
    with pytest.raises(
        DaliError, match="Quadruped moves in three dimensions; pixels are for planar environments: pend"
    ):
        check_observation(catalogue.spec("quadruped"), "pixels")
    check_observation(catalogue.spec("quadruped"), "vector")


# Autoencoder ---------------------------------------------------------------------------------------------------------


def test_shapes_and_scale_of_the_autoencoder():
    autoencoder = Autoencoder(embedding=6, depth=2)
    frames = torch.randint(0, 256, (5, *SHAPE), dtype=torch.uint8)
    embedding = autoencoder.embed(frames)
    assert embedding.shape == (5, 6)
    torch.testing.assert_close(embedding.mean(1), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(embedding.square().mean(1), torch.ones(5), atol=1e-2, rtol=0)
    assert autoencoder.decode(embedding).shape == (5, *SHAPE)
    decoded = autoencoder.picture(embedding.view(5, 1, 6))
    assert decoded.shape == (5, 1, *SHAPE)
    assert decoded.dtype == torch.uint8


def test_pixels_survive_the_round_trip_through_floats():
    every = torch.arange(256, dtype=torch.uint8).repeat(48).view(1, *SHAPE)
    autoencoder = Autoencoder(4, 2)
    autoencoder.decode = lambda embedding: every.float() / 255.0
    assert torch.equal(autoencoder.picture(torch.zeros(1, 4)), every)
    assert picture_error(every / 255.0, every).item() == 0.0
    assert picture_error(torch.zeros(1, *SHAPE), torch.full((1, *SHAPE), 255, dtype=torch.uint8)).item() == 64 * 64 * 3


def test_changes_by_hand():
    embedding, before = torch.tensor([[3.0, 1.0], [3.0, 1.0]]), torch.tensor([[1.0, 1.5], [1.0, 1.5]])
    pair = with_change(embedding, before, torch.tensor([False, True]))
    assert pair.tolist() == [[3.0, 1.0, 2.0, -0.5], [3.0, 1.0, 0.0, 0.0]]


def test_the_autoencoder_learns_and_its_path_straightens():
    """Two pictures and what lies between them: the error falls, and so does the bend."""
    torch.manual_seed(0)
    spec = catalogue.spec("pendulum")
    states = np.stack([np.linspace(0.0, 1.1, 12), np.zeros(12)], 1)
    frames = torch.from_numpy(draw_frames(spec, states, np.tile(spec.default_context, (12, 1))))
    triples = torch.cat([frames[i : i + 3] for i in range(10)])
    autoencoder = Autoencoder(6, 4)
    optimizer = torch.optim.Adam(autoencoder.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        pixels, bend = autoencoder.loss(triples)
        losses.append((pixels.item(), bend.item()))
        optimizer.zero_grad()
        (pixels + 100.0 * bend).backward()
        optimizer.step()
    assert losses[-1][0] < 0.2 * losses[0][0]
    assert losses[-1][1] < 0.2 * max(bend for _, bend in losses)


# Configuration -------------------------------------------------------------------------------------------------


ADDED = {  # fields of the model and of training that each schema brought
    2: (("observation", "embedding", "conv_depth"),
        ("context_every", "sight_updates", "sight_lr", "straight", "frames", "pixels")),
    3: ((), ("explore_steps",)),
    4: (("context_tokens",), ()),
    5: (("latents", "expectation", "dynamics_norm", "ensemble", "ensemble_units", "ensemble_layers"),
        ("dream_steps", "dream", "ensemble_updates", "ensemble_lr")),
    7: ((), ("matmul_precision",)),
}  # fmt: skip
BEFORE_5 = {"latents": "draws", "expectation": False, "ensemble": 0, "dream_steps": 0}


def of_schema(schema: int, **changes) -> dict:
    """What a run wrote when that schema was the newest."""
    data = json.loads(
        json.dumps(make_config("pendulum", "dali_d", "tiny", 3, 700, **{**BEFORE_5, **changes}).to_dict())
    )
    data["schema"] = schema
    if schema < 6:
        before = {new: old for old, new in RENAMED[5]["train"].items()}
        data["train"] = {before.get(name, name): value for name, value in data["train"].items()}
    for later, (model, train) in ADDED.items():
        if later > schema:
            for part, names in (("model", model), ("train", train)):
                for name in names:
                    del data[part][name]
    return data


def schema_1() -> dict:
    """What a run of vectors wrote before there were pixels."""
    return of_schema(1)


def test_a_run_of_schema_4_has_no_ensemble_and_draws_its_latents():
    read = parse_config(of_schema(4), "x")
    assert (read.model.ensemble, read.model.expectation, read.model.latents) == (0, False, "draws")
    assert (read.model.dynamics_norm, read.train.dream_steps) == (True, 0)
    assert read.model.context_tokens == "changes"


def test_a_run_of_schema_6_was_trained_in_float32():
    assert parse_config(of_schema(6), "x").train.matmul_precision == "highest"


def test_a_run_of_schema_1_is_read_as_what_it_was():
    data = schema_1()
    kept = json.dumps(data)
    read = parse_config(data, "x")
    assert json.dumps(data) == kept
    assert (read.model.observation, read.train.context_every, read.seed, read.train.steps) == ("vector", 1, 3, 700)
    for part, found in (("model", read.model), ("train", read.train)):
        for name, value in data[part].items():
            assert getattr(found, RENAMED[5]["train"].get(name, name)) == value
    assert parse_config(read.to_dict(), "x") == read


def test_a_run_of_schema_2_explored_for_whole_episodes():
    data = of_schema(2, context_every=2)
    read = parse_config(data, "x").train
    assert (read.explore_steps, read.context_every) == (0, 2)
    data["train"]["explore_steps"] = 5
    with pytest.raises(CheckpointError, match="unknown field 'explore_steps': schema 2 did not know it"):
        parse_config(data, "x")


def test_the_encoder_of_a_run_of_schema_3_reads_no_innovations():
    assert parse_config(of_schema(3), "x").model.context_tokens == "changes"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda d: d["model"].update(observation="pixels"), "unknown field 'observation': schema 1 did not know it"),
        (lambda d: d["train"].update(restart=0.5), "unknown field 'restart': schema 5 did not know it"),
        (lambda d: d["train"].pop("batch"), "lacks field 'batch'"),
        (lambda d: d["model"].update(extra=1), "unknown field 'extra'"),
        (lambda d: d.update(model=3), "expected the fields of ModelConfig, found 3"),
    ],
)
def test_schema_1_is_read_as_strictly_as_the_newest(change, expected):
    data = schema_1()
    change(data)
    with pytest.raises(CheckpointError, match=expected):
        parse_config(data, "x")


def test_a_folder_of_schema_1_is_loaded_and_not_touched(tmp_path):
    agent = Agent(make_config("pendulum", "dali_d", "tiny", 3, 700, **BEFORE_5), catalogue.spec("pendulum"))
    save_agent(tmp_path, agent)
    (tmp_path / CONFIG).write_text(json.dumps(schema_1()))
    before = (tmp_path / CONFIG).read_bytes()
    loaded = load_agent(tmp_path)
    assert (tmp_path / CONFIG).read_bytes() == before
    assert all(torch.equal(v, agent.state_dict()[k]) for k, v in loaded.state_dict().items())


@pytest.mark.parametrize(("name", "value"), [("observation", "sound"), ("frames", 10), ("conv_depth", 0)])
def test_values_that_cannot_work_are_refused(name, value):
    with pytest.raises(DaliError, match=f"'{name}' is"):
        make_config("pendulum", "dali_d", "tiny", 0, 600, **{name: value})


def test_an_agent_of_vectors_has_no_autoencoder():
    agent = Agent(make_config("pendulum", "dali_d", "tiny", 0, 600), catalogue.spec("pendulum"))
    assert agent.world_model.autoencoder is None
    assert not any("autoencoder" in name for name in agent.state_dict())
    assert ModelConfig().observation == "vector"
    assert TrainConfig().frames % 3 == 0


# Training ------------------------------------------------------------------------------------------------------


def test_the_replay_hands_out_pictures_of_the_records_it_says(tmp_path):
    made = taught("dali_d_chi", tmp_path)
    batch = made.replay.sample()
    assert batch.frames.shape == (made.config.train.frames, *SHAPE)
    steps = batch.frame_step.view(-1, 3)
    assert (steps.diff(dim=1) == 1).all()
    assert (batch.frame_row.view(-1, 3) == batch.frame_row.view(-1, 3)[:, :1]).all()
    autoencoder = made.agent.world_model.autoencoder
    seen = batch.obs[batch.frame_row, batch.frame_step, : autoencoder.embedding]
    torch.testing.assert_close(autoencoder.embed(batch.frames), seen, atol=1e-4, rtol=1e-4)


def test_observations_are_embeddings_and_their_changes(tmp_path):
    made = taught("dali_d_chi", tmp_path)
    for _ in range(6):
        made.collector.step(False, made.noise)  # from here on seen one by one
    embedding = made.config.model.embedding
    for ring in range(made.config.train.envs):
        written = made.replay._written(ring)
        obs, first = made.replay.obs[written], made.replay.first[written]
        change = obs[1:, :embedding] - obs[:-1, :embedding]
        torch.testing.assert_close(obs[1:, embedding:], change * ~first[1:, None], atol=1e-6, rtol=0)
        frames = made.replay.pictures.take(np.arange(written.start, written.stop))
        embedded = made.agent.world_model.autoencoder.embed(frames)
        torch.testing.assert_close(embedded, obs[:, :embedding], atol=1e-4, rtol=1e-4)
    np.testing.assert_array_equal(made.collector.obs, made.replay.latest().numpy())


def test_the_autoencoder_learns_first_and_its_encoder_no_more(tmp_path):
    made = Trainer(config(autoencoder_updates=3, context_warmup=2), tmp_path)
    while made.env_steps < 240:
        made.collector.step(True, made.noise)
        made.env_steps += made.config.train.envs
    assert made.collector.awaits_encoder
    assert not made.replay.obs.any()

    def changed() -> set[str]:
        before = {k: v.clone() for k, v in made.agent.named_parameters()}
        made._update()
        now = {k for k, v in made.agent.named_parameters() if not torch.equal(before[k], v)}
        return {".".join(k.split(".")[1:3]) if "autoencoder" in k else k.split(".")[1] for k in now}

    assert changed() == changed() == {"autoencoder.encoder", "autoencoder.decoder"}
    changed()
    assert not made.collector.awaits_encoder
    assert made.replay.obs.any()
    assert changed() == changed() == {"context_encoder", "forward_dynamics"}
    whole = changed()
    assert "autoencoder.decoder" in whole
    assert "rssm" in whole
    assert "autoencoder.encoder" not in whole


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_trainable_parameter_changes(method, tmp_path):
    made = Trainer(config(method, autoencoder_updates=3, context_warmup=2, conv_depth=2), tmp_path)
    before = {k: v.clone() for k, v in made.agent.named_parameters() if v.requires_grad}
    while made.env_steps < 240:
        made.collector.step(True, made.noise)
        made.env_steps += made.config.train.envs
    for _ in range(15):
        made._update()
    still = [k for k, v in made.agent.named_parameters() if v.requires_grad and torch.equal(before[k], v)]
    assert still == []


@pytest.mark.parametrize("method", ["dali_s_chi", "dali_d_chi", "dreamer_dr", "crssm_d"])
def test_only_methods_that_are_given_the_true_context_learn_from_it(method, tmp_path):
    first, second = taught(method, tmp_path), taught(method, tmp_path)
    batch = first.replay.sample()
    weights = []
    for made, given in ((first, batch), (second, replace(batch, context=batch.context.roll(1, 0)))):
        made.noise.manual_seed(7)
        made.learner.update(given)
        weights.append(made.agent.state_dict())
    same = all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    assert same == (method in NOT_GIVEN)


def test_the_world_model_does_not_read_the_code_of_its_own_sequence(tmp_path):
    made = taught("dali_d_chi", tmp_path)
    batch, model = made.replay.sample(), made.agent.world_model.eval()

    def context(changed):
        return infer_context(model, changed, made.config.train, made.noise.manual_seed(3)).context

    reference = context(batch)
    assert torch.equal(reference, context(replace(batch, obs=batch.obs + 1.0, frames=255 - batch.frames)))
    assert not torch.equal(reference, context(replace(batch, window_obs=batch.window_obs * 1.1)))


def test_no_loss_but_its_own_reaches_the_image_encoder(tmp_path):
    made = taught("dali_s_chi", tmp_path)
    model, batch = made.agent.world_model, made.replay.sample()
    output = world_model_loss(model, batch, made.learner.carry, made.config.train, made.noise)
    encoder = list(made.agent.world_model.autoencoder.encoder.parameters())
    assert all(g is None for g in torch.autograd.grad(output.loss, encoder, allow_unused=True, retain_graph=True))
    decoder = list(made.agent.world_model.autoencoder.decoder.parameters())
    assert all(bool(g.any()) for g in torch.autograd.grad(output.loss, decoder))


@pytest.mark.parametrize("stop", [4, 12, 30])
def test_a_run_stopped_and_resumed_equals_one_that_was_not(stop, tmp_path):
    """Stopped while the autoencoder, the code or all learns; pictures are drawn anew from states."""
    asked = config(autoencoder_updates=8, context_warmup=8, threads=1)
    whole = Trainer(asked, tmp_path / "whole")
    assert whole.run()
    assert whole.learner.update_count == planned_updates(asked) > 40
    broken = Trainer(asked, tmp_path / "broken")
    original = broken._update

    def update():
        metrics = original()
        broken.interrupted = broken.learner.update_count >= stop
        return metrics

    broken._update = update
    assert not broken.run()
    assert broken.learner.update_count < planned_updates(asked)
    resumed = Trainer(asked, tmp_path / "broken")
    assert resumed.run(resume=True)
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "broken"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[k], second[k]) for k in first)
    np.testing.assert_array_equal(whole.replay.pictures.frames, resumed.replay.pictures.frames)


def test_the_trainer_s_state_holds_no_pictures(tmp_path):
    made = taught("dali_d_chi", tmp_path)
    made.save()
    assert made.replay.written.sum() * np.prod(SHAPE) > 2e6
    names = [k for k, v in load_file(tmp_path / TRAINER_STATE).items() if v.dtype == torch.uint8 and k != "noise"]
    assert names == []


def test_pixels_train_on_every_planar_environment(tmp_path):
    for env in PLANAR[1:]:
        made = Trainer(config("dreamer_dr", env, steps=220, prefill=200, autoencoder_updates=2), tmp_path / env)
        assert made.run()
    with pytest.raises(DaliError, match="three dimensions"):
        Trainer(config("dreamer_dr", "quadruped"), tmp_path / "quadruped")


# Dreams --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def source(make_run):
    return open_film_source(make_run("pendulum", "dali_d_chi", "pixels"))


def test_what_is_observed_of_a_record_does_not_depend_on_where_one_begins(source):
    whole = observer_of(source.agent).observations(source.episodes.subset(slice(0, 2)), 0, 12)
    part = observer_of(source.agent).observations(source.episodes.subset(slice(0, 2)), 5, 12)
    np.testing.assert_allclose(part, whole[:, 5:], atol=1e-4)
    half = source.agent.config.model.embedding
    np.testing.assert_allclose(whole[:, 1:, half:], whole[:, 1:, :half] - whole[:, :-1, :half], atol=1e-5)
    assert not whole[:, 0, half:].any()


def test_recorded_codes_are_those_of_the_pictures(source):
    from dali.episodes import infer_codes

    episode = source.episodes.subset(slice(3, 4))
    seen = observer_of(source.agent).observations(episode, 0, episode.obs.shape[1])
    np.testing.assert_allclose(infer_codes(source.agent, seen, episode.action), episode.code, atol=1e-3)


def test_episodes_hold_no_pictures(source):
    sizes = {name: getattr(source.episodes, name).size for name in Episodes.__dataclass_fields__}
    assert max(sizes.values()) < source.episodes.obs.shape[0] * source.episodes.obs.shape[1] * 20
    assert source.episodes.obs.shape[-1] == source.agent.spec.obs_dim


def test_pixel_errors_by_hand(source):
    metric = make_metric(source.agent, source.episodes)
    assert isinstance(metric.observer, PixelObserver)
    film = make_film(source, Request(episode=1, t=40, horizon=10, physics=(("l", 0.6),)))
    assert film.dream.obs is None
    assert film.dream.state is None
    assert film.dream.frames.shape == film.real.frames.shape == (11, *SHAPE)
    apart = film.dream_counterfactual.frames.astype(float) - film.real_counterfactual.frames
    expected = np.sqrt((apart**2).mean((1, 2, 3))) / metric.scale
    np.testing.assert_allclose(film.error_counterfactual, expected, rtol=1e-4)
    assert film.mean_error_counterfactual == pytest.approx(np.sqrt((expected[1:] ** 2).mean()), rel=1e-4)
    np.testing.assert_array_equal(
        film.real_counterfactual.frames[4],
        source.single.draw(film.real_counterfactual.state[4], film.context_to, 64),
    )


def test_effective_physics_of_a_real_run_is_near_its_physics(source):
    from dali.dreams.film import effective_physics

    film = make_film(source, Request(1, 40, 25, physics=(("g", 7.0), ("l", 1.2))))
    found, error = effective_physics(
        source, film.real_counterfactual.state[0], film.context_to, film.real_counterfactual
    )
    assert (np.abs(found - [7.0, 1.2]) < np.array([19.0, 1.9]) / 20).all()
    assert (error < 0.4).all()


def test_no_change_dreams_the_same_pictures(source):
    film = make_film(source, Request(1, 40, 10, latents=3))
    np.testing.assert_array_equal(film.dream.frames, film.dream_counterfactual.frames)
    assert film.skill is None


def test_exports_of_pictures(source):
    film = make_film(source, Request(1, 40, 12, physics=(("g", 7.0),), latents=0))
    spec, method = source.agent.spec, source.agent.method
    bundle = Bundle(film, spec, method, 96, ("ghost", "difference"))
    assert len(bundle.frames) == 13
    for kind in ("mp4", "png", "npz"):
        assert bundle.make(kind) == Bundle(make_film(source, film.request), spec, method, 96, bundle.extras).make(kind)
    header = to_csv(film, spec).splitlines()[0]
    assert "real counterfactual: " in header
    assert "dream factual: expected reward" in header
    assert "dream counterfactual: cos" not in header


def test_a_dream_s_picture_owes_nothing_to_the_physics_asked_for(source):
    from dali.export.pictures import draw_pictures, draw_run

    film = make_film(source, Request(1, 40, 5))
    size = 128
    drawn = draw_run(film.dream, source.agent.spec, film.context, size)
    other = draw_run(film.dream, source.agent.spec, film.context * 2, size)
    np.testing.assert_array_equal(drawn, other)
    np.testing.assert_array_equal(drawn[:, ::2, ::2], film.dream.frames)  # whole pixels, not blurred
    captions = {p.title: p.caption for p in draw_pictures(film, source.agent.spec, source.agent.method, size)}
    assert "decoded 64 × 64" in captions["Dream, factual"]
    assert "decoded" not in captions["Real, factual"]


def test_a_changed_dream_starts_from_what_the_agent_would_see(source):
    """Another length is drawn otherwise, so the start differs; another gravity is not, and no change is none."""
    from dali.dreams.counterfactual import changed_start, held_context, infer_start

    agent, episode = source.agent, source.episodes.subset(np.array([1]))
    own = held_context(agent, episode, episode.code[:, 40], episode.context)
    start = infer_start(agent, episode, 40, own)

    def changed(context: np.ndarray):
        return changed_start(agent, episode, 40, start, own, own, context, "mean").latent.deter

    assert torch.equal(changed(episode.context), start.latent.deter)
    assert torch.equal(changed(episode.context * [1.3, 1.0]), start.latent.deter)
    assert not torch.equal(changed(episode.context * [1.0, 1.3]), start.latent.deter)
