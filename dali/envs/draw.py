"""Pictures of the planar environments, at the scale of their physics, the same window for every context."""

import itertools
import math

from dali.envs.canvas import BLUE, GREEN, GRID, GROUND, INK, ORANGE, SKY, VERMILION, Canvas


def pendulum(angle: float, length: float, size: int, style: str):
    """A rod of `length` metres at `angle` rad from upright, with rings 1 m and 2 m from the pivot for scale."""
    canvas = _empty(size, (0.0, 0.0), 4.4, style)
    if style == "solid":
        for radius in (1.0, 2.0):
            canvas.ring((0.0, 0.0), radius, GRID)
        canvas.line([(0.0, 2.0), (0.0, 2.14)], GREEN, 0.05)  # where the reward wants the tip
    tip = (-length * math.sin(angle), length * math.cos(angle))
    canvas.capsule((0.0, 0.0), tip, 0.085, BLUE)
    canvas.disc(tip, 0.13, ORANGE)
    canvas.disc((0.0, 0.0), 0.05, INK)
    return canvas.pixels


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
    return canvas.pixels


# Centre lines of the model's five cup capsules, one path; metres from the cup's centre.
_CUP = ((-0.05, 0.0), (-0.05, -0.075), (-0.025, -0.1), (0.025, -0.1), (0.05, -0.075), (0.05, 0.0))


def ball_in_cup(position, string_length: float, size: int, style: str):
    """Cup, string and ball at positions (4,): cup x, z from (0, 0.6) m, ball x, z from (0, 0.2) m."""
    canvas = _empty(size, (0.0, 0.52), 1.1, style)
    cup = (float(position[0]), 0.6 + float(position[1]))
    ball = (float(position[2]), 0.2 + float(position[3]))
    anchor = (cup[0], cup[1] - 0.108)
    if style == "solid":
        canvas.polygon([(-2.0, 0.0), (2.0, 0.0), (2.0, -1.0), (-2.0, -1.0)], GROUND)
        inside = [(-0.05, -0.1), (0.05, -0.1), (0.05, 0.0), (-0.05, 0.0)]
        canvas.polygon([(cup[0] + x, cup[1] + z) for x, z in inside], (205, 232, 222))  # the target: light green
    canvas.line(hanging(anchor, ball, string_length), INK, 0.005)
    for a, b in itertools.pairwise(_CUP):
        canvas.capsule((cup[0] + a[0], cup[1] + a[1]), (cup[0] + b[0], cup[1] + b[1]), 0.008, BLUE)
    canvas.disc(ball, 0.025, ORANGE)
    return canvas.pixels


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


def _empty(size: int, centre: tuple[float, float], span: float, style: str) -> Canvas:
    return Canvas(size, centre, span, outline=style == "outline")
