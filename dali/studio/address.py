"""What pages keep in the URL beside their own state: read where the page was opened with it, or the browser's Back asks
for it, and written where a widget changed it.

A default is not written out. So a URL without a name asks for nothing where a page is entered, which then stays as it
was left; while the page is shown, it asks for the default.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import streamlit as st

from dali.files.text import markdown

PAGE, ENTERED = "page_now", "page_entered"  # session state: the page shown, and whether it was entered in this run

T = TypeVar("T")


def enter_page(title: str) -> None:
    """Notes which page runs, before anything of it is read."""
    session = st.session_state
    session[ENTERED] = session.get(PAGE) != title
    session[PAGE] = title


def take(name: str, key: str, default: T, read: Callable[[str], T]) -> None:
    """Puts what the URL says under a name into a widget's value, before the widget is made.

    Args:
        key: the widget's. read: of the text; raises ValueError, with what was expected, where it is none of the values.
    """
    session, text = st.session_state, st.query_params.get(name)
    entered = session.get(ENTERED, True)
    if not entered and key in session and session[key] != session.get(_put(key), session[key]):
        return  # the widget moved before the browser had heard of the URL that its last move was given
    if text is None:
        if not entered and session.get(_written(key)) is not None:
            session[key] = default
        return
    if text == session.get(_written(key)):
        return
    try:
        session[key] = read(text)
    except ValueError as error:
        st.warning(markdown(f"{name}={text} of the URL was not followed: {error}."), icon=":material/info:")


def put(name: str, key: str, value: Any, default: Any) -> None:
    """Lets the URL follow a widget's value."""
    shown = None if value == default else str(value)
    if st.query_params.get(name) != shown:
        if shown is None:
            del st.query_params[name]
        else:
            st.query_params[name] = shown
    st.session_state[_written(key)], st.session_state[_put(key)] = shown, st.session_state.get(key, value)


def follower(name: str, value: Any, take: Callable[[Any], None]) -> dict[str, Any]:
    """Key and callback of a widget that shows a value which other widgets may change too.

    A change of theirs makes it a new widget. What a busy browser still sends of the old one, because it has not heard
    of the new value, would pass for a person's entry and undo the change; of an old widget nothing is taken.

    Args:
        take: is handed what a person enters.
    """
    session, count = st.session_state, f"follower:{name}"
    number = session.setdefault(count, 0)
    if session.get(f"{name}:{number}", value) != value:
        number = session[count] = number + 1
    key = f"{name}:{number}"
    session[key] = value

    def follow() -> None:
        if session[count] == number:
            take(session[key])

    return {"key": key, "on_change": follow}


def one_of(options: Sequence[T] | Mapping[str, T]) -> Callable[[str], T]:
    """Reads one of some values by its text."""
    by_text = dict(options) if isinstance(options, Mapping) else {str(option): option for option in options}

    def read(text: str) -> T:
        if text not in by_text:
            raise ValueError(f"expected one of {', '.join(by_text)}")
        return by_text[text]

    return read


def choose_view(key: str, views: Sequence[str]) -> str:
    """A page's views as buttons; the chosen one is kept in the URL as ``view`` and in the session."""
    take("view", key, views[0], one_of(views))
    view = st.segmented_control(
        "View", views, default=None if key in st.session_state else views[0], required=True, key=key,
        persist_state="session", label_visibility="collapsed",
    )  # fmt: skip
    assert view is not None  # one is always chosen
    put("view", key, view, views[0])
    return view


def _written(key: str) -> str:
    return f"url_of:{key}"


def _put(key: str) -> str:
    return f"value_of:{key}"
