"""Numbers as people read them."""

import pytest

from dali.envs import catalogue
from dali.envs.units import measured, number, quantity


@pytest.mark.parametrize(
    ("value", "options", "text"),
    [
        (1.234, {}, "1.23"),
        (-0.001, {}, "0.00"),
        (-0.001, {"form": "+"}, "+0.00"),
        (0.5, {"digits": 1, "form": "+"}, "+0.5"),
        (-1234.5, {"digits": 0}, "-1234"),
        (-1234.5, {"digits": 1, "form": ","}, "-1,234.5"),
        (None, {}, "–"),
        (None, {"missing": "-"}, "-"),
    ],
)
def test_numbers(value, options, text):
    assert number(value, **options) == text


def test_quantities_carry_their_unit():
    pendulum, walker = catalogue.spec("pendulum"), catalogue.spec("walker")
    gravity, length = pendulum.features
    assert quantity(gravity, 4.9) == "4.90 m/s²"
    assert quantity(length, 1.0) == f"1.00 {length.unit}"
    assert quantity(gravity, None) == "–"
    multiplier = next(f for f in walker.features if f.unit == "x")
    assert quantity(multiplier, 1.2).endswith("×")
    assert measured("5 to 15", "m/s²") == "5 to 15 m/s²"
    assert measured("0.5 to 2", "x") == "0.5 to 2×"
    assert measured("0.12", "") == "0.12"
