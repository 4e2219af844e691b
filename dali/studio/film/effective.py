"""The search for the physics that a film's dream follows takes longer than the film: one at a time of all visitors'."""

import threading
import time

import streamlit as st

from dali.dreams.film import Film

REST = 0.15  # s that a visitor rests at a film before its physics is sought: a slider on its way needs the processor
TURN = 0.05  # s between two looks at whether the visitor has asked for something else

_search = threading.Lock()


def find_effective(film: Film) -> None:
    """Finds a film's effective physics when its turn comes; a script whose visitor has moved on by then ends instead.

    Streamlit starts a visitor's next script beside one that adds no element to the page. Without turns that are given
    up, each position of a slider that moves faster than physics is found would keep a thread and its film waiting.
    """
    place = st.empty()
    if film.effective_known:
        return
    rested = time.monotonic() + REST
    while time.monotonic() < rested:
        time.sleep(TURN)
        place.empty()  # any element: here Streamlit ends a script that is no longer wanted
    while not _search.acquire(timeout=TURN):
        place.empty()
    try:
        _ = film.effective
    finally:
        _search.release()
