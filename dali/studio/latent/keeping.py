"""Selections and paths that outlive the session: kept under a name beside the checkpoint, exported, and read back."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import streamlit as st

from dali.codes.selections import FORMATS, read_selection, selection_table, write_selection
from dali.episodes import Episodes
from dali.errors import DaliError
from dali.files.reading import read_bytes
from dali.files.text import markdown
from dali.files.writing import write_bytes
from dali.studio.latent.selection import forget_lasso, selected_records, selection_key
from dali.studio.loaders import Run
from dali.studio.style import download

NAME = re.compile(r"[\w][\w .-]{0,39}")
LABELS = {"csv": "CSV", "parquet": "Parquet"}

T = TypeVar("T")


@dataclass(frozen=True)
class NamedFiles:
    """Tables of one kind, kept in a folder of the checkpoint; these are a person's work, so not in its cache.

    Attributes:
        folder: its name. kind: what one is called, "selection" or "path"; names the widgets too.
    """

    run: Run
    folder: str
    kind: str

    @property
    def place(self) -> Path:
        """The folder."""
        return self.run.folder / self.folder

    def names(self) -> list[str]:
        """What is kept."""
        return sorted(path.stem for path in self.place.glob("*.parquet") if NAME.fullmatch(path.stem))

    def keep(self, name: str, data: bytes) -> None:
        """Keeps Parquet under a name; one of that name is replaced.

        Raises:
            DaliError: no such name can be a file's, or the folder cannot be written.
        """
        if not NAME.fullmatch(name):
            raise DaliError(
                f"A {self.kind} is named by 1 to 40 letters, digits, blanks, dots and dashes; found {name!r}."
            )
        write_bytes(self.place / f"{name}.parquet", data)

    def show_error(self) -> None:
        """Why a kept one could not be shown."""
        if error := st.session_state.pop(f"{self.kind}_error", None):
            st.error(markdown(error))

    def show_saving(self, forms: dict[str, Callable[[], bytes]]) -> None:
        """A name to keep it under, and a download of each form."""
        with st.container(horizontal=True, vertical_alignment="bottom"):
            name = st.text_input("Name", key=f"{self.kind}_name", width=220, placeholder="for example fast swings")
            if st.button("Keep", icon=":material/bookmark_add:", disabled=not name, key=f"{self.kind}_keep"):
                self.keep(name, forms["parquet"]())
                st.toast(f"Kept as {markdown(name)}.")
            for form, make in forms.items():
                download(LABELS[form], make, f"{self.run.name}-{self.kind}.{form}", key=f"{self.kind}_{form}")

    def show_reading(self, read: Callable[[bytes, str], T]) -> T | None:
        """What was asked to be shown in this run of the script, of those kept or of an uploaded file; None of neither.

        Args:
            read: of bytes and a file's name.

        Raises:
            DaliError: the uploaded file is none.
        """
        asked = f"{self.kind}_asked"
        kept = self.names()
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if kept:
                chosen = st.selectbox("Kept", kept, key=f"{self.kind}_kept:{self.run.folder}", width=220)
                if st.button("Show", icon=":material/bookmark:", key=f"{self.kind}_show"):
                    path = self.place / f"{chosen}.parquet"
                    try:
                        return read(read_bytes(path), path.name)
                    except (DaliError, OSError) as error:
                        st.session_state[f"{self.kind}_error"] = str(error)
                        st.rerun()
            file = st.file_uploader("Read a file of records", FORMATS, key=f"{self.kind}_file")
        if file is not None and st.session_state.get(asked) != file.file_id:  # once: what is drawn afterwards stays
            shown = read(file.getvalue(), file.name)
            st.session_state[asked] = file.file_id
            return shown
        return None


def show_keeping(run: Run, episodes: Episodes) -> None:
    """What is done with a whole selection: kept, exported; and how a kept or exported one comes back."""
    files = NamedFiles(run, "selections", "selection")
    records = selected_records(run, episodes)
    files.show_error()
    with st.expander("Keep, export and read selections", icon=":material/bookmark:"):
        if records is not None:
            table = selection_table(episodes, run.spec, records)
            files.show_saving({form: partial(write_selection, table, form) for form in FORMATS})
        shown = files.show_reading(lambda data, name: read_selection(data, name, episodes))
        if shown is not None:
            forget_lasso(run)
            st.session_state[selection_key(run)] = shown
            st.rerun()
