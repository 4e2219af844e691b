"""Dreams on the way: the films that trainings leave, real episode beside dream, shown with the step that each is of."""

import streamlit as st

from dali.errors import CheckpointError
from dali.files.text import markdown
from dali.runs.films import EVERY, TrainingFilm, read_film
from dali.runs.run import Run
from dali.studio.loaders import Stamp, stamp
from dali.studio.player import Pane, PlayerFilm, mount, pack
from dali.studio.training.views import REFRESH

RUN, STEP = "training_film_run", "training_film_step"  # session state: the run chosen, and where in it


def show_films(runs: dict[str, Run]) -> None:
    """The films of one of the runs, the latest at first; new ones appear while it trains."""

    @st.fragment(run_every=REFRESH if any(run.is_live() for run in runs.values()) else None)
    def draw() -> None:
        found = {}
        for name, run in runs.items():
            try:
                if run.has_weights and (films := run.films()):  # without a configuration its pace is not known
                    found[name] = films
            except CheckpointError as error:
                st.warning(markdown(error))
        if found:
            st.subheader("Dreams on the way", anchor=False)
            name, film = _choose(found)
            _show(runs[name], name, film)

    draw()


def _choose(found: dict[str, list[TrainingFilm]]) -> tuple[str, TrainingFilm]:
    """Which run and which of its films: the last, until another is asked for."""
    name = next(iter(found))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(found) > 1:
            name = st.selectbox("Film of", list(found), key=RUN, width=400)
        films = {film.step: film for film in found[name]}
        step = max(films)
        if len(films) > 1:
            # By how many films there are: a slider whose steps grow would stay at the one that was the last.
            step = st.select_slider(
                "After environment steps", list(films), step, key=f"{STEP}:{name}:{len(films)}:{step}",
                format_func=lambda step: f"{step:,}", width=400,
            )  # fmt: skip
    return name, films[step]


def _show(run: Run, name: str, film: TrainingFilm) -> None:
    try:
        packed, frames = _packed(stamp(run.folder, str(film.path.relative_to(run.folder))), film, run.spec.timestep)
    except CheckpointError as error:
        st.warning(markdown(error))
        return
    with st.container(width=600):
        mount(packed, "training_film")
    st.caption(
        f"{markdown(name)} after {film.step:,} environment steps. Left, a real episode that the simulator made of "
        "smooth noise, under one of the run's training contexts, none held out; right, what the agent then dreamed of "
        f"its {EVERY * (frames - 1)} last steps, told their actions, after it had watched the records before. Every "
        "film of a run shows the same episode. It is one example, not a figure."
    )


@st.cache_data(max_entries=16, show_spinner=False)
def _packed(key: Stamp, _film: TrainingFilm, timestep: float) -> tuple[bytes, int]:
    """What the player is sent of a film, and how many frames it has. Raises CheckpointError where it cannot be read."""
    frames = read_film(_film.path)
    title = f"After {_film.step:,} environment steps"
    pane = Pane(title, "real episode and dream of it", frames)
    return pack(PlayerFilm([pane], timestep=EVERY * timestep), "training_film"), len(frames)
