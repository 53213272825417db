"""What others wrote, figures and moments, as they may stand on a terminal."""

import math
import re
from datetime import UTC, datetime

from rich.text import Text

# control characters, and those that turn the direction of writing
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """Text without what a terminal would obey; a replacement character stands for each.

    >>> plain("red \\x1b[31m") == "red \\ufffd[31m"
    True
    """
    return _UNSAFE.sub("\ufffd", text.encode("utf-8", "replace").decode())


def figure(value: float, form: str) -> str:
    """A figure; a dash where there was nothing to take it from."""
    return "–" if math.isnan(value) else format(value, form)


def moment(at_ms: int) -> str:
    """A moment as people read it; the number where no calendar has it."""
    try:
        return datetime.fromtimestamp(at_ms / 1000.0, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{at_ms} ms"


def shown(text: str, style: str = "") -> Text:
    """The same for rich, which would also obey its own markup."""
    return Text(plain(text), style=style)
