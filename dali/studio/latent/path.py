"""The path on the map: its points, clicked or drawn, which the URL and the session keep."""

import numpy as np
import streamlit as st

from dali.codes.paths import CodePath, codes_along, path_along_line, path_from_text, waypoints_of
from dali.codes.points import Points
from dali.episodes import Episodes
from dali.errors import DaliError
from dali.files.text import markdown
from dali.studio.address import ENTERED
from dali.studio.latent.projections import Map
from dali.studio.latent.selection import forget_lasso
from dali.studio.loaders import Run

PATH = "path"  # of the URL
SAID = "path_said"  # a sentence to show once
SHOWN = 60  # places of the line on the map


def path_key(run: Run) -> str:
    return f"path:{run.folder}"


def get_path(run: Run) -> CodePath:
    """The path of a run, without points where none was begun."""
    return st.session_state.get(path_key(run), CodePath())


def set_path(run: Run, path: CodePath) -> None:
    """Makes it the path of a run. The map is another figure then, which must show the selection anew."""
    st.session_state[path_key(run)] = path
    st.session_state.pop(f"baked:{run.folder}", None)


def follow_url(run: Run, episodes: Episodes) -> None:
    """Takes the path of the URL where it was opened with one, or changed from outside, as the browser's Back does."""
    text, written = st.query_params.get(PATH), st.session_state.get(f"path_written:{run.folder}")
    entered = st.session_state.get(ENTERED, True)
    if text is None and written and not entered:
        text = ""  # the browser's Back, to before the path
    if text is None or text == written:
        return
    if not entered and written is not None and get_path(run).to_text() != written:
        return  # a point was added before the browser had heard of the last one's URL
    try:
        path = path_from_text(text, episodes)
    except DaliError as error:
        st.session_state[SAID] = f"path={text} of the URL was not followed: {error}"
        path = CodePath()
    if path != get_path(run):
        set_path(run, path)


def write_url(run: Run) -> None:
    """Lets the URL follow the path; without one it has none."""
    text = get_path(run).to_text()
    if st.query_params.get(PATH, "") != text:
        if text:
            st.query_params[PATH] = text
        else:
            del st.query_params[PATH]
    st.session_state[f"path_written:{run.folder}"] = text


def add_point(run: Run, episode: int, t: int) -> None:
    """The record that was clicked becomes the path's next point."""
    try:
        set_path(run, get_path(run).then(episode, t))
    except DaliError as error:
        st.session_state[SAID] = str(error)


def take_line(run: Run, line: np.ndarray, coordinates: np.ndarray, points: Points) -> None:
    """The line (P, 2) that was drawn becomes the path, by the records nearest to it."""
    try:
        set_path(run, path_along_line(line, coordinates, points))
        forget_lasso(run)  # the browser still shows the line
    except DaliError as error:
        st.session_state[SAID] = str(error)


def take_back(run: Run) -> None:
    """Undoes the last point."""
    set_path(run, CodePath(get_path(run).records[:-1]))


def clear(run: Run) -> None:
    """Ends the path; the next click begins another."""
    set_path(run, CodePath())


def on_map(run: Run, episodes: Episodes, shown: Map) -> tuple[np.ndarray, np.ndarray] | None:
    """Line (N, k) and points (W, k) of the path on a map; None without points."""
    path = get_path(run)
    if not path.records:
        return None
    codes = waypoints_of(path, episodes)
    try:
        line = codes_along(codes, SHOWN)
    except DaliError:  # one point, or all of one code: a place and no line
        line = codes
    return shown.place(line), shown.place(codes)


def show_said() -> None:
    """What of a click, a line or a URL was not followed."""
    if text := st.session_state.pop(SAID, None):
        st.warning(markdown(text), icon=":material/info:")
