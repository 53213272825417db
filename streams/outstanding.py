"""Goal: a learner's own deltas, until their keepers have taken them. Not a goal: to send one again, which Kafka's log does.

Each keeper's are apart: one that stands still neither keeps others' deltas here nor makes their rows dearer to take.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from online_models.track import Doubles, Floats, Rows

ENTRY_BYTES = 600  # of a delta beside its numbers: objects, a place


class Sent(NamedTuple):
    """One delta as sent. kind : "counts" or "vectors"; rows : int32[n]; sums : float64 or float32[n, width]"""

    source: int
    seq: int
    kind: str
    rows: Rows
    sums: Doubles | Floats

    @property
    def bytes(self) -> int:
        return ENTRY_BYTES + self.rows.nbytes + self.sums.nbytes


class Outstanding:
    """Deltas by keeper. Where there are too many, the keeper who has most bytes is trusted with its oldest: what its rows do not hold yet of those
    is missing in the learner's view until they do.

    deltas_max, bytes_max : of all keepers together, but always one

    >>> import numpy as np
    >>> outstanding = Outstanding(bytes_max=1500)
    >>> for seq in range(4):
    ...     outstanding.add(0, Sent(7, seq, "counts", np.zeros(1, np.int32), np.zeros((1, 2))))
    >>> [each.seq for each in outstanding.of(0, {})], [each.seq for each in outstanding.of(0, {(0, 7): 2})]
    ([2, 3], [3])
    """

    def __init__(self, *, deltas_max: int = 20_000, bytes_max: int = 64 << 20) -> None:
        self.deltas_max, self.bytes_max = deltas_max, bytes_max
        self.bytes = self._deltas = 0
        self._of: dict[int, deque[Sent]] = {}
        self._bytes_of: dict[int, int] = {}

    def __len__(self) -> int:
        return self._deltas

    def add(self, keeper: int, sent: Sent) -> None:
        """Remember a delta that a keeper is to take."""
        self._of.setdefault(keeper, deque()).append(sent)
        self._count(keeper, 1, sent.bytes)
        while self._deltas > 1 and (self._deltas > self.deltas_max or self.bytes > self.bytes_max):
            self._drop_oldest(max(self._bytes_of, key=self._bytes_of.__getitem__))

    def of(self, keeper: int, taken: Mapping[tuple[int, int], int]) -> Iterator[Sent]:
        """The deltas that a keeper has not taken, the oldest first. taken : the last seq by (keeper, source)"""
        return (sent for sent in self._of.get(keeper, ()) if sent.seq > taken.get((keeper, sent.source), -1))

    def forget_taken(self, keeper: int, taken: Mapping[tuple[int, int], int]) -> None:
        """Forget the oldest deltas of a keeper, as far as it has taken them."""
        left = self._of.get(keeper, ())
        while left and left[0].seq <= taken.get((keeper, left[0].source), -1):
            self._drop_oldest(keeper)

    def _drop_oldest(self, keeper: int) -> None:
        self._count(keeper, -1, -self._of[keeper].popleft().bytes)

    def _count(self, keeper: int, deltas: int, bytes_: int) -> None:
        self._deltas += deltas
        self.bytes += bytes_
        self._bytes_of[keeper] = self._bytes_of.get(keeper, 0) + bytes_
