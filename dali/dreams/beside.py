"""Two agents of one environment side by side: the second one dreams the first one's film.

It watches the same recorded episode, infers its own code from it, and dreams on under the same physics and the same
actions; so the real runs are the first film's, and the two dreams differ by the agents alone. Errors of both are in
the standard deviations of the first one's data.

Shapes: T records, Z code dimensions.
"""

from dataclasses import dataclass, replace

import numpy as np

from dali.dreams.film import Factual, Film, FilmSource, Steering, make_factual, make_film
from dali.dreams.observation import observer_of
from dali.dreams.request import Request
from dali.episodes import infer_codes
from dali.errors import DaliError
from dali.model.agent import Agent


def check_beside(first: Agent, second: Agent) -> None:
    """Raises DaliError unless two agents live in one environment and observe it alike."""
    if first.spec.name != second.spec.name:
        raise DaliError(
            f"Agents of {first.spec.title} and {second.spec.title} cannot dream one film; expected one environment."
        )
    sees = [agent.config.model.observation for agent in (first, second)]
    if sees[0] != sees[1]:
        raise DaliError(f"Agents that observe {sees[0]} and {sees[1]} have no common measure of error.")


@dataclass(frozen=True)
class Beside:
    """A second agent that has watched the first one's episode, and the half of its film that no slider changes."""

    source: FilmSource  # of the one episode, with the second agent's codes
    factual: Factual


def watch(first: FilmSource, film: Film, agent: Agent, steering: Steering | None) -> Beside:
    """Lets another agent watch the episode of ``film`` and dream on as it was.

    Args:
        first: the source of ``film``. steering: the second agent's; None where it infers no code.

    Raises:
        DaliError: the agents have nothing to compare, or the second lacks the engine that was asked for.
    """
    check_beside(first.agent, agent)
    episode = first.episodes.subset(np.array([film.request.episode]))
    observer = observer_of(agent)
    code = infer_codes(agent, observer.observations(episode, 0, episode.obs.shape[1]), episode.action)
    episode = replace(episode, code=code.astype(np.float16).astype(np.float32))  # as recorded codes are kept
    metric = replace(first.metric, observer=observer)
    # Simulators and lock are shared.
    source = replace(first, agent=agent, episodes=episode, steering=steering, metric=metric)
    return Beside(source, make_factual(source, _own(film), beside=film))


def film_beside(second: Beside, film: Film) -> Film:
    """The second agent's film of what ``film`` shows.

    Code sliders are the first agent's own and move nothing here: dimensions of two codes have nothing in common.

    Args:
        second: of ``watch``, with a film of the same episode, start, horizon, actions and latents.
    """
    made = make_film(second.source, _own(film), second.factual, beside=film)
    return replace(made, request=replace(film.request, code=()))


def _own(film: Film) -> Request:
    """The request as the second agent's source of one episode takes it."""
    return replace(film.request, episode=0, code=())
