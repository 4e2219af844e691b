"""Context features that several environments have, on the grids of the DALI benchmark (dali.envs.spec)."""

from dataclasses import replace

from dali.envs.spec import ContextFeature

GRAVITY = ContextFeature(
    name="gravity",
    label="gravity",
    unit="m/s²",
    default=9.81,
    train=(4.9, 14.7),
    interpolate_single=(4.9, 7.35, 9.81, 12.25, 14.7),
    extrapolate_single=(0.98, 1.715, 2.45, 3.185, 3.92, 15.68, 16.66, 17.64, 18.62, 19.6),
    interpolate_double=(4.9, 9.81, 14.7),
    extrapolate_double=(0.98, 2.45, 3.92, 15.68, 17.64, 19.6),
)
GRAVITY_SPARSE = replace(
    GRAVITY, extrapolate_single=(0.98, 2.45, 3.92, 15.68, 17.64, 19.6), extrapolate_double=(0.98, 3.92, 15.68, 19.6)
)
STRENGTH = ContextFeature(
    name="actuator_strength",
    label="motor strength",
    unit="x",
    default=1.0,
    train=(0.5, 1.5),
    interpolate_single=(0.5, 0.75, 1.0, 1.25, 1.5),
    extrapolate_single=(0.1, 0.2, 0.3, 0.4, 1.6, 1.7, 1.8, 1.9, 2.0),
    interpolate_double=(0.5, 1.0, 1.5),
    extrapolate_double=(0.1, 0.3, 1.6, 1.8, 2.0),
)
# One that may be wired the wrong way round, where it is negative: the right action differs in sign.
INVERTIBLE_MOTOR = ContextFeature(
    name="motor_strength",
    label="motor strength",
    unit="x",
    default=1.0,
    train=(-1.5, 1.5),
    gap=(-0.5, 0.5),
    interpolate_single=(-1.5, -1.25, -1.0, -0.75, -0.5, 0.5, 0.75, 1.0, 1.25, 1.5),
    extrapolate_single=(-2.0, -1.75, -0.3, -0.1, 0.1, 0.3, 1.75, 2.0),
    interpolate_double=(-1.5, -1.0, -0.5, 0.5, 1.0, 1.5),
    extrapolate_double=(-2.0, -0.3, 0.3, 2.0),
    cue=True,
)
