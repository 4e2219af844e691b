"""Numbers and quantities as people read them."""

from dali.envs.spec import ContextFeature

MISSING = "–"


def number(value: float | None, digits: int = 2, form: str = "", missing: str = MISSING) -> str:
    """A figure, never "-0.00"; ``missing`` where there is none.

    Args:
        form: "+" shows the sign in any case, "," parts thousands.
    """
    return missing if value is None else f"{round(value, digits) + 0.0:{form}.{digits}f}"


def with_interval(value: float, low: float, high: float, digits: int = 2, form: str = "") -> str:
    """A figure with the ends of its interval: "0.87 [0.83, 0.90]".

    With signs, ends keep theirs where they round to 0: "+0.14 [-0.00, +0.27]" holds 0, "+0.14 [+0.00, +0.27]" does not.
    """
    ends = [f"{end:+.{digits}f}" if form == "+" else number(end, digits, form) for end in (low, high)]
    return f"{number(value, digits, form)} [{', '.join(ends)}]"


def measured(text: str, unit: str) -> str:
    """Numbers with their unit: "5 to 15 m/s²", "1.20×"; as they are where there is none."""
    return f"{text}×" if unit == "x" else f"{text} {unit}".strip()


def quantity(feature: ContextFeature, value: float | None) -> str:
    """A value of a context feature: "4.90 m/s²", "0.250 m", "1.20×"; a dash where there is none."""
    if value is None:
        return MISSING
    low, high = feature.limits
    return measured(number(value, 2 if high - low >= 1 else 3), feature.unit)


def train_range(feature: ContextFeature) -> str:
    """The range that agents are trained in: "5 to 15 m/s²"; both parts where a gap is left out."""
    return measured(" or ".join(f"{low:g} to {high:g}" for low, high in feature.train_intervals), feature.unit)
