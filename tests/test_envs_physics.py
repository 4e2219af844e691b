"""The simulators against closed forms and hand-computed numbers."""

import math

import numpy as np
import pytest

from dali.envs import catalogue
from dali.envs.cartpole_friction import MOTOR
from dali.envs.mujoco_simulator import HINGE_RADIUS
from dali.envs.reward import tolerance


def test_pendulum_one_step_by_hand():
    """θ'' = 3 g / (2 l) sin θ + 3 u / (m l²); velocity first, then the angle; the reward is that of before."""
    simulator = catalogue.make("pendulum", 1)
    simulator.set_context(np.array([[8.0, 0.5]]))
    simulator.set_state(np.array([[math.pi / 6, 1.0]]))
    step = simulator.step(np.array([[0.25]]))  # 0.5 N m
    # 3 * 8 / (2 * 0.5) * 0.5 + 3 / 0.25 * 0.5 = 12 + 6 = 18 rad/s²; 18 * 0.05 = 0.9 rad/s
    np.testing.assert_allclose(simulator.get_state(), [[math.pi / 6 + 1.9 * 0.05, 1.9]], rtol=1e-12)
    np.testing.assert_allclose(step.reward, [-((math.pi / 6) ** 2 + 0.1 + 0.001 * 0.25)], rtol=1e-6)


def test_an_inverted_motor_turns_the_other_way():
    """θ'' = 3 g / (2 l) sin θ + 3 k u / (m l²), g = 10 m/s², k the motor's strength."""
    simulator = catalogue.make("pendulum_inverted_motor", 3)
    simulator.set_context(np.array([[-1.5, 0.5], [1.5, 0.5], [0.0, 0.5]]))
    simulator.set_state(np.tile([math.pi / 6, 1.0], (3, 1)))
    step = simulator.step(np.full((3, 1), 0.25))  # ±0.75 N m, and none
    # 3 * 10 / (2 * 0.5) * 0.5 ± 3 / 0.25 * 0.75 = 15 ± 9 rad/s²
    speed = np.array([1.0 + 6 * 0.05, 1.0 + 24 * 0.05, 1.0 + 15 * 0.05])
    np.testing.assert_allclose(simulator.get_state()[:, 1], speed, rtol=1e-12)
    cost = 0.001 * np.array([0.75, 0.75, 0.0]) ** 2
    np.testing.assert_allclose(step.reward, -((math.pi / 6) ** 2 + 0.1 + cost), rtol=1e-6)


def test_an_inverted_motor_under_inverted_actions_is_the_pendulum():
    contexts = np.array([[-1.0, 0.7], [1.0, 0.7]])
    simulator, plain = catalogue.make("pendulum_inverted_motor", 2), catalogue.make("pendulum", 2)
    seeds = np.array([4, 4])
    simulator.reset(seeds, contexts)
    plain.reset(seeds, np.array([[10.0, 0.7]] * 2))
    for action in np.random.default_rng(0).uniform(-1, 1, (50, 1)):
        found = simulator.step(np.stack([-action, action]))
        expected = plain.step(np.stack([action, action]))
        np.testing.assert_array_equal(found.observation, expected.observation)
        np.testing.assert_array_equal(found.reward, expected.reward)


@pytest.mark.parametrize(("g", "length"), [(5.0, 1.5), (10.0, 1.0), (15.0, 0.5), (20.0, 2.0)])
def test_pendulum_swings_with_the_period_of_a_rod(g, length):
    """Small swings about hanging: T = 2π sqrt(2 l / (3 g)), for a rod of which one end is held."""
    simulator = catalogue.make("pendulum", 1)
    simulator.set_context(np.array([[g, length]]))
    simulator.set_state(np.array([[math.pi + 0.05, 0.0]]))
    angle = np.array(
        [0.05, *(simulator.step(np.zeros((1, 1))) and simulator.get_state()[0, 0] - math.pi for _ in range(600))]
    )
    rising = np.flatnonzero((angle[:-1] < 0) & (angle[1:] >= 0))
    crossing = rising - angle[rising] / (angle[rising + 1] - angle[rising])  # in steps, interpolated
    period = np.diff(crossing).mean() * simulator.spec.timestep
    # Euler's step at 0.05 s shortens the period: sin(ω' dt / 2) = ω dt / 2.
    omega, dt = math.sqrt(3 * g / (2 * length)), simulator.spec.timestep
    assert period == pytest.approx(math.pi * dt / math.asin(omega * dt / 2), rel=1e-3)
    assert period == pytest.approx(2 * math.pi / omega, rel=0.03)


def test_pendulum_conserves_energy_without_torque():
    """E = m l² θ'² / 6 + m g l cos θ / 2 stays within what Euler's step allows, over ten seconds of a free swing."""
    g, length = 10.0, 1.5
    simulator = catalogue.make("pendulum", 1)
    simulator.set_context(np.array([[g, length]]))
    simulator.set_state(np.array([[math.pi / 2, 0.0]]))
    energies = []
    for _ in range(200):
        simulator.step(np.zeros((1, 1)))
        angle, speed = simulator.get_state()[0]
        energies.append(length**2 * speed**2 / 6 + g * length * math.cos(angle) / 2)
    swing = g * length / 2  # from hanging to the start
    assert np.abs(energies).max() < 0.12 * swing  # starts at 0
    assert abs(np.mean(energies)) < 0.05 * swing


def test_pendulum_speed_is_clipped():
    simulator = catalogue.make("pendulum", 1)
    simulator.set_context(np.array([[20.0, 0.1]]))
    simulator.set_state(np.array([[math.pi / 2, 0.0]]))
    simulator.step(np.ones((1, 1)))
    np.testing.assert_allclose(simulator.get_state(), [[math.pi / 2 + 8 * 0.05, 8.0]])


def test_cartpole_one_step_by_hand():
    """Upright and at rest: the push moves the cart by F/(M+m) and swings the pole the other way, more so when short."""
    simulator = catalogue.make("cartpole", 2)
    simulator.set_context(np.array([[9.8, 0.5], [9.8, 0.25]]))
    simulator.set_state(np.zeros((2, 4)))
    step = simulator.step(np.array([[0.0, 1.0], [0.0, 1.0]]))
    temp = 10.0 / 1.1
    for row, length in zip(simulator.get_state(), (0.5, 0.25), strict=True):
        turning = -temp / (length * (4 / 3 - 0.1 / 1.1))
        pushed = temp - 0.1 * length * turning / 1.1
        np.testing.assert_allclose(row, [0.0, 0.02 * pushed, 0.0, 0.02 * turning], rtol=1e-12)
    np.testing.assert_array_equal(step.reward, [1.0, 1.0])
    assert not step.terminated.any()


def test_cartpole_ends_when_fallen_and_pays_for_the_fall_once():
    simulator = catalogue.make("cartpole", 3)
    limit = math.radians(12)
    simulator.set_state(np.array([[0, 0, limit - 1e-3, 1.0], [2.39, 2.0, 0, 0], [0, 0, 0, 0.0]], dtype=float))
    left = np.tile([1.0, 0.0], (3, 1))
    step = simulator.step(left)
    np.testing.assert_array_equal(step.terminated, [True, True, False])
    np.testing.assert_array_equal(step.reward, [1.0, 1.0, 1.0])
    after = simulator.step(left)
    np.testing.assert_array_equal(after.reward, [0.0, 0.0, 1.0])
    np.testing.assert_array_equal(after.terminated, [True, True, False])


def test_an_inverted_cartpole_is_the_cartpole_under_the_other_push():
    contexts = np.array([[-1.0, 0.7], [1.0, 0.7]])
    simulator, plain = catalogue.make("cartpole_inverted_motor", 2), catalogue.make("cartpole", 2)
    seeds = np.array([4, 4])
    simulator.reset(seeds, contexts)
    plain.reset(seeds, np.array([[9.8, 0.7]] * 2))
    for right in np.random.default_rng(0).uniform(size=20) < 0.5:
        left_or_right = np.array([1.0 - right, right])
        found = simulator.step(np.stack([left_or_right[::-1], left_or_right]))
        expected = plain.step(np.stack([left_or_right, left_or_right]))
        np.testing.assert_array_equal(found.observation, expected.observation)
        np.testing.assert_array_equal(found.terminated, expected.terminated)


def test_a_weak_motor_of_the_cartpole_pushes_less():
    """Upright and at rest: x'' is the same share of that of the whole force (test_cartpole_one_step_by_hand)."""
    simulator = catalogue.make("cartpole_inverted_motor", 3)
    simulator.set_context(np.array([[1.0, 0.5], [-0.5, 0.5], [0.0, 0.5]]))
    simulator.set_state(np.zeros((3, 4)))
    simulator.step(np.tile([0.0, 1.0], (3, 1)))
    moved = simulator.get_state()[:, 1]
    np.testing.assert_allclose(moved, moved[0] * np.array([1.0, -0.5, 0.0]), rtol=1e-12)


@pytest.mark.parametrize("gravity", [0.98, 4.9, 9.81, 19.6])
def test_ball_falls_freely_on_a_slack_string(gravity):
    """From rest 0.25 m above the cup's string hold: drop = g t² / 2."""
    simulator = catalogue.make("ball_in_cup", 1)
    simulator.set_context(np.array([[gravity, 0.45]]))
    state = np.zeros((1, 12))
    state[0, 2], state[0, 3] = 0.2, 0.5
    simulator.set_state(state)
    steps = 8  # 0.16 s
    for _ in range(steps):
        simulator.step(np.zeros((1, 2)))
    drop = 0.5 - simulator.get_state()[0, 3]
    t, substep = steps * 0.02, 0.002
    assert drop == pytest.approx(gravity * t * (t + substep) / 2, rel=1e-6)  # semi-implicit Euler, to the letter
    assert drop == pytest.approx(gravity * t * t / 2, rel=0.02)
    assert simulator.get_state()[0, 2] == 0.2


@pytest.mark.parametrize("length", [0.15, 0.3, 0.42])
def test_taut_string_holds_at_its_length(length):
    simulator = catalogue.make("ball_in_cup", 1)
    simulator.set_context(np.array([[9.81, length]]))
    state = np.zeros((1, 12))
    state[0, 2], state[0, 3] = 0.05, 0.6 - 0.108 - 0.2 - 0.1  # hangs beside and below the cup
    simulator.set_state(state)
    for _ in range(600):
        simulator.step(np.zeros((1, 2)))
    cup_x, cup_z, ball_x, ball_z = simulator.get_state()[0, :4]
    stretched = math.hypot(ball_x - cup_x, (0.2 + ball_z) - (0.6 + cup_z - 0.108))
    assert stretched == pytest.approx(length, abs=0.004)


def test_ball_pays_inside_the_target_alone():
    simulator = catalogue.make("ball_in_cup", 3)
    simulator.set_context(np.tile([0.98, 0.3], (3, 1)))
    resting = 0.6 - 0.1 + 0.008 + 0.025 - 0.2  # on the cup's floor: its capsule's radius and the ball's
    state = np.zeros((3, 12))
    state[:, 3] = resting, resting, resting + 0.2
    state[1, 2] = 0.2
    simulator.set_state(state)
    np.testing.assert_array_equal(simulator.step(np.zeros((3, 2))).reward, [1.0, 0.0, 0.0])


@pytest.mark.parametrize("length", [0.03, 0.06, 0.15, 0.3, 0.6])
def test_ball_starts_where_its_string_lets_it(length):
    simulator = catalogue.make("ball_in_cup", 20)
    simulator.reset(np.arange(20), np.tile([9.81, length], (20, 1)))
    cup_x, cup_z, ball_x, ball_z = simulator.get_state()[:, :4].T
    distance = np.hypot(ball_x - cup_x, (0.2 + ball_z) - (0.6 + cup_z - 0.108))
    assert (distance <= length + 1e-12).all()
    if length >= 0.3:  # as dm_control draws it, where the string is no constraint
        assert distance.max() > 0.2


def pole_momentum(state) -> float:
    """Horizontal momentum (kg m/s) of cart (1 kg) and pole (0.1 kg, its centre 0.5 m from the hinge)."""
    _, angle, cart_speed, turning = state[:4]
    return 1.1 * cart_speed + 0.1 * 0.5 * turning * math.cos(angle)


@pytest.mark.parametrize("gravity", [4.9, 14.7])
@pytest.mark.parametrize("friction", [0.5, 1.5, 3.5])
def test_cart_slides_to_rest_by_coulombs_law(gravity, friction):
    """However the pole swings, the rail alone changes horizontal momentum: p(t) = p(0) - F t, then rest."""
    simulator = catalogue.make("cartpole_friction", 1)
    simulator.set_context(np.array([[gravity, friction]]))
    speed = 1.2 * math.sqrt(friction)
    simulator.set_state(np.array([[-1.5, math.pi, speed, 0.0, 0.0, 0.0]]))
    t = 0
    while simulator.get_state()[0, 2] > 0.25 * speed:
        simulator.step(np.zeros((1, 1)))
        t += 1
        slowed = 1.1 * speed - pole_momentum(simulator.get_state()[0])
        assert slowed == pytest.approx(friction * t * simulator.spec.timestep, rel=0.01)
    assert t >= 5
    for _ in range(400):
        simulator.step(np.zeros((1, 1)))
    x, angle, *speeds = simulator.get_state()[0, :4]
    assert np.abs(speeds).max() < 0.01
    # The hinge holds the pole where the torque of its weight is no larger than its friction.
    assert 0.1 * gravity * 0.5 * abs(math.sin(angle)) <= 1.1 * HINGE_RADIUS * friction
    for _ in range(50):
        simulator.step(np.zeros((1, 1)))
    assert simulator.get_state()[0, 0] == pytest.approx(x, abs=0.01)


def test_a_push_below_the_friction_moves_nothing_and_one_above_moves_by_the_rest():
    simulator = catalogue.make("cartpole_friction", 2)
    simulator.set_context(np.array([[9.81, 2.0], [9.81, 2.0]]))
    simulator.set_state(np.tile([0.0, math.pi, 0.0, 0.0, 0.0, 0.0], (2, 1)))
    push = np.array([[1.8 / MOTOR], [3.0 / MOTOR]])  # 1.8 N and 3 N
    for _ in range(10):
        simulator.step(push)
    held, moved = simulator.get_state()
    assert abs(held[0]) < 0.005
    assert pole_momentum(moved) == pytest.approx((3.0 - 2.0) * 10 * simulator.spec.timestep, rel=0.02)


@pytest.mark.parametrize("gravity", [4.9, 14.7])
@pytest.mark.parametrize("viscosity", [0.2, 1.0, 3.0])
def test_ball_in_thick_air_falls_towards_its_terminal_velocity(gravity, viscosity):
    """v(t) = v_T (1 - exp(-t / τ)), v_T = τ g, τ = m / (3π β d), d = r sqrt(12/5)."""
    simulator = catalogue.make("ball_in_cup_drag", 1)
    simulator.set_context(np.array([[gravity, viscosity]]))
    state = np.zeros((1, 12))
    state[0, 2], state[0, 3] = 0.1, 0.57  # beside the cup, on a slack string
    simulator.set_state(state)
    radius = 0.025
    mass = 1000 * 4 / 3 * math.pi * radius**3
    tau = mass / (3 * math.pi * viscosity * radius * math.sqrt(12 / 5))
    for step in range(1, 12):
        simulator.step(np.zeros((1, 2)))
        speed = -simulator.get_state()[0, 7]
        assert speed == pytest.approx(tau * gravity * (1 - math.exp(-step * 0.02 / tau)), rel=0.02)
    if viscosity == 3.0:
        assert speed == pytest.approx(tau * gravity, rel=0.03)  # terminal


def test_the_swing_up_pays_upright_at_rest_in_the_middle_the_most():
    simulator = catalogue.make("cartpole_friction", 4)
    states = np.array([[0, 0, 0, 0, 0, 0], [0, math.pi, 0, 0, 0, 0], [1.5, 0, 0, 0, 0, 0], [0, 0, 0, 5, 0, 0]], float)
    simulator.set_state(states)
    reward = simulator.step(np.zeros((4, 1))).reward
    assert reward[0] == pytest.approx(1.0, abs=0.01)
    assert reward[1] == pytest.approx(0.0, abs=0.01)
    assert 0.5 < reward[2] < 0.9
    assert 0.5 < reward[3] < 0.8


def test_walker_stands_higher_reward_than_lying():
    simulator = catalogue.make("walker", 2)
    state = np.zeros_like(simulator.get_state())
    state[1, 0], state[1, 2] = -1.2, math.pi / 2  # on its back
    simulator.set_state(state)
    upright, lying = simulator.step(np.zeros((2, 6))).reward
    assert upright > 4 * lying


@pytest.mark.parametrize(("gravity", "friction"), [(9.81, 0.05), (9.81, 0.2), (4.9, 0.2)])
def test_walker_slides_by_coulombs_law(gravity, friction):
    """Thrown flat along the ground its centre of mass slows by μ g t, with μ the model's 0.7 times the multiplier."""
    simulator = catalogue.make("walker_friction", 1)
    simulator.set_context(np.array([[gravity, friction]]))
    state = np.zeros_like(simulator.get_state())
    state[0, 0], state[0, 2] = -1.3 + 0.07, math.pi / 2  # lying, the torso's radius above the ground
    state[0, 10] = 2.0  # m/s along x
    simulator.set_state(state)
    for _ in range(12):  # 0.3 s
        simulator.step(np.zeros((1, 6)))
    speed = simulator.get_state()[0, 27]  # of the centre of mass, a sensor of the model
    assert speed == pytest.approx(2.0 - 0.7 * friction * gravity * 0.3, abs=0.04)  # it bounces a little


@pytest.mark.parametrize(
    ("value", "sigmoid", "expected"),
    [
        (1.2, "gaussian", 1.0),
        (0.6, "gaussian", 0.1),
        (0.9, "gaussian", 0.1**0.25),
        (0.6, "linear", 0.1),
        (-0.6, "linear", 0.0),
    ],
)
def test_tolerance_at_its_landmarks(value, sigmoid, expected):
    assert tolerance(value, 1.2, margin=0.6, value_at_margin=0.1, sigmoid=sigmoid) == pytest.approx(expected)
