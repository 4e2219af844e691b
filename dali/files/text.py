"""Text that comes from files and from people, made safe for where it is shown: a sentence, a terminal, Markdown."""

import re
import unicodedata

SHORT = 80  # characters of a quoted value
_MARKDOWN = re.compile(r"([\\`*_\[\]<|~$#])")
_BACKTICKS = re.compile(r"`+")
_IMAGE = re.compile(r"!(?=\[)")


def shorten(text: str, limit: int) -> str:
    """At most ``limit`` characters, with the middle left out."""
    if len(text) <= limit:
        return text
    kept = limit - 5
    return f"{text[: kept - kept // 3]} ... {text[len(text) - kept // 3 :]}"


def quote(value: object) -> str:
    """A value as an error message quotes it: its repr, cut short where it is long."""
    if isinstance(value, (list, dict, tuple)):  # a repr of these may recurse deeply, and says little
        return f"{type(value).__name__} of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    return shorten(repr(value), SHORT)


def plain(text: str) -> str:
    """Text for a terminal: control characters and those that turn the reading direction are shown as escapes."""
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs") else ascii(c)[1:-1] for c in text
    )


def markdown(text: object) -> str:
    """Text for Markdown, shown as it is: no link, no image, no emphasis, no HTML, no formula."""
    return _MARKDOWN.sub(r"\\\1", plain(str(text)))


def code_span(text: object) -> str:
    """Text for Markdown as code, whatever backticks it holds."""
    line = " ".join(plain(str(text)).split("\n"))
    fence = "`" * (1 + max((len(run) for run in _BACKTICKS.findall(line)), default=0))
    pad = " " if line[:1] == "`" or line[-1:] == "`" else ""
    return f"{fence}{pad}{line}{pad}{fence}" if line else ""


def without_images(text: str) -> str:
    """Markdown whose images are links, so that a page that shows it fetches nothing."""
    return _IMAGE.sub(r"\!", text)
