"""Recorded episodes where a page needs them, and the job that records them for a run that came without."""

from typing import TYPE_CHECKING

import streamlit as st

from dali.files.text import code_span
from dali.runs.folder import CACHE, EPISODES_FILE, WEIGHTS, exists, missing
from dali.studio import jobs
from dali.studio.loaders import Run, load_episodes
from dali.studio.style import shown_path

if TYPE_CHECKING:
    from dali.episodes import Episodes


def recorded_episodes(run: Run) -> "Episodes | None":
    """The recorded episodes of a run. Where there are none, offers or follows the job that records them: None.

    Raises:
        DaliError: they are damaged, or the job's status file is.
    """
    if exists(run.folder / EPISODES_FILE):
        return load_episodes(run)
    if run.figures_only:
        raise missing(run.folder, WEIGHTS)
    status = run.folder / CACHE / "record.status.json"
    if jobs.running(status, "Recording episodes", "The recording failed: ", ":material/error:"):
        return None
    command = f"python -m dali record {shown_path(run.folder)}"
    st.info(
        "This run came without recorded episodes. Its agent can play those that the figures are of again, which takes "
        f"some seconds to a minute: by the button, or with {code_span(command)}.",
        icon=":material/info:",
    )
    arguments = ["record", str(run.folder), "--status", str(status)]
    st.button("Record episodes", on_click=jobs.start, args=(arguments, status), icon=":material/fiber_manual_record:")
    return None
