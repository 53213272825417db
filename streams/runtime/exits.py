"""Exit codes of workers that end because they must; `docs/operations.md` says what to do."""

FAILED = 70  # an error; nothing was committed by what failed, a fresh process replays it
CHUNK_LOST = 71  # delivery had a hole
REFUSED = 72  # rows and input do not belong together, or two workers have one name: somebody must decide


class RefusedError(RuntimeError):
    """Rows and input do not belong together: somebody must decide, the process ends with REFUSED."""


class UnendedError(RuntimeError):
    """Rows cannot be read yet, since a transaction has not ended: the process ends with FAILED, a fresh one reads again."""
