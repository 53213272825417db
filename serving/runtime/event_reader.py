"""Reads listening events ahead of the learners: plain aiokafka, no group. What it reads is pending until the listeners' rows have seen it."""

import time
from collections.abc import Collection, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition

from serving.pending import PendingEvent, PendingEvents
from streams.runtime.settings import Settings
from streams.runtime.store import READER
from streams.topics import LISTENING_EVENTS

AT_ONCE = 2000  # records, a few milliseconds


class EventReader:
    """Feeds `pending` with the events of some partitions."""

    def __init__(self, settings: Settings, pending: PendingEvents) -> None:
        self.settings, self.pending = settings, pending
        self._name = settings.topic(LISTENING_EVENTS)
        self._reader = AIOKafkaConsumer(**settings.client(), **READER)

    async def start(self) -> None:
        """Connect; nothing is read before `assign`."""
        await self._reader.start()

    async def stop(self) -> None:
        """Stop reading."""
        await self._reader.stop()

    async def assign(self, partitions: Collection[int], marks: Mapping[int, int]) -> None:
        """Read these partitions; one that is new, from its mark on, or as far from its end as is held.

        marks : by partition, how far the rows have read the events
        """
        wanted = {TopicPartition(self._name, number) for number in partitions}
        before = set(self._reader.assignment())
        kept = {tp: await self._reader.position(tp) for tp in wanted & before}
        self._reader.assign(list(wanted))
        for tp, offset in kept.items():
            self._reader.seek(tp, offset)
        new = list(wanted - before)
        ends = await self._reader.end_offsets(new) if new else {}
        self.pending.keep_only({tp.partition for tp in kept})
        for tp, end in ends.items():
            mark = marks.get(tp.partition, 0)
            start = max(mark, end - self.pending.events_max)
            self.pending.begin(tp.partition, start, mark)
            self._reader.seek(tp, start)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            for tp, records in (await self._reader.getmany(timeout_ms=100, max_records=AT_ONCE)).items():
                now_ms = time.time_ns() // 1_000_000
                self.pending.take(
                    tp.partition, [PendingEvent(each.offset, each.key, each.value, now_ms) for each in records]
                )
