"""Two agents of one environment side by side: the second one dreams the first one's film.

It watches the same recorded episode, infers its own code from it, and dreams on under the same physics and the same
actions; so the real runs are the first film's, and the two dreams differ by the agents alone. Errors of both are in
the standard deviations of the first one's data.

Shapes: T records, Z code dimensions.
"""

from dataclasses import replace

import numpy as np

from dali.dreams.film import Film, FilmSource, Steering, make_film
from dali.dreams.observation import observations
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


def film_beside(first: FilmSource, film: Film, agent: Agent, steering: Steering | None) -> Film:
    """Another agent's film of what ``film`` shows.

    Code sliders are the first agent's own and move nothing here: dimensions of two codes have nothing in common.

    Args:
        first: the source of ``film``. steering: the second agent's; None where it infers no code.

    Raises:
        DaliError: the agents have nothing to compare, or the second lacks the engine that was asked for.
    """
    check_beside(first.agent, agent)
    episode = first.episodes.subset(np.array([film.request.episode]))
    code = infer_codes(agent, observations(agent, episode, 0, episode.obs.shape[1]), episode.action)
    episode = replace(episode, code=code.astype(np.float16).astype(np.float32))  # as recorded codes are kept
    source = replace(
        first, agent=agent, episodes=episode, steering=steering
    )  # the simulators and their lock are shared
    second = make_film(source, replace(film.request, episode=0, code=()), beside=film)
    return replace(second, request=replace(film.request, code=()))
