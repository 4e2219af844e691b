"""Selections that outlive the session: kept under a name beside the checkpoint, exported, and read back."""

import re
from functools import partial

import numpy as np
import streamlit as st

from dali.codes.selections import FORMATS, read_selection, selection_table, write_selection
from dali.episodes import Episodes
from dali.errors import DaliError
from dali.files.reading import read_bytes
from dali.files.text import markdown
from dali.files.writing import write_bytes
from dali.studio.latent.selection import forget_lasso, selected_records, selection_key
from dali.studio.loaders import Run

FOLDER = "selections"  # of a checkpoint; these are a person's work, so not in its cache
NAME = re.compile(r"[\w][\w .-]{0,39}")


def kept_names(run: Run) -> list[str]:
    """Names of the selections that are kept beside a checkpoint."""
    return sorted(path.stem for path in (run.folder / FOLDER).glob("*.parquet") if NAME.fullmatch(path.stem))


def keep(run: Run, name: str, episodes: Episodes, records: np.ndarray) -> None:
    """Keeps records (E, T + 1) under a name; one of that name is replaced.

    Raises:
        DaliError: no such name can be a file's, or the folder cannot be written.
    """
    if not NAME.fullmatch(name):
        raise DaliError(f"A selection is named by 1 to 40 letters, digits, blanks, dots and dashes; found {name!r}.")
    data = write_selection(selection_table(episodes, run.spec, records), "parquet")
    write_bytes(run.folder / FOLDER / f"{name}.parquet", data)


def show_keeping(run: Run, episodes: Episodes) -> None:
    """What is done with a whole selection: kept, exported; and how a kept or exported one comes back."""
    records = selected_records(run, episodes)
    if error := st.session_state.pop("selection_error", None):
        st.error(markdown(error))
    with st.expander("Keep, export and read selections", icon=":material/bookmark:"):
        if records is not None:
            table = selection_table(episodes, run.spec, records)
            with st.container(horizontal=True, vertical_alignment="bottom"):
                name = st.text_input("Name", key="selection_name", width=220, placeholder="for example fast swings")
                if st.button("Keep", icon=":material/bookmark_add:", disabled=not name):
                    keep(run, name, episodes, records)
                    st.toast(f"Kept as {name}.")
                for form in FORMATS:
                    label = "CSV" if form == "csv" else "Parquet"
                    st.download_button(
                        label, partial(write_selection, table, form), f"{run.name}-selection.{form}",
                        key=f"selection_{form}", on_click="ignore", icon=":material/download:",
                    )  # fmt: skip
        kept = kept_names(run)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if kept:
                chosen = st.selectbox("Kept", kept, key=f"selection_kept:{run.folder}", width=220)
                st.button("Show", icon=":material/bookmark:", on_click=_restore, args=(run, episodes, chosen))
            file = st.file_uploader("Read a file of records", FORMATS, key="selection_file")
            if file is not None:
                _show(run, read_selection(file.getvalue(), file.name, episodes), file.file_id)


def _restore(run: Run, episodes: Episodes, name: str) -> None:
    path = run.folder / FOLDER / f"{name}.parquet"
    try:
        records = read_selection(read_bytes(path), path.name, episodes)
    except (DaliError, OSError) as error:
        st.session_state["selection_error"] = str(error)
        return
    forget_lasso(run)
    st.session_state[selection_key(run)] = records


def _show(run: Run, records: np.ndarray, file_id: str) -> None:
    """Shows an uploaded selection, once: a lasso that is drawn afterwards takes its place."""
    if st.session_state.get("selection_read") != file_id:
        st.session_state["selection_read"] = file_id
        forget_lasso(run)
        st.session_state[selection_key(run)] = records
        st.rerun()
