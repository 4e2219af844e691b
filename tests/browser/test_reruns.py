"""A page whose run is replaced by the next one while it ends: what that one shows stays alive."""

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

CONFIG = Path(__file__).resolve().parents[2] / ".streamlit"

# The first runs linger after their last element, as a page does on a busy machine; the run of the press does not.
SCRIPT = """
import time
import streamlit as st

@st.fragment(run_every=0.2)
def follow():
    st.session_state.looks = st.session_state.get("looks", 0) + 1
    st.write(f"looked {st.session_state.looks} times")

started = st.session_state.get("started", False)
if started:
    follow()
st.text_input("Seeds")
st.button("Start", on_click=lambda: st.session_state.update(started=True))
if not started:
    time.sleep(2)
"""


@pytest.fixture(scope="module")
def app(chromium, serve, tmp_path_factory):
    """That script, under the configuration of the dashboard."""
    folder = tmp_path_factory.mktemp("script")
    shutil.copytree(CONFIG, folder / ".streamlit")
    script = folder / "app.py"
    script.write_text(SCRIPT)
    return serve(folder, script)


def test_what_was_started_while_a_run_was_ending_is_followed(app, page):
    page.goto(app.url)
    box = page.get_by_role("textbox", name="Seeds")
    box.fill("8")
    box.press("Enter")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text(re.compile(r"looked [1-9]\d+ times"))).to_be_visible()
