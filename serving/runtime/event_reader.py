"""Reads listening events ahead of the learners: plain aiokafka, no group. What it reads is pending until the listeners' rows have seen it."""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, TopicPartition

from serving.pending import PendingEvent, PendingEvents
from streams.runtime.access import refused
from streams.runtime.membership import check_reading
from streams.runtime.settings import Settings
from streams.runtime.store import READER, go_on_with
from streams.topics import LISTENING_EVENTS

AT_ONCE = 2000  # records, a few milliseconds
READ_S = 1.0  # so long whoever assigns partitions waits for what is pending there
RETRY_S = 1.0

log = logging.getLogger(__name__)


class EventReader:
    """Feeds `pending` with the events of some partitions. Where it cannot read, nothing is pending: playlists go by the rows alone until it can.

    failures : how often it could not
    """

    def __init__(self, settings: Settings, pending: PendingEvents) -> None:
        self.settings, self.pending, self.failures = settings, pending, 0
        self._name = settings.topic(LISTENING_EVENTS)
        self._reader = AIOKafkaConsumer(**settings.client(), **READER)
        self._wanted: set[TopicPartition] = set()
        self._watermarks: Mapping[int, int] = {}
        self._ends: dict[TopicPartition, int] = {}  # of those that it has not read up to there
        self._reached, self._more = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect; nothing is read before `assign`."""
        await self._reader.start()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._reader.stop()

    async def assign(self, partitions: Collection[int], watermarks: Mapping[int, int]) -> None:
        """Read these partitions; a new one from its watermark on, or as far from its end as is held. Returns once what is there was read, or soon.

        watermarks : by partition, how far the rows have read the events; looked at later too
        """
        self._wanted, self._watermarks = {TopicPartition(self._name, number) for number in partitions}, watermarks
        self._reached.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._reached.wait(), READ_S)

    async def reach(self, partition: int, offset: int, within_s: float) -> None:
        """Wait until an event is pending, or learnt; at most so long, and not for a partition that is not read."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not self.pending.reaches(partition, offset):
                    self._more.clear()
                    await self._more.wait()

    def look_again(self) -> None:
        """What is pending has changed, and not by reading alone: who waits looks again."""
        self._more.set()

    async def _run(self) -> None:
        while True:
            try:
                await self._read()
            except Exception as error:  # policy: nobody waits for what is pending; said, counted, and tried again
                self.failures += 1
                reason = refused(error, "Read", self.settings)
                if reason is None:
                    log.exception("could not read %s; playlists go by committed events until it can be", self._name)
                else:
                    log.error("%s; playlists go by committed events until then", reason)
                self.pending.keep_only(())
                self.look_again()
                self._reader.assign([])
                await asyncio.sleep(RETRY_S)

    async def _read(self) -> None:
        if self._reader.assignment() != self._wanted:
            await self._begin(self._wanted)
        if not self._wanted:
            self._reached.set()
            await asyncio.sleep(0.02)
            return
        check_reading(self._reader)
        for tp, records in (await self._reader.getmany(timeout_ms=50, max_records=AT_ONCE)).items():
            now_ms = time.time_ns() // 1_000_000
            events = [PendingEvent(each.offset, each.key, each.value, now_ms) for each in records]
            self.pending.take(tp.partition, events)
            self.look_again()
        for tp, end in list(self._ends.items()):
            if await self._reader.position(tp) >= end:
                del self._ends[tp]
        if not self._ends and self._reader.assignment() == self._wanted:
            self._reached.set()

    async def _begin(self, wanted: Collection[TopicPartition]) -> None:
        new = await go_on_with(self._reader, wanted)
        self.pending.keep_only({tp.partition for tp in set(wanted) - new})
        self.look_again()
        ends = dict(await self._reader.end_offsets(list(new))) if new else {}
        self._ends = {tp: end for tp, end in self._ends.items() if tp in set(wanted) - new} | ends
        for tp, end in ends.items():
            watermark = self._watermarks.get(tp.partition, 0)
            start = max(watermark, end - self.pending.events_max)
            self.pending.begin(tp.partition, start, watermark)
            self._reader.seek(tp, start)
