"""What a checkpoint's films are made from: its agent, recorded episodes, and the readout fitted on them."""

from pathlib import Path

from dali.dreams.film import FilmSource, make_film_source
from dali.envs import catalogue
from dali.episodes import Episodes, collect_standard
from dali.model.agent import Agent
from dali.runs.artifacts import EPISODES_FILE, fit_readout, load_episodes, load_typical
from dali.runs.checkpoint import load_agent

CONTEXTS = 20  # training contexts that episodes are collected on where analysis has left none


def open_film_source(run: Path) -> FilmSource:
    """What the films of a checkpoint folder need.

    Raises:
        CheckpointError: no checkpoint, or no recorded episodes; names the command that makes them.
        DaliError: the environment cannot be put back into a state, so that there is no real counterfactual.
    """
    agent = load_agent(run)
    catalogue.check_restores_state(agent.spec.name)
    episodes = find_episodes(run, agent)
    readout = fit_readout(episodes, agent.spec, load_typical(run)) if agent.method.infers_context else None
    return make_film_source(agent, episodes, readout)


def find_episodes(run: Path, agent: Agent) -> Episodes:
    """The recorded episodes of a run, or, for a method without a code (which is not analysed), fresh ones of seed 0.

    Raises:
        CheckpointError: there are none, or they are damaged.
    """
    path = run / EPISODES_FILE
    if agent.method.infers_context or path.exists():
        return load_episodes(path, agent.config)
    return collect_standard(agent, 0, CONTEXTS)
