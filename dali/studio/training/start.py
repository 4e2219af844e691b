"""Trainings started in the background from the training page: their names, their settings, how they stand."""

import tempfile
from pathlib import Path

import streamlit as st

from dali.config import PRESETS
from dali.envs import catalogue, outside
from dali.errors import DaliError
from dali.files.text import code_span, markdown
from dali.methods import METHODS
from dali.runs.folder import TRAINER_STATE
from dali.studio import jobs
from dali.studio.folders import checkpoints_folder
from dali.train.asked import parse_seeds
from dali.train.sweep import Job, conflict, plan

COMMAND, SEEDS = "training_command", "training_seeds"  # session state: the command started last, seeds asked for


def training_now() -> bool:
    """True while a training that was started from the page runs."""
    found = jobs.read(_status_file())
    return found is not None and found.state == "running"


def free_seed(env: str, methods: list[str], folder: Path, options: list[str]) -> int:
    """The first seed under which each of these methods would train: no run is there, or the one asked, unfinished."""
    seed = 0
    while not all(standing(job)[1] for job in plan([env], methods, [seed], folder, options, None)):
        seed += 1
    return seed


def standing(job: Job) -> tuple[str, bool]:
    """How a run that is asked for stands, in words, and whether starting it would train anything.

    Raises:
        DaliError: it asks for what no run can be.
    """
    if (reason := conflict(job)) is not None:
        return f"not started, {reason}", False
    stands = job.run.progress()
    if stands.complete:
        return "finished already, with these very settings", False
    if stands.training:
        return "in training now", False
    if job.run.can_resume:
        return f"goes on from step {stands.done:,} of {stands.total:,}", True
    if job.run.figures_only:
        return "not started, the folder holds figures of an agent whose weights were left out", False
    if job.run.has_weights:
        return f"not started, the agent that is there cannot be resumed: it has no {TRAINER_STATE}", False
    return "new", True


def show_start() -> None:
    """The controls that start trainings in the background, and their progress with a cancel button."""
    if not jobs.allowed():
        st.info(
            "Trainings start from this page only where the server's address is this machine's own, or where "
            f"whoever starts it allows jobs with {jobs.ALLOW}=1."
        )
        return
    status = _status_file()
    running = jobs.watch(status, "Training")
    if running is not None and running.state != "running":
        shown = {"done": st.success, "failed": st.error, "cancelled": st.warning}[running.state]
        shown(f"Trainings {running.state}. {running.text}")
    try:
        asked, options, workers = _ask()
        stands = {job: standing(job) for job in asked}
    except DaliError as error:
        st.warning(markdown(error))
        return
    for job, (text, trains) in stands.items():
        icon = ":material/play_circle:" if trains else ":material/block:"
        st.markdown(f"{icon} {code_span(job.name)}: {markdown(text)}.")
    todo = [job for job, (_, trains) in stands.items() if trains]
    if not todo:
        st.info("There is nothing to train: choose another seed, method, preset or number of steps.")
    busy = running is not None and running.state == "running"
    st.button(
        "Start", icon=":material/play_arrow:", disabled=busy or not todo, on_click=_start,
        args=(todo, options, workers, status),
    )  # fmt: skip
    if command := st.session_state.get(COMMAND):
        st.code(command, language="bash", wrap_lines=True)
    st.caption(
        f"Runs are written to {code_span(checkpoints_folder())}. A cancelled one goes on from its last checkpoint when "
        "it is started again. `python -m dali bench train` tells how many updates a second it makes here."
    )


def _ask() -> tuple[list[Job], list[str], int]:
    """The controls: the runs asked for, the options of their train commands, and how many train at once.

    Raises:
        DaliError: seeds that cannot be read, or no method.
    """
    folder = checkpoints_folder()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        env = st.selectbox("Environment", (*catalogue.names(), *outside.names()), width=180, key="training_env")
        methods = st.multiselect(
            "Methods", list(METHODS), ["dali_d_chi"], format_func=lambda m: METHODS[m].title, width=300,
            key="training_methods_asked",
        )  # fmt: skip
        preset = st.segmented_control("Preset", list(PRESETS), default="small", required=True, key="training_preset")
        steps = st.number_input(
            "Environment steps", 0, step=1000, value=0, help="0: the environment's own number", width=170,
            key="training_steps",
        )  # fmt: skip
        options = ["--preset", preset, *(["--steps", str(steps)] if steps else [])]
        # Where another seed is the first free one, it is proposed anew; until then what a person typed stays.
        free = free_seed(env, methods, folder, options)
        seeds = st.text_input(
            "Seeds", str(free), key=f"{SEEDS}:{env}:{','.join(methods)}:{free}", width=110,
            help=f"0,1,2 or a range such as 0-2. {free} is the first that is free here.",
        )  # fmt: skip
        workers = st.number_input("At once", 1, 64, 1, help="One thread each", width=120, key="training_workers")
    if not methods:
        raise DaliError("Choose at least one method.")
    return plan([env], methods, parse_seeds(seeds), folder, options, None), options, workers


def _start(todo: list[Job], options: list[str], workers: int, status: Path) -> None:
    """Starts one sweep of these runs of one environment.

    It is of all their methods by all their seeds: what is finished stays as it is, and another run fails alone.
    """
    methods, seeds = (list(dict.fromkeys(getattr(job, name) for job in todo)) for name in ("method", "seed"))
    words = ["sweep", "--env", todo[0].env, "--methods", ",".join(methods), "--seeds", ",".join(map(str, seeds))]
    words += ["--workers", str(workers), "--output", str(todo[0].folder.parent)]
    jobs.start([*words, "--status", str(status), "--", *options], status)
    st.session_state[COMMAND] = f"python -m dali {' '.join([*words, '--', *options])}"


def _status_file() -> Path:
    return _job_folder() / "training.json"


@st.cache_resource
def _job_folder() -> Path:
    """One a server: its trainings end with it."""
    return Path(tempfile.mkdtemp(prefix="dali-training-"))
