"""How text gets to a terminal: styled if it is one and the user wants it, and never with somebody else's escapes."""

import os
from collections.abc import Callable
from typing import TextIO

#: SGR parameters
_STYLES = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36", "dim": "2"}

Paint = Callable[[str, str], str]


def painter(stream: TextIO | None) -> Paint:
    """``paint("bold", text)``. Plain text if the stream is no terminal, or NO_COLOR is set (https://no-color.org)."""
    colours = stream is not None and stream.isatty() and not os.environ.get("NO_COLOR")
    if not colours or os.environ.get("TERM") == "dumb":
        return lambda _style, text: text
    return lambda style, text: f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def many(count: int, noun: str) -> str:
    """``1 program``, ``2 programs``."""
    return f"{count} {noun}{'s' * (count != 1)}"


def printable(text: str) -> str:
    """Somebody else's text, safe to print: what is no printable ASCII becomes an escape."""
    return "".join(c if " " <= c <= "~" else c.encode("unicode_escape").decode() for c in text)
