"""A partitioned log in memory with what the write path asks of Kafka: transactions, fencing, `read_committed`, compaction.

As in Kafka, offsets have holes: ends of transactions take one, aborted records and compacted ones are skipped. A reader stops before
the first record of a transaction that is still open.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from typing import Literal

from streams.steps import Record


class FencedError(Exception):
    """A newer producer has this transactional id."""


@dataclass(slots=True, eq=False)
class Transaction:
    """What was sent becomes readable, or never, for all partitions at once."""

    state: Literal["open", "committed", "aborted"] = "open"
    touched: set[tuple[str, int]] = field(default_factory=set)


_OFFSET = attrgetter("offset")
ALONE = Transaction("committed")  # of what is sent without a transaction


@dataclass(frozen=True, slots=True)
class Entry:
    offset: int
    key: bytes | None
    value: bytes | None
    transaction: Transaction


class Log:
    """Topics by name, partitions by number; both are there once somebody writes to them.

    fencing : False breaks it: an old producer may go on
    """

    def __init__(self, *, fencing: bool = True) -> None:
        self.fencing = fencing
        self._entries: dict[tuple[str, int], list[Entry]] = {}
        self._next: dict[tuple[str, int], int] = {}
        self._epochs: dict[str, int] = {}
        self._open: dict[str, Transaction] = {}

    def append(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        """Write one record, readable at once."""
        self._write(topic, partition, key, value, ALONE)

    def producer(self, transactional_id: str) -> "Producer":
        """A new producer: it fences the one before, whose open transaction ends without effect."""
        epoch = self._epochs[transactional_id] = self._epochs.get(transactional_id, 0) + 1
        self._end(transactional_id, "aborted")
        return Producer(self, transactional_id, epoch)

    def fenced(self, producer: "Producer") -> bool:
        """Whether a newer producer has its transactional id."""
        return producer._epoch != self._epochs[producer._id]

    def expire(self, transactional_id: str) -> None:
        """A transaction that took too long: it ends without effect, and whoever began it is fenced."""
        self._epochs[transactional_id] = self._epochs.get(transactional_id, 0) + 1
        self._end(transactional_id, "aborted")

    def read(self, topic: str, partition: int, start: int, limit: int) -> tuple[list[Record], int]:
        """Committed records from offset `start` on, and where to read on."""
        records = list[Record]()
        entries = self._entries.get((topic, partition), [])
        for entry in islice(entries, bisect_left(entries, start, key=_OFFSET) if start else 0, None):
            if entry.transaction.state == "open" or len(records) == limit:
                break
            start = entry.offset + 1
            if entry.transaction.state == "committed":
                records.append(Record(topic, entry.offset, entry.key, entry.value, 0))
        return records, start

    def end(self, topic: str, partition: int) -> int:
        """The offset that the next record will have."""
        return self._next.get((topic, partition), 0)

    def all(self, topic: str, partition: int) -> list[Record]:
        """Everything that a reader from the beginning sees."""
        return self.read(topic, partition, 0, 1 << 60)[0]

    def latest(self, topic: str, partition: int) -> dict[bytes, bytes]:
        """The last value of each key that has one."""
        rows = dict[bytes, bytes | None]()
        for record in self.all(topic, partition):
            assert record.key is not None
            rows[record.key] = record.value
        return {key: value for key, value in rows.items() if value is not None}

    def compact(self, topic: str, partition: int, before: int) -> None:
        """Below an offset keep the last value of each key only; open transactions and what follows them stay."""
        entries = self._entries.get((topic, partition), [])
        clean = entries[: bisect_left(entries, before, key=_OFFSET)]
        if any(entry.transaction.state == "open" for entry in clean):
            return
        last = {entry.key: entry for entry in clean if entry.transaction.state == "committed"}
        kept = sorted(last.values(), key=lambda entry: entry.offset)
        self._entries[topic, partition] = kept + entries[len(clean) :]

    def _write(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, transaction: Transaction
    ) -> None:
        place = topic, partition
        offset = self._next.get(place, 0)
        self._next[place] = offset + 1
        self._entries.setdefault(place, []).append(Entry(offset, key, value, transaction))
        transaction.touched.add(place)

    def _end(self, transactional_id: str, state: Literal["committed", "aborted"]) -> None:
        transaction = self._open.pop(transactional_id, None)
        if transaction is None:
            return
        transaction.state = state
        for place in transaction.touched:
            self._next[place] += 1  # the marker of the end


class Producer:
    """A transactional producer."""

    def __init__(self, log: Log, transactional_id: str, epoch: int) -> None:
        self._log, self._id, self._epoch = log, transactional_id, epoch

    def send(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        """Write within the transaction, which begins with its first record."""
        self._check()
        transaction = self._log._open.setdefault(self._id, Transaction())
        self._log._write(topic, partition, key, value, transaction)

    def commit(self) -> None:
        """End the transaction: all of it is readable now."""
        self._check()
        self._log._end(self._id, "committed")

    def abort(self) -> None:
        """End the transaction without effect."""
        self._check()
        self._log._end(self._id, "aborted")

    def _check(self) -> None:
        if self._log.fencing and self._epoch != self._log._epochs[self._id]:
            raise FencedError(f"{self._id}: epoch {self._epoch}, the newest is {self._log._epochs[self._id]}")
