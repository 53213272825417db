"""Events that the learners have not committed yet: a serving worker reads them too, so that a playlist need not wait for a transaction.

A learner's rows say with each commit how far they have read the events (the watermark). What comes after it is pending, in the order in which the
learner will take it. No I/O: it is fed events and watermarks.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from streams.messages import KEY_BYTES_MAX, VALUE_BYTES_MAX


class PendingEvent(NamedTuple):
    """One event as it was read; at_ms : when."""

    offset: int
    key: bytes | None
    value: bytes | None
    at_ms: int


class PendingEvents:
    """Pending events of some partitions, by their keys.

    Where more are pending than are held, the oldest go, and none of the partition is told of until the rows have seen those: what a learner
    foresees without them would be another history.

    events_max, bytes_max : of each partition

    >>> pending = PendingEvents()
    >>> pending.begin(0, 7, 7)
    >>> pending.take(0, [PendingEvent(offset, b"ann", b"{}", 0) for offset in (7, 8)])
    >>> len(pending.of(b"ann")), pending.learnt(0, 8), len(pending.of(b"ann"))
    (2, [b'ann'], 1)
    """

    def __init__(self, *, events_max: int = 5000, bytes_max: int = 8 << 20) -> None:
        self.events_max, self.bytes_max = events_max, bytes_max
        self._partitions: dict[int, _Partition] = {}

    def begin(self, partition: int, offset: int, watermark: int) -> None:
        """Events of a partition come from this offset on; its rows have seen those before the watermark."""
        self._partitions[partition] = _Partition(offset, watermark)

    def keep_only(self, partitions: Iterable[int]) -> None:
        """Let all other partitions go."""
        self._partitions = {number: self._partitions[number] for number in partitions if number in self._partitions}

    def take(self, partition: int, events: Iterable[PendingEvent]) -> None:
        """Take a partition's next events, in their order; of one that is too large for a learner, only that it was there."""
        this = self._partitions.get(partition)
        if this is None:  # fetched before the partition was let go
            return
        for event in events:
            if event.offset >= max(this.watermark, this.next_offset):  # read again after a seek
                this.add(_in_bounds(event))
        while len(this.events) > self.events_max or this.bytes > self.bytes_max:
            this.complete_from = this.drop_oldest().offset + 1

    def learnt(self, partition: int, watermark: int) -> list[bytes]:
        """The rows have seen all events before this offset; answers the keys of those that were pending."""
        this = self._partitions.get(partition)
        if this is None:
            return []
        this.watermark, gone = watermark, list[bytes]()
        while this.events and this.events[0].offset < watermark:
            gone.append(this.drop_oldest().key or b"")
        return gone

    def reaches(self, partition: int, offset: int) -> bool:
        """Whether an event and all before it were taken, or learnt, or will not be read here; of a partition that is not there too, since nobody can wait for it."""
        this = self._partitions.get(partition)
        return this is None or offset < max(this.next_offset, this.watermark)

    def of(self, key: bytes) -> list[PendingEvent]:
        """What is pending under a key, in its order."""
        return [
            event
            for partition in self._partitions.values()
            if partition.watermark >= partition.complete_from
            for event in partition.by_key.get(key, ())
        ]

    def __len__(self) -> int:
        return sum(len(partition.events) for partition in self._partitions.values())


class _Partition:
    """complete_from : the offset from which on nothing is missing that is pending."""

    def __init__(self, offset: int, watermark: int) -> None:
        self.events: deque[PendingEvent] = deque()
        self.by_key: dict[bytes, deque[PendingEvent]] = {}
        self.watermark, self.complete_from, self.next_offset = watermark, offset, offset
        self.bytes = 0

    def add(self, event: PendingEvent) -> None:
        self.events.append(event)
        self.next_offset = event.offset + 1
        self.by_key.setdefault(event.key or b"", deque()).append(event)
        self.bytes += len(event.key or b"") + len(event.value or b"")

    def drop_oldest(self) -> PendingEvent:
        event = self.events.popleft()
        key = event.key or b""
        self.by_key[key].popleft()
        if not self.by_key[key]:
            del self.by_key[key]
        self.bytes -= len(key) + len(event.value or b"")
        return event


def _in_bounds(event: PendingEvent) -> PendingEvent:
    if len(event.value or b"") <= VALUE_BYTES_MAX and len(event.key or b"") <= KEY_BYTES_MAX:
        return event
    return PendingEvent(event.offset, None, None, event.at_ms)
