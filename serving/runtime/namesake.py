"""Two workers of one name: each takes the other's place in the group, each second for ever, and both answer."""

from collections import deque

# after a pause longer than the session, or where a broker was killed, the group does not know a member once or twice
FORGOTTEN_MAX, FORGOTTEN_MS = 5, 30_000


class Namesake:
    """Suspects one. aiokafka does not say that a place was taken, only that the group does not know us: it joins anew then, without a member id.

    >>> namesake = Namesake()
    >>> [namesake.suspected(1000.0 * second) for second in range(FORGOTTEN_MAX)]
    [False, False, False, False, True]
    """

    def __init__(self) -> None:
        self._forgotten = deque[float](maxlen=FORGOTTEN_MAX)  # when the group did not know us any more

    def suspected(self, now_ms: float) -> bool:
        """The group does not know us, once more: whether that is too often for anything else."""
        self._forgotten.append(now_ms)
        return len(self._forgotten) == FORGOTTEN_MAX and now_ms - self._forgotten[0] < FORGOTTEN_MS
