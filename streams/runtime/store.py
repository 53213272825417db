"""Rows of one partition number, their changelog, and the watermarks: the next offset of each input that they have not seen.

A commit is one Kafka transaction:
1. the changed rows go to the changelog;
2. the outputs go to their topics;
3. the watermarks go to the changelog, as row b"w";
4. the broker has acknowledged all of them: one that it refuses ends the process, and the transaction with it;
5. the transaction ends: readers (`read_committed`) see all of it, or nothing.
A worker that dies between 1 and 5 leaves an open transaction, which its successor's producer of the same transactional id ends before it
reads the changelog; what the rows have not seen is then delivered again, what they have seen is skipped by the watermark.
"""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streams.runtime.exits import FAILED, RefusedError, UnendedError
from streams.runtime.membership import check_reading
from streams.runtime.settings import Settings
from streams.steps import WATERMARK, Processor, Step, laid_out

log = logging.getLogger(__name__)
COMMIT_S = 45.0  # the broker itself ends a transaction after 30
REQUEST_BYTES_MAX = 16 << 20
# A broker answers a fetch when there are records, or after this long: the time that a partition may lose which could not be asked for
# while the others were. Shorter waits keep brokers and readers busy with asking.
WAIT_MS = 100
RESTORED_AT_ONCE = 2000  # rows, about 20 ms: then the group's other partitions, and the followers, have their turn


class Store:
    """The transactional store under one processor."""

    def __init__(self, settings: Settings, name: str, partition: int, processor: Processor) -> None:
        self.settings, self.name, self.partition, self.processor = settings, name, partition, processor
        self.watermarks: dict[str, int] = {}  # by logical topic
        self.restored_rows, self.restore_s = 0, 0.0
        self._producer: AIOKafkaProducer | None = None
        self._changelog_end = 0  # no row of ours comes before it any more

    async def open(self) -> None:
        """Fence the partition's previous owner, end its transaction, and read the rows."""
        self._producer = AIOKafkaProducer(
            **self.settings.client(),
            transactional_id=f"{self.settings.prefix}segue-{self.name}-{self.partition}",
            transaction_timeout_ms=30_000,
            retry_backoff_ms=3,
            max_batch_size=262_144,
            max_request_size=REQUEST_BYTES_MAX,
        )
        await self._producer.start()
        began = time.monotonic()
        for topic in (self.processor.changelog, *self.processor.restores):
            await self._restore(topic)
        self.restore_s = time.monotonic() - began

    async def _restore(self, topic: str) -> None:
        tp = TopicPartition(self.settings.topic(topic), self.partition)
        reader = AIOKafkaConsumer(**self.settings.client(), **READER)
        await reader.start()
        try:
            async for records in read_to_end(reader, tp, at_once=RESTORED_AT_ONCE):
                self._take(topic, [(record.key, record.value) for record in records])
                await asyncio.sleep(0)
            if topic == self.processor.changelog:
                self._changelog_end = await reader.position(tp)
                self._check_end(tp, reader.highwater(tp) or 0)
        finally:
            await reader.stop()

    def _check_end(self, tp: TopicPartition, end: int) -> None:
        """UnendedError where rows are hidden: what is written now would come after them, and the end of our next transaction show them."""
        if hidden := max(0, end - self._changelog_end):
            raise UnendedError(
                f"{tp.topic}[{tp.partition}]: its last {hidden} records are of a transaction that has not ended, and the broker hides them, though "
                "whoever wrote them is fenced. Ending, to read them again; where that goes on, Kafka has lost its end: abort it with Kafka's "
                f"`kafka-transactions.sh`, and delete the consumer group {self.settings.prefix}segue-{self.name} to learn again from what the inputs "
                "still hold"
            )

    def _take(self, topic: str, rows: Sequence[tuple[bytes, bytes | None]]) -> None:
        marks = list[bytes | None]()
        if topic == self.processor.changelog:
            marks = [value for key, value in rows if key == WATERMARK]
            if marks:
                self.watermarks = msgspec.msgpack.decode(marks[-1] or b"", type=dict[str, int])
                rows = [row for row in rows if row[0] != WATERMARK]
        self.processor.restore(topic, rows)
        self.restored_rows += len(rows) + len(marks)

    async def commit(self, step: Step, watermarks: Mapping[str, int]) -> None:
        """One transaction; see the module's numbered steps."""
        producer, name_of = self._producer, self.settings.topic
        assert producer is not None, "a store is opened before it commits"
        marks = {**self.watermarks, **watermarks}
        stuck = asyncio.get_running_loop().call_later(COMMIT_S, self._end_stuck)
        try:
            async with producer.transaction():
                sent = []
                for topic, key, value, to in laid_out(step, self.processor.changelog, marks):
                    partition = self.partition if to is None else to
                    sent.append(await producer.send(name_of(topic), value, key, partition=partition))
                # a record that the broker refused must not be missing from what is committed
                self._check_changelog(await asyncio.gather(*sent))
        finally:
            stuck.cancel()
        self.watermarks = marks

    async def check_owner(self) -> None:
        """Kafka's ProducerFenced where a successor has the partition. Nothing is written that anybody reads."""
        producer = self._producer
        assert producer is not None, "a store is opened before it is checked"
        await producer.begin_transaction()
        changelog = self.settings.topic(self.processor.changelog)
        await (await producer.send(changelog, b"", WATERMARK, partition=self.partition))
        await producer.abort_transaction()

    def _end_stuck(self) -> None:
        """Kafka's client waits for ever for a topic that is gone; nothing can be awaited of it any more."""
        log.critical(
            "partition %d of %s: Kafka did not take a transaction within %g s: is it away, or was %s, or a topic that it writes to, deleted? Ending, "
            "to start again from what is committed",
            *(self.partition, self.name, COMMIT_S, self.settings.topic(self.processor.changelog)),
        )
        os._exit(FAILED)

    def _check_changelog(self, written: Sequence[Any]) -> None:
        """RefusedError where the changelog is shorter than it was: rows that do not change now are not in it any more."""
        name = self.settings.topic(self.processor.changelog)
        first = next(each.offset for each in written if each.topic == name)
        if 0 <= first < self._changelog_end:  # -1: written before, and the broker does not know where
            raise RefusedError(
                f"{name}[{self.partition}] ended at {self._changelog_end}, and now at {first}: it was deleted or cut under a running worker. "
                f"Restore it, or delete the consumer group {self.settings.prefix}segue-{self.name} to learn again from what the inputs still hold"
            )
        self._changelog_end = max(self._changelog_end, written[-1].offset + 1)

    async def close(self) -> None:
        """Give the transactional id back."""
        if self._producer is not None:
            await self._producer.stop()


READER: dict[str, Any] = {  # of every consumer that is in no group
    "isolation_level": "read_committed",
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "max_partition_fetch_bytes": 4 << 20,
    "fetch_max_wait_ms": WAIT_MS,
}


async def rewind(reader: AIOKafkaConsumer, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
    """Go to the beginnings of partitions, and answer their ends: both asked for at once, since what comes behind a fetch waits for as long as that may."""
    ends, _ = await asyncio.gather(reader.end_offsets(list(partitions)), reader.seek_to_beginning(*partitions))
    return dict(ends)


async def go_on_with(reader: AIOKafkaConsumer, wanted: Collection[TopicPartition]) -> set[TopicPartition]:
    """Read these partitions from now on, those that were read before from where that stands; answers the others."""
    kept = {tp: await reader.position(tp) for tp in reader.assignment() & set(wanted)}
    reader.assign(list(wanted))
    for tp, offset in kept.items():
        reader.seek(tp, offset)
    return set(wanted) - kept.keys()


async def read_to_end(
    reader: AIOKafkaConsumer, tp: TopicPartition, start: int | None = None, *, at_once: int = 10_000
) -> AsyncIterator[list[Any]]:
    """Records of a partition from `start`, or its beginning, to the end that it has now, in the handfuls that fetches bring; the reader has nothing else then."""
    reader.assign([tp])
    if start is None:
        ends = await rewind(reader, [tp])
    else:
        reader.seek(tp, start)
        ends = await reader.end_offsets([tp])
    end = ends[tp]
    while await reader.position(tp) < end:
        check_reading(reader)
        fetched = (await reader.getmany(timeout_ms=200, max_records=at_once)).get(tp, ())
        if records := [record for record in fetched if record.offset < end]:
            yield records
