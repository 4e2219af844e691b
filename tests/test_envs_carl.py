"""The CARL adapters: the simulators are CARL's environments, and CARL's faults are put right."""

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from dali.envs import catalogue
from dali.envs.contexts import sample_contexts
from dali.errors import DaliError

carl = pytest.importorskip("dali.envs.carl", exc_type=ImportError)
write_state = carl.write_state

pytestmark = [
    pytest.mark.filterwarnings("ignore:invalid value encountered in divide:RuntimeWarning:ConfigSpace"),
    pytest.mark.filterwarnings("ignore:`in1d` is deprecated:DeprecationWarning:carl"),
]

NAMES = catalogue.names()


def named(spec, row) -> dict[str, float]:
    return {f.name: float(v) for f, v in zip(spec.features, row, strict=True)}


def native(env, spec, action):
    """An action (A,) of the simulators as the adapter's own."""
    if spec.discrete:
        return int(action.argmax())
    low, high = env.action_space.low.astype(float), env.action_space.high.astype(float)
    return (low + high) / 2 + (high - low) / 2 * action.astype(float)


def plan_for(spec, steps: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    if spec.discrete:
        return np.eye(spec.action_dim)[np.arange(steps) % spec.action_dim]
    return rng.uniform(-1, 1, size=(steps, spec.action_dim))


def run(env, spec, plan):
    """Observations, rewards and states."""
    parts = []
    for action in plan:
        observation, reward, _, _, _ = env.step(native(env, spec, action))
        parts.append((observation["obs"], reward, env.get_state()))
    return tuple(np.array(part, dtype=np.float64) for part in zip(*parts, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_simulators_are_carls_environments(name):
    """Same seed and context: the same start; same state, context and actions: the same trajectory, to 1e-9."""
    spec = catalogue.spec(name)
    context = sample_contexts(spec, 1, seed=3)
    env = carl.make(name, {0: named(spec, context[0])})
    simulator = catalogue.make(name, 1)
    start, _ = env.reset(seed=11)
    np.testing.assert_allclose(simulator.reset(np.array([11]), context)[0], start["obs"], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(simulator.set_state(env.get_state()[None])[0], start["obs"], rtol=1e-6, atol=1e-7)
    plan = plan_for(spec, 15 if spec.discrete else 100)
    observations, rewards, states = run(env, spec, plan)
    for t, action in enumerate(plan):
        step = simulator.step(action[None])
        np.testing.assert_allclose(simulator.get_state()[0], states[t], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(step.observation[0], observations[t], rtol=1e-6, atol=1e-6)  # float32
        np.testing.assert_allclose(step.reward[0], rewards[t], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["walker", "walker_friction", "quadruped"])
def test_fields_set_in_place_equal_carls_recompiled_model(name):
    """CARL's own environment, which writes the context into the XML, against the model whose fields are set."""
    from carl.envs.dmc import CARLDmcQuadrupedEnv, CARLDmcWalkerEnv

    theirs = CARLDmcQuadrupedEnv if name == "quadruped" else CARLDmcWalkerEnv
    spec = catalogue.spec(name)
    context = sample_contexts(spec, 1, seed=6)[0]
    compiled = theirs(contexts={0: {**theirs.get_default_context(), **named(spec, context)}})
    compiled.reset()
    simulator = catalogue.make(name, 1)
    simulator.reset(np.array([0]), context[None])
    physics, state = compiled.env.env.physics, simulator.get_state()[0]
    write_state(physics.data.ptr, state)
    physics.forward()
    write_state(physics.data.ptr, state)  # the warm start and the sensors again
    for action in plan_for(spec, 60):
        expected, reward, _, _, _ = compiled.step(native(compiled, spec, action))
        step = simulator.step(action[None])
        np.testing.assert_allclose(step.observation[0], expected["obs"], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(step.reward[0], reward, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_resets_follow_their_seed(name):
    spec = catalogue.spec(name)
    env = carl.make(name)
    plan = plan_for(spec, 15)
    runs = []
    for seed in (5, 5, 6):
        start, _ = env.reset(seed=seed)
        runs.append((start["obs"], *run(env, spec, plan)))
    for first, second in zip(runs[0], runs[1], strict=True):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(runs[0][0], runs[2][0])


@pytest.mark.parametrize("name", NAMES)
def test_state_and_physics_set_in_place(name):
    """A real counterfactual: the same state and actions give the same run, and another run under another physics."""
    spec = catalogue.spec(name)
    env = carl.make(name)
    env.reset(seed=1)
    plan = plan_for(spec, 25)
    run(env, spec, plan[:5])
    state = env.get_state()
    factual = run(env, spec, plan[5:])
    env.set_state(state)
    for before, after in zip(factual, run(env, spec, plan[5:]), strict=True):
        np.testing.assert_array_equal(before, after)
    for feature in spec.features:
        env.set_context(spec.default_context)
        env.set_state(state)
        env.set_context({feature.name: feature.limits[1]})
        assert env.context[feature.name] == feature.limits[1]
        _, _, states = run(env, spec, plan[5:])
        assert np.abs(states - factual[2]).max() > 1e-4
        back = catalogue.make(name, 1)
        back.set_context(np.array([[env.context[f.name] for f in spec.features]]))
        back.set_state(state[None])
        for t, action in enumerate(plan[5:]):
            back.step(action[None])
            np.testing.assert_allclose(back.get_state()[0], states[t], rtol=1e-9, atol=1e-9)


def test_selector_and_context_set_by_hand_do_not_mix():
    spec = catalogue.spec("pendulum")
    env = carl.make("pendulum", {0: {"g": 6.0}})
    env.reset(seed=0)
    assert env.env.unwrapped.g == 6.0
    env.set_context({"g": 14.0})
    assert env.env.unwrapped.g == 14.0
    observation, info = env.reset(seed=0)
    assert env.env.unwrapped.g == 6.0
    assert observation["context"]["g"] == 6.0
    assert observation["context"]["l"] == spec.feature("l").default
    assert info["context_id"] == 0


def test_pendulum_offers_no_gravity_that_nothing_reads():
    assert "gravity" not in carl.make("pendulum").get_context_features()
    with pytest.raises(DaliError, match=r"Unknown context feature of pendulum 'gravity'; expected one of: .*g"):
        carl.make("pendulum", {0: {"gravity": 5.0}})


def test_cartpole_keeps_no_stale_quantities():
    env = carl.make("cartpole", {0: {"length": 0.7, "masspole": 0.3}})
    env.reset(seed=0)
    assert env.env.unwrapped.polemass_length == pytest.approx(0.21)
    assert env.env.unwrapped.total_mass == pytest.approx(1.3)


def test_dmc_model_is_compiled_once():
    env = carl.make("ball_in_cup", {k: {"gravity": 5.0 + k} for k in range(3)})
    env.reset(seed=0)
    physics = env.env.env.physics
    gravities = set()
    for _ in range(3):
        env.reset()
        gravities.add(float(physics.model.opt.gravity[2]))
        assert env.env.env.physics is physics
    assert gravities == {-5.0, -6.0, -7.0}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore::UserWarning:gymnasium")
@pytest.mark.parametrize("as_dict", [True, False])
def test_gymnasiums_checker_passes(name, as_dict):
    check_env(carl.make(name, obs_context_as_dict=as_dict), skip_render_check=True)


@pytest.mark.parametrize("name", ["pendulum", "pendulum_inverted_motor", "ball_in_cup"])
def test_actions_that_are_not_finite_are_refused(name):
    env = carl.make(name)
    env.reset(seed=0)
    with pytest.raises(DaliError, match=f"Action of {name} .* expected finite"):
        env.step(np.full(env.action_space.shape, np.nan))


def test_limits_hold():
    with pytest.raises(DaliError, match=r"'string_length' of ball_in_cup is 0\.7 m"):
        carl.make("ball_in_cup", {0: {"string_length": 0.7}})
    env = carl.make("ball_in_cup")
    env.reset(seed=0)
    with pytest.raises(DaliError, match="'gravity'"):
        env.set_context(np.array([np.nan, 0.3]))


@pytest.mark.parametrize(
    "name", ["pendulum", "cartpole", "cartpole_inverted_motor", "cartpole_friction", "ball_in_cup", "ball_in_cup_drag"]
)
def test_observation_gives_the_state_and_the_picture(name):
    env = carl.make(name)
    observation, _ = env.reset(seed=2)
    state = env.state_from_observation(observation["obs"])
    assert state.shape == env.get_state().shape
    np.testing.assert_allclose(env.set_state(state), observation["obs"], rtol=1e-6, atol=1e-6)
    assert env.draw(64).shape == (64, 64, 3)
