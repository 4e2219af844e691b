"""Small pieces that pages share, so that they look and speak alike."""

import re
from collections.abc import Callable
from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from dali.envs import units
from dali.envs.units import MISSING
from dali.studio.address import enter_page

_FRONTEND = Path(__file__).parent / "frontend"
# Files of our own: Streamlit would fetch a Material symbol from the network for the tab.
ICON, LOGO = str(_FRONTEND / "icon.svg"), str(_FRONTEND / "logo.svg")
APP = "DALI Studio"
# A title never breaks inside a word on a phone, nor takes a tenth of a screen on a desk.
_MARGINS = """
[data-testid=stMainBlockContainer] {padding: 2.5rem 2.5rem 4rem}
[data-testid=stMainBlockContainer] h1 {padding: 0; font-size: clamp(1.5rem, 5.5vw, 2.25rem)}
@media (max-width: 640px) {[data-testid=stMainBlockContainer] {padding: 3.5rem 1rem 4rem}}
"""
# Headings that differ by their rank and not by half a screen.
HEADINGS = """<style>
[data-testid=stMainBlockContainer] h2 {padding: 0.75rem 0 0; font-size: 1.5rem}
[data-testid=stMainBlockContainer] h3 {padding: 0.25rem 0 0; font-size: 1.2rem}
</style>"""


def begin_app() -> None:
    """Marks that app.py runs, and sets narrower margins than Streamlit's, which leave a third of a screen empty."""
    st.session_state["app"] = True
    st.html(f"<style>{_MARGINS}</style>")


def require_app() -> None:
    """Starts over where a page runs without app.py.

    Until some session has run app.py, Streamlit takes a folder named pages/ for its older kind of app, and runs a page
    that is opened by its URL alone, without navigation and layout. Nothing public tells it otherwise from a page.
    """
    if not st.session_state.get("app") and not st.session_state.get("restarted"):
        st.session_state["restarted"] = True
        PagesManager.uses_pages_directory = False
        st.rerun()


def header(title: str, text: str) -> None:
    """A page's title and the two sentences that say what it shows."""
    require_app()
    enter_page(title)
    st.set_page_config(page_title=title if title == APP else f"{title} · {APP}")
    st.title(title, anchor=False)
    st.markdown(text)


def plain(text: str) -> str:
    """Text as it stands, for places that read Markdown: what came from a file or a URL cannot format anything."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def dark_theme() -> bool:
    """True where the person's page is dark; figures choose colours that can be seen on it."""
    return st.context.theme.type == "dark"


def demote_headings(text: str, levels: int) -> str:
    """Markdown whose headings stand some levels lower, to be shown within a page; code blocks are left alone."""
    out, fenced = [], False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        heading = not fenced and re.match(r"#{1,6} ", line)
        out.append("#" * min(levels, 7 - len(heading[0])) + line if heading else line)
    return "\n".join(out)


def recomputed_by(command: str) -> None:
    """The command that recomputes the figures above."""
    st.caption(f"Recompute with `{command}`")


Data = str | bytes | Callable[[], str | bytes]


def download(label: str, data: Data, name: str, mime: str | None = None, key: str | None = None) -> None:
    """A button that saves data, or what a function makes of it once pressed, without the page running anew."""
    st.download_button(label, data, name, mime, key, on_click="ignore", icon=":material/download:")


def shown_path(folder: Path) -> Path:
    """The folder as commands name it: relative to where the dashboard was started, if it lies below."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def number(value: float | None, digits: int = 2, unit: str = "") -> str:
    """A figure with its unit, thousands parted; a dash where there is none."""
    return MISSING if value is None else units.measured(units.number(value, digits, ","), unit)
