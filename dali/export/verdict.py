"""What a counterfactual film shows, in one sentence: what was asked, what the dream follows, how much better it is."""

from collections.abc import Sequence

import numpy as np

from dali.dreams.film import Film
from dali.dreams.steering import rollout_error
from dali.envs.spec import ContextFeature, EnvSpec
from dali.envs.units import quantity
from dali.methods import Method

LEAST = 0.05  # σ of the data; real runs that are no further apart look the same


def real_change(film: Film, scale: np.ndarray) -> float:
    """How far the real run at the asked physics is from the one at the episode's own, in σ of the data."""
    return float(rollout_error(film.real_counterfactual.compared, film.real.compared, scale))


def can_be_judged(film: Film, scale: np.ndarray) -> bool:
    """Whether the request moves the real run by more than the dream errs without any request.

    Below that, both errors of the steering skill are the dream's own, and their ratio says nothing of steering.
    """
    return film.skill is not None and real_change(film, scale) > max(LEAST, film.mean_error)


def verdict(film: Film, spec: EnvSpec, method: Method, scale: np.ndarray) -> str:
    """One sentence for people, with units."""
    asked = [f for f, a, b in zip(spec.features, film.context, film.context_to, strict=True) if a != b]
    if not asked:
        if film.sigmas.any():
            return f"The code alone was moved: the dream follows {_follows(film, spec, spec.features, True)}."
        return f"Nothing is changed yet: the dream is {film.mean_error:.2f} σ away from the real run."
    wanted = _listed([_named(f, quantity(f, film.context_to[spec.features.index(f)]), len(asked) > 1) for f in asked])
    if method.source == "none":
        return (
            f"Asked for {wanted}, the dream stays as it is: this agent reads no physics. The real run moves by "
            f"{real_change(film, scale):.2f} σ."
        )
    follows = f"Asked for {wanted}, the dream follows {_follows(film, spec, asked, len(asked) > 1)}"
    if not can_be_judged(film, scale):
        return (
            f"{follows}, but it is too small a change to judge: it moves the real run by "
            f"{real_change(film, scale):.2f} σ, and the dream errs by {film.mean_error:.2f} σ without it."
        )
    assert film.skill is not None
    share = abs(round(100 * film.skill))
    if share == 0:
        return f"{follows}; its error is as large as without the change."
    return f"{follows}; its error is {share} % {'less' if film.skill > 0 else 'more'} than without the change."


def _follows(film: Film, spec: EnvSpec, features: Sequence[ContextFeature], named: bool) -> str:
    """The physics whose real run is nearest to the dream; at an end of what was tried, that it may lie beyond."""
    parts = []
    for feature in features:
        value, (low, high) = float(film.effective[spec.features.index(feature)]), feature.limits
        text = quantity(feature, value)
        if value <= low:
            text += " or less"
        elif value >= high:
            text += " or more"
        parts.append(_named(feature, text, named))
    return _listed(parts)


def _named(feature: ContextFeature, text: str, named: bool) -> str:
    return f"{feature.label} {text}" if named else text


def _listed(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 2 else parts)
