"""Pictures of the planar environments, at the scale of their physics, the same window for every context."""

import itertools
import math

import numpy as np

from dali.envs.canvas import BACKGROUND, BLUE, GREEN, GRID, GROUND, INK, ORANGE, SKY, VERMILION, Canvas


def pendulum(angle: float, length: float, size: int, style: str, motor: float | None = None):
    """A rod of `length` metres at `angle` rad from upright, with rings 1 m and 2 m from the pivot for scale.

    A motor's strength is told by the size of the hub, and its sign by its colour: green, or vermilion where inverted.
    """
    canvas = _empty(size, (0.0, 0.0), 4.4, style)
    if style == "solid":
        for radius in (1.0, 2.0):
            canvas.ring((0.0, 0.0), radius, GRID)
        canvas.line([(0.0, 2.0), (0.0, 2.14)], GREEN, 0.05)  # where the reward wants the tip
    tip = (-length * math.sin(angle), length * math.cos(angle))
    canvas.capsule((0.0, 0.0), tip, 0.085, BLUE)
    canvas.disc(tip, 0.13, ORANGE)
    if motor is not None and style == "solid":
        canvas.disc((0.0, 0.0), 0.08 + 0.12 * abs(motor), VERMILION if motor < 0 else GREEN)
    canvas.disc((0.0, 0.0), 0.05, INK)
    return canvas.finish()


def cartpole(x: float, angle: float, half_length: float, size: int, style: str):
    """A cart at x metres with a pole of twice `half_length` metres, on a track that ends at the limits."""
    canvas = _empty(size, (0.0, 0.75), 5.4, style)
    if style == "solid":
        for tick in range(-2, 3):
            canvas.line([(tick, -0.42), (tick, -0.28)], GROUND, 0.03)
        canvas.line([(-2.4, -0.22), (2.4, -0.22)], GROUND, 0.05)
        for end in (-2.4, 2.4):
            canvas.line([(end, -0.42), (end, 0.1)], VERMILION, 0.04)
    canvas.polygon([(x - 0.3, -0.2), (x + 0.3, -0.2), (x + 0.3, 0.14), (x - 0.3, 0.14)], INK)
    tip = (x + 2 * half_length * math.sin(angle), 2 * half_length * math.cos(angle))
    canvas.capsule((x, 0.0), tip, 0.06, ORANGE)
    canvas.disc((x, 0.0), 0.05, SKY)
    return canvas.finish()


_RAIL = 1.8  # m, half the length of dm_control's rail
_ICE, _RUST = (176, 208, 226), (150, 78, 40)  # colours of a rail without friction and of one that grips
_FULL_FRICTION = 4.0  # N


def cartpole_friction(x: float, angle: float, friction: float, size: int, style: str):
    """A cart at x metres on dm_control's rail, its pole at `angle` rad from upright, 1 m long.

    The rail's friction (N) is told by its colour and by the height of its teeth.
    """
    canvas = _empty(size, (0.0, 0.0), 5.4, style)
    if style == "solid":
        share = min(1.0, friction / _FULL_FRICTION)
        colour = _mix(_ICE, _RUST, share)
        for tooth in range(-18, 19):
            canvas.line([(tooth / 10, -0.2), (tooth / 10 + 0.05, -0.2 - 0.4 * share)], colour, 0.03)
        canvas.line([(-_RAIL, -0.16), (_RAIL, -0.16)], colour, 0.1)
        for end in (-_RAIL, _RAIL):
            canvas.line([(end, -0.42), (end, 0.1)], VERMILION, 0.04)
    canvas.polygon([(x - 0.2, -0.1), (x + 0.2, -0.1), (x + 0.2, 0.1), (x - 0.2, 0.1)], INK)
    canvas.capsule((x, 0.0), (x + math.sin(angle), math.cos(angle)), 0.045, ORANGE)
    canvas.disc((x, 0.0), 0.05, SKY)
    return canvas.finish()


# Centre lines of the model's five cup capsules, one path; metres from the cup's centre.
_CUP = ((-0.05, 0.0), (-0.05, -0.075), (-0.025, -0.1), (0.025, -0.1), (0.05, -0.075), (0.05, 0.0))


def ball_in_cup(position, string_length: float, size: int, style: str, viscosity: float = 0.0):
    """Cup, string and ball at positions (4,): cup x, z from (0, 0.6) m, ball x, z from (0, 0.2) m.

    Air of a viscosity (Pa s) is tinted and full of dots, the more the thicker it is.
    """
    canvas = _empty(size, (0.0, 0.52), 1.1, style)
    cup = (float(position[0]), 0.6 + float(position[1]))
    ball = (float(position[2]), 0.2 + float(position[3]))
    anchor = (cup[0], cup[1] - 0.108)
    if style == "solid":
        if viscosity > 0:
            _thick_air(canvas, viscosity)
        canvas.polygon([(-2.0, 0.0), (2.0, 0.0), (2.0, -1.0), (-2.0, -1.0)], GROUND)
        inside = [(-0.05, -0.1), (0.05, -0.1), (0.05, 0.0), (-0.05, 0.0)]
        canvas.polygon([(cup[0] + x, cup[1] + z) for x, z in inside], (205, 232, 222))  # the target: light green
    string = hanging(anchor, ball, string_length)
    canvas.line([(x, max(z, 0.004)) for x, z in string], INK, 0.004)  # a slack string lies on the ground
    path = [(cup[0] + x, cup[1] + z) for x, z in _CUP]
    if style == "outline":
        canvas.line(path, BLUE, 0.008)
    else:
        for a, b in itertools.pairwise(path):
            canvas.capsule(a, b, 0.008, BLUE)
    canvas.disc(ball, 0.025, ORANGE)
    return canvas.finish()


_HAZE, _MOTE = (214, 230, 243), (140, 178, 206)
_FULL_HAZE = 2.5  # Pa s
_MOTES_PER_VISCOSITY = 40


def _thick_air(canvas: Canvas, viscosity: float) -> None:
    """A tint of the ball's window, and dots spread evenly over it (the R2 sequence), the same ones at every step."""
    tint = _mix(BACKGROUND, _HAZE, min(1.0, viscosity / _FULL_HAZE))
    canvas.polygon([(-2.0, -2.0), (2.0, -2.0), (2.0, 2.0), (-2.0, 2.0)], tint)
    for k in range(round(_MOTES_PER_VISCOSITY * viscosity)):
        at = ((0.5 + 0.7548776662 * k) % 1 * 1.1 - 0.55, (0.5 + 0.5698402910 * k) % 1 * 1.07)
        canvas.disc(at, 0.007, _MOTE)


def walker(limbs, x: float, size: int, style: str):
    """Seven capsules (end, end, radius), torso, right leg, left leg, with the window following the walker at x metres.

    Marks on the ground every metre, every fifth one taller, show how far it goes.
    """
    canvas = _empty(size, (x, 1.05), 2.7, style)
    if style == "solid":
        canvas.polygon([(x - 3, 0.0), (x + 3, 0.0), (x + 3, -1.0), (x - 3, -1.0)], GROUND)
        if math.isfinite(x):
            for mark in range(math.floor(x) - 2, math.ceil(x) + 3):
                height = 0.3 if mark % 5 == 0 else 0.14
                canvas.line([(mark, 0.0), (mark, -height)], INK if mark % 5 == 0 else BACKGROUND, 0.035)
    torso, right, left = limbs[0], limbs[1:4], limbs[4:7]
    for (a, b, radius), colour in (*((limb, SKY) for limb in left), (torso, INK), *((limb, ORANGE) for limb in right)):
        canvas.capsule(a, b, radius, colour)
    return canvas.finish()


# An oblique view without perspective: the camera looks down by 22° onto a scene turned by 35°.
_TURN, _DOWN = math.radians(35.0), math.radians(22.0)
_RIGHT = np.array([math.cos(_TURN), -math.sin(_TURN), 0.0])
_UP = np.array([math.sin(_DOWN) * math.sin(_TURN), math.sin(_DOWN) * math.cos(_TURN), math.cos(_DOWN)])
_VIEW = np.stack([_RIGHT, _UP])  # (2, 3)
_AWAY = np.cross(_UP, _RIGHT)  # from the camera into the scene
_GRID_LINES = np.array(
    [[(k, -3), (k, 4)] for k in range(-3, 5)] + [[(-3, k), (4, k)] for k in range(-3, 5)], dtype=np.float64
)  # (16, 2, 2): ends (x, y) of the lines about the square that the centre is in
_BODY_COLOURS = {2: VERMILION, 3: BLUE, 4: INK, 5: SKY}  # by MuJoCo's geom types: sphere, capsule, ellipsoid, cylinder


def bodies(shapes, centre, size: int, style: str):
    """Solids of MuJoCo's types (type, centre (3,), axes (3, 3), size (3,)), seen from obliquely above, far ones first.

    The window follows `centre` (3,) along the ground, on which a grid of 1 m moves by.
    """
    ground = np.array([centre[0], centre[1], 0.0])
    middle = _VIEW @ ground
    canvas = _empty(size, (float(middle[0]), float(middle[1]) + 0.35), 2.9, style)
    if style == "solid" and np.isfinite(ground).all():
        column, row = math.floor(ground[0]), math.floor(ground[1])
        for line in (_GRID_LINES + np.array([column, row])) @ _VIEW[:, :2].T:
            canvas.line(line, GRID, 0.012)
    for kind, at, axes, extent in sorted(shapes, key=lambda shape: -float(_AWAY @ shape[1])):
        colour = _BODY_COLOURS[kind]
        if kind == 4:
            # The silhouette of an ellipsoid without perspective: the ellipse with the projected matrix of axes.
            spread = _VIEW @ axes @ np.diag(extent)
            left, stretch, _ = np.linalg.svd(spread)
            turns = np.linspace(0.0, 2 * math.pi, 28, endpoint=False)
            rim = _VIEW @ at + (left * stretch @ np.stack([np.cos(turns), np.sin(turns)])).T
            canvas.polygon(rim, colour)
        elif kind == 2:
            canvas.disc(_VIEW @ at, float(extent[0]), colour)
        else:
            along = axes[:, 2] * extent[1]
            canvas.capsule(_VIEW @ (at - along), _VIEW @ (at + along), float(extent[0]), colour)
    return canvas.finish()


def hanging(a, b, length: float, points: int = 20) -> list[tuple[float, float]]:
    """The parabola from a to b, sagging downwards, whose arc length is `length`; straight where a string is taut.

    The arc length of P(t) = a + (b - a) t - (0, 4 s t (1 - t)) has the closed form used in `_arc`.
    """
    dx, dz = b[0] - a[0], b[1] - a[1]
    sag = 0.0
    if length > math.hypot(dx, dz) * 1.001:
        low, high = 0.0, length
        for _ in range(14):
            sag = (low + high) / 2
            low, high = (sag, high) if _arc(dx, dz, sag) < length else (low, sag)
    if sag < 1e-4:
        return [a, b]
    steps = [k / (points - 1) for k in range(points)]
    return [(a[0] + dx * t, a[1] + dz * t - 4 * sag * t * (1 - t)) for t in steps]


def _arc(dx: float, dz: float, sag: float) -> float:
    """Length of that parabola: the integral of sqrt(dx² + u²) du / (8 s) for u from dz - 4 s to dz + 4 s."""
    dx = max(abs(dx), 1e-6)

    def primitive(u: float) -> float:
        return 0.5 * (u * math.hypot(u, dx) + dx * dx * math.asinh(u / dx))

    return (primitive(dz + 4 * sag) - primitive(dz - 4 * sag)) / (8 * sag)


def _mix(a, b, share: float) -> tuple[int, int, int]:
    """The colour that lies `share` of the way from a to b."""
    red, green, blue = (round(p + share * (q - p)) for p, q in zip(a, b, strict=True))
    return red, green, blue


def _empty(size: int, centre: tuple[float, float], span: float, style: str) -> Canvas:
    return Canvas(size, centre, span, outline=style == "outline")
