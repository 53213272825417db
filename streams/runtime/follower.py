"""Reads compacted topics into memory and follows them: plain aiokafka, no group, committed records only."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.runtime.access import AccessError, refused
from streams.runtime.exits import FAILED
from streams.runtime.membership import check_reading
from streams.runtime.settings import Settings
from streams.runtime.store import READER, go_on_with, rewind
from streams.steps import WATERMARK

log = logging.getLogger(__name__)
Rows = Sequence[tuple[bytes, bytes | None]]
Apply = Callable[[str, int, Rows], None]
Watermarked = Callable[[int, Mapping[str, int]], None]
SLICE = 500  # rows applied before others may run


class Follower:
    """Feeds `apply(logical topic, partition, rows)` with every row of some partitions, in their order; watermark rows are left out.

    topics : partitions by logical topic
    failed : called where it cannot go on; without it the next `caught_up` or `check` raises
    watermarked : called with a partition and the watermarks that its rows have come to, once those are applied; of one topic that has them
    """

    def __init__(
        self,
        settings: Settings,
        topics: Mapping[str, Collection[int]],
        apply: Apply,
        *,
        failed: Callable[[], None] | None = None,
        watermarked: Watermarked | None = None,
    ) -> None:
        self.settings, self.rows = settings, 0
        self._apply, self._failed, self._watermarked = apply, failed, watermarked
        self._error: Exception | None = None
        self._wanted = {
            TopicPartition(settings.topic(topic), number) for topic, numbers in topics.items() for number in numbers
        }
        self._ends: dict[TopicPartition, int] = {}
        self._behind: set[TopicPartition] = set(self._wanted)
        self._caught_up = asyncio.Event()
        self._reader: AIOKafkaConsumer | None = None
        self._task: asyncio.Task[None] | None = None
        self._newest_ms = 0
        self._idle_ms = 0

    async def start(self) -> None:
        """Begin to read."""
        self._reader = AIOKafkaConsumer(**self.settings.client(), **READER)
        await self._reader.start()
        await self._reassign()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._reader is not None:
            await self._reader.stop()

    async def caught_up(self) -> None:
        """Wait until all that was there when it was asked for has been applied."""
        if self._error is None:
            await self._caught_up.wait()
        self.check()

    def check(self) -> None:
        """Raise what it failed with, where it has: what it fed then grows old."""
        if self._error is not None:
            raise self._error

    async def assign(self, topic: str, partitions: Collection[int]) -> None:
        """Change which partitions of a topic are followed; new ones are read from their beginning."""
        name, before = self.settings.topic(topic), set(self._wanted)
        self._wanted = {tp for tp in self._wanted if tp.topic != name} | {
            TopicPartition(name, number) for number in partitions
        }
        if self._reader is not None and self._wanted != before:
            await self._reassign()

    def age_ms(self, now_ms: int) -> int:
        """How old what it holds may be: the time since it last stood at the end, or since its newest row."""
        return max(0, now_ms - max(self._newest_ms, self._idle_ms))

    async def _reassign(self) -> None:
        assert self._reader is not None
        before = self._reader.assignment()
        new = self._wanted - before
        for tp in before - self._wanted | new:
            self._ends.pop(tp, None)  # a partition whose end is not known yet is behind
        self._behind |= new
        self._behind &= self._wanted
        self._caught_up.clear()
        await go_on_with(self._reader, self._wanted)
        if new:
            self._ends.update(await rewind(self._reader, new))

    async def _run(self) -> None:
        assert self._reader is not None
        try:
            while True:
                if not self._wanted:
                    self._caught_up.set()
                    await asyncio.sleep(0.02)
                    continue
                check_reading(self._reader)
                for tp, records in (await self._reader.getmany(timeout_ms=50, max_records=5000)).items():
                    if tp in self._wanted:
                        await self._take(tp, records)
                await self._look_where_it_stands()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # policy: what it holds would grow old in silence; its owner is told
            reason = refused(error, "Read", self.settings)
            if reason is None:
                log.exception("the follower of %s failed", sorted({tp.topic for tp in self._wanted}))
            else:
                log.error("%s", reason)
            self._error = error if reason is None else AccessError(reason)
            self._caught_up.set()
            if self._failed is not None:
                self._failed()

    async def _look_where_it_stands(self) -> None:
        assert self._reader is not None
        for tp in list(self._behind):
            if tp in self._wanted and tp in self._ends and await self._reader.position(tp) >= self._ends[tp]:
                self._behind.discard(tp)
        if self._behind:
            return
        self._caught_up.set()
        stable = {tp: self._reader.last_stable_offset(tp) for tp in self._reader.assignment() & self._wanted}
        at_end = [
            offset is not None and offset <= await self._reader.position(tp)
            for tp, offset in stable.items()
            if tp in self._wanted
        ]
        if all(at_end):
            self._idle_ms = time.time_ns() // 1_000_000

    async def _take(self, tp: TopicPartition, records: Sequence[object]) -> None:
        topic = self.settings.logical(tp.topic)
        for start in range(0, len(records), SLICE):
            if tp not in self._wanted:  # it was taken away between two slices
                return
            part = records[start : start + SLICE]
            self._apply(topic, tp.partition, [(each.key, each.value) for each in part if each.key != WATERMARK])  # type: ignore[attr-defined]
            if self._watermarked is not None and (marks := [each.value for each in part if each.key == WATERMARK]):  # type: ignore[attr-defined]
                self._watermarked(tp.partition, msgspec.msgpack.decode(marks[-1], type=dict[str, int]))
            self.rows += len(part)
            self._newest_ms = part[-1].timestamp  # type: ignore[attr-defined]
            await asyncio.sleep(0)


def end_process() -> None:
    """What a worker does whose follower failed: a fresh process reads everything again."""
    os._exit(FAILED)
