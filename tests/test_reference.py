"""The references that define a normalised score: the shipped numbers, and the controller that knows the physics."""

from pathlib import Path

import numpy as np
import pytest

from dali.envs import catalogue
from dali.envs.contexts import evaluation_grid
from dali.returns import expert, reference
from dali.returns.play import episode_seeds, play_random

SPEC = catalogue.spec("pendulum")
REPO = Path(__file__).resolve().parent.parent


@pytest.fixture
def coarse(monkeypatch):
    """A controller that is found in a moment."""
    for name, value in {"ANGLES": 64, "SPEEDS": 41, "TORQUES": 9, "TORQUES_PLAYED": 21}.items():
        monkeypatch.setattr(expert, name, value)


@pytest.mark.usefixtures("coarse")
def test_the_grids_step_is_the_simulators():
    rng = np.random.default_rng(0)
    contexts = rng.uniform([1.0, 0.1], [20.0, 2.0], (20, 2))
    states = rng.uniform([-9.0, -8.0], [9.0, 8.0], (20, 2))
    torque = rng.uniform(-2.0, 2.0, 20)
    simulator = catalogue.make("pendulum", 20)
    simulator.set_context(contexts)
    simulator.set_state(states)
    step = simulator.step(torque[:, None] / expert.MAX_TORQUE)
    reached = simulator.get_state()
    for i in range(20):
        one = states[i, :1], states[i, 1:], torque[i, None, None]
        reward, index, weight = expert._transition(*one, contexts[i], SPEC.timestep)
        assert np.isclose(reward[0, 0], step.reward[i], atol=1e-5)
        # Bilinear weights give back any function that is linear in the cell: here, the speed and the angle.
        angles, speeds = expert._angle_nodes()[index // 41], expert._speed_nodes()[index % 41]
        assert weight.sum() == pytest.approx(1.0)
        assert (weight * speeds).sum() == pytest.approx(reached[i, 1])
        around = np.angle((weight * np.exp(1j * angles)).sum() * np.exp(-1j * reached[i, 0]))
        assert abs(around) < 0.01


@pytest.mark.usefixtures("coarse")
def test_values_of_the_last_steps():
    values = expert.pendulum_values(SPEC.default_context, SPEC.timestep, 3)
    angle, speed = np.meshgrid(expert._angle_nodes(), expert._speed_nodes(), indexing="ij")
    assert (values[3] == 0).all()
    assert np.allclose(values[2], -(angle**2 + 0.1 * speed**2), atol=1e-5)  # no torque pays with one reward to come
    assert values[0, 32, 20] == pytest.approx(0.0, abs=1e-6)  # at rest upright, all that follows costs nothing
    assert (values[0] <= values[1] + 1e-6).all()


@pytest.mark.usefixtures("coarse")
def test_the_controller_keeps_its_promise():
    """What it earns in the simulator is what its value function says, and far more than random play."""
    context = np.array([10.0, 0.5])
    seeds = np.arange(8)
    earned = expert.play_pendulum_expert(SPEC, context, seeds)
    simulator = catalogue.make("pendulum", 8)
    simulator.reset(seeds, np.tile(context, (8, 1)))
    angle, speed = simulator.get_state().T
    values = expert.pendulum_values(context, SPEC.timestep, SPEC.episode_steps)
    promised = expert.lookahead(
        values[1],
        angle,
        speed,
        expert.torques_to_try(angle, speed, context, SPEC.timestep, 21),
        context,
        SPEC.timestep,
    ).max(-1)
    assert np.allclose(earned.mean(), promised.mean(), rtol=0.1)
    assert earned.mean() > 0.25 * play_random(SPEC, np.tile(context, (8, 1)), seeds)[0].mean()


@pytest.mark.usefixtures("coarse")
def test_the_controller_of_an_inverted_motor_inverts_its_actions():
    seeds = np.arange(4)
    inverted = catalogue.spec("pendulum_inverted_motor")
    expected = expert.play_pendulum_expert(SPEC, np.array([10.0, 0.7]), seeds)
    np.testing.assert_array_equal(expert.play_pendulum_expert(inverted, np.array([-1.0, 0.7]), seeds), expected)
    weak = expert.play_pendulum_expert(inverted, np.array([-0.5, 1.5]), seeds)
    strong = expert.play_pendulum_expert(inverted, np.array([1.5, 1.5]), seeds)
    assert weak.mean() < strong.mean()


SHIPPED = [name for name in catalogue.names() if reference.load_references(name) is not None]


def test_the_environments_that_have_results_have_references():
    trained = {path.name.partition("-")[0] for path in (REPO / "checkpoints").iterdir()}
    assert trained <= set(SHIPPED)


@pytest.mark.parametrize("env", SHIPPED)
def test_shipped_references_cover_the_grid_and_the_card(env):
    spec = catalogue.spec(env)
    found = reference.load_references(env)
    random, expert = found.at(np.concatenate([evaluation_grid(spec)[0], reference.card_contexts(spec)]))
    assert (expert > random).all()
    assert np.isnan(found.at(spec.default_context[None] * 1.0001)[0]).all()


def test_shipped_random_returns_are_recomputed():
    found = reference.load_references("pendulum")
    for row in (0, 40):
        context = found.contexts[row]
        seeds = episode_seeds(context[None], 50, 0)[0]
        assert play_random(SPEC, np.tile(context, (50, 1)), seeds)[0].mean() == pytest.approx(
            found.random[row], abs=0.01
        )


@pytest.mark.parametrize("env", ["walker", "quadruped"])
def test_shipped_references_of_mujoco_are_recomputed(env):
    found, spec = reference.load_references(env), catalogue.spec(env)
    assert found.expert_kind == expert.BOUND
    assert (found.expert == spec.episode_steps).all()
    seeds = episode_seeds(found.contexts[:1], 20, 0)[0]
    played = play_random(spec, np.tile(found.contexts[0], (20, 1)), seeds)[0]
    # Other machines may round otherwise, and contacts amplify it: the means agree as two draws of 20 episodes do.
    assert played.mean() == pytest.approx(found.random[0], abs=3 * played.std() * (2 / 20) ** 0.5)


def test_a_shipped_expert_is_recomputed():
    found = reference.load_references("pendulum")
    seeds = episode_seeds(found.contexts[3:4], 50, 0)[0]
    earned = expert.play_pendulum_expert(SPEC, found.contexts[3], seeds).mean()
    assert earned == pytest.approx(found.expert[3], abs=0.5)  # other machines round otherwise


@pytest.mark.usefixtures("coarse")
def test_the_file_gives_back_what_was_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "DATA", tmp_path)
    monkeypatch.setattr(expert, "evaluation_grid", lambda spec, size: (np.array([[10.0, 1.0]]), [], []))
    monkeypatch.setattr(reference, "CARD_CONTEXTS", 1)
    assert reference.load_references("pendulum") is None
    found = expert.compute_references(SPEC, 2, 0)
    reference.reference_path("pendulum").write_text(expert.render_references(found, SPEC, 2, 0), encoding="utf-8")
    again = reference.load_references("pendulum")
    assert np.array_equal(again.contexts, found.contexts)
    assert np.allclose([again.random, again.expert], [found.random, found.expert], atol=1e-3)
    assert again.expert_kind == expert.CONTROLLER


def test_the_papers_figures_are_apart():
    figures = reference.paper_figures()
    assert "not re-run" in figures["_source"]
    assert figures["ball_in_cup"]["featurized"]["extrapolation"]["dali_s_chi"] == 0.372
