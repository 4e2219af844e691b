"""A film that plays by itself, silently, over and over, as one Streamlit component.

`st.video` notes that a film has played while its element is still being built. A busy browser builds it twice, and the
second time the film counts as played and stands still.
"""

import base64

import streamlit as st

from dali.studio.player import asset

_component = st.components.v2.component(
    "dali_looping_film",
    html="<video loop muted playsinline controls></video>",
    css="""
    video {display: block; width: 100%; border-radius: 0.5rem}
    video.inverted {filter: invert(0.93) hue-rotate(180deg)}  /* light ground turns dark, and hues stay */
    """,
    js=asset("looping.js"),
)


def looping_film(mp4: bytes, label: str, key: str, invert: bool = False) -> None:
    """Shows an mp4.

    Args:
        mp4: the film.
        label: what it shows, for those who cannot see it.
        key: names the place; another film there replaces the one before.
        invert: show a film on light ground as one on dark ground.
    """
    source = f"data:video/mp4;base64,{base64.b64encode(mp4).decode()}"
    _component(data={"source": source, "label": label, "invert": invert}, key=key)
