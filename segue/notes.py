"""Notes on what goes on, for whoever started it."""

import sys
from collections.abc import Callable


class Notes:
    """To stderr, or to `listener` while there is one: the live view."""

    listener: Callable[[str], None] | None = None

    def __call__(self, line: str) -> None:
        if self.listener is not None:
            self.listener(line)
        else:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
