"""A second agent on the counterfactuals page: chosen among those that can dream the same film, and told beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from dali.dreams.beside import Beside, film_beside, watch
from dali.dreams.film import Film, FilmSource
from dali.dreams.request import Request
from dali.errors import DaliError
from dali.export.second import Second, Summary, figures_head, figures_row
from dali.files.text import markdown
from dali.runs.folder import CONFIG, EPISODES_FILE, WEIGHTS
from dali.studio.film.effective import find_effective
from dali.studio.film.url import PageState
from dali.studio.loaders import (
    Run,
    Stamp,
    figures_are_current,
    list_checkpoints,
    load_agent,
    load_analysis,
    load_readout,
    stamp,
)
from dali.studio.recording import recorded_episodes

Digest = Callable[[Stamp], str]


@dataclass(frozen=True)
class SecondRun:
    """A second agent's run, its film of what the page shows, and the digest of its checkpoint."""

    run: Run
    film: Film
    checkpoint: str

    @property
    def exported(self) -> Second:
        """What exports are made from."""
        return Second(self.film, self.run.config.method, self.run.folder, self.checkpoint)


def others_of(run: Run) -> list[str]:
    """The names of the runs that can be set beside one: of the same environment, which they observe alike."""
    here = run.config
    return [
        other.name
        for other in list_checkpoints()[0]
        if other.name != run.name
        and other.config.env == here.env
        and other.config.model.observation == here.model.observation
        and other.has_weights
    ]


def choose_second(others: Sequence[str]) -> None:
    """The select box; empty for none, as where the chosen run is gone."""
    if st.session_state["film_second"] not in others:
        st.session_state["film_second"] = None
    st.selectbox(
        "Second agent", others, key="film_second", index=None, placeholder="None beside it",
        help="Another checkpoint of this environment. It watches the same episode, infers its own code and dreams "
        "under the same physics and actions; code sliders move the first agent alone.",
    )  # fmt: skip


def second_of(source: FilmSource, first: Stamp, state: PageState, film: Film, digest: Digest) -> SecondRun | None:
    """The second agent's film; None where none is chosen, or, with the reason shown, where it can't dream this one."""
    run = next((r for r in list_checkpoints()[0] if r.name == state.second), None)
    if run is None:
        return None
    try:
        if run.config.method.infers_context and recorded_episodes(run) is None:
            return None
        present = [EPISODES_FILE] if run.config.method.infers_context else []
        key = stamp(run.folder, CONFIG, WEIGHTS, *present)
        return SecondRun(run, _film_beside(key, first, film.request, run, source, film), digest(key))
    except DaliError as error:
        st.warning(f"**{markdown(run.name)}** cannot dream this film. {markdown(error)}", icon=":material/warning:")
        return None


@st.cache_resource(max_entries=8, show_spinner=False)
def _film_beside(key: Stamp, first: Stamp, request: Request, _run: Run, _source: FilmSource, _film: Film) -> Film:
    unchanged = replace(request, physics=(), code=())
    return film_beside(_watching(key, first, unchanged, _run, _source, _film), _film)


@st.cache_resource(max_entries=4, show_spinner=False)
def _watching(key: Stamp, first: Stamp, unchanged: Request, _run: Run, _source: FilmSource, _film: Film) -> Beside:
    steering = load_readout(_run) if _run.config.method.infers_context else None
    return watch(_source, _film, load_agent(_run), steering)


def show_both(source: FilmSource, run: Run, film: Film, second: SecondRun) -> None:
    """The figures of both agents at this request, and those of each over all that was held out."""
    spec = source.agent.spec
    find_effective(second.film)
    rows = [
        figures_row(r.name, f, spec, r.config.method, source.scale, summary_of(r))
        for r, f in ((run, film), (second.run, second.film))
    ]
    lines = [[markdown(cell) for cell in line] for line in zip(figures_head(spec), *rows, strict=True)]
    table = ["| " + " | ".join(line) + " |" for line in lines]
    st.markdown("\n".join([table[0], "|---|---|---|", *table[1:]]))
    st.caption(
        "Skill over all: steering skill over 25 steps of held-out episodes with its 95 % interval, from each run's "
        "analysis. Errors of both are in σ of the first agent's data."
    )


def summary_of(run: Run) -> Summary | None:
    """The figures of a run's analysis, where they are of its present weights."""
    found = load_analysis(run)
    return found["summary"] if found and figures_are_current(run) else None
