"""One partition number of one worker: what was delivered, and the task that applies and commits it.

Group commit: whatever arrives during one transaction goes into the next, so the cost of a transaction is shared by all that waited for it.
Fail fast: after any error nothing was committed, and a fresh process replays it; so the process ends, and says why.
"""

import asyncio
import logging
import math
import os
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from faust.types.tuples import TP

from streams.runtime.cold_rows import ColdRowsError
from streams.runtime.exits import CHUNK_LOST, FAILED, REFUSED, RefusedError, UnendedError
from streams.runtime.store import Store
from streams.runtime.transport import Chunk, ChunkConsumer
from streams.steps import Numbering, Record, Step, next_step
from streams.topics import BY_NAME

log = logging.getLogger(__name__)
LOOK_S = 1.0  # so often it is looked whether rows and inputs belong together, though nothing arrives
STEP_MAX, STEP_BYTES_MAX = 2000, 8 << 20
# While a step is computed nothing else of its process runs, heartbeats and rebalances neither. One record may cost a hundred times another:
# after a restart each listener's history is decoded when they come first.
STEP_S, STEP_FIRST = 0.2, 100
BUFFERED_MAX, BUFFERED_BYTES_MAX = 20_000, 64 << 20


class Partition:
    """The inputs of one partition number, applied by one processor.

    step_max, step_bytes_max : of the records of one step, but always one; of those, as many as STEP_S has time for by what the last step took
    buffered_max, buffered_bytes_max : of the records that wait; where there are as many, no more are fetched until half of them are gone. What was
    on its way then still comes: at most two fetches of each input
    """

    def __init__(
        self,
        store: Store,
        consumer: ChunkConsumer,
        *,
        step_max: int = STEP_MAX,
        step_bytes_max: int = STEP_BYTES_MAX,
        buffered_max: int = BUFFERED_MAX,
        buffered_bytes_max: int = BUFFERED_BYTES_MAX,
        needs: asyncio.Task[None] | None = None,
    ) -> None:
        self.store, self.consumer, self.processor = store, consumer, store.processor
        self.step_max, self.step_bytes_max = step_max, step_bytes_max
        self.buffered_max, self.buffered_bytes_max = buffered_max, buffered_bytes_max
        self._at_once = min(STEP_FIRST, step_max)  # records of the next step
        self.records = self.steps = self.lost_to_retention = 0
        self.restored = asyncio.Event()
        self._buffer: deque[Record] = deque()
        self._bytes = 0  # of keys and values in the buffer
        self._held = False
        self._tps = [TP(store.settings.topic(topic), store.partition) for topic in self.processor.inputs]
        self._numbering = Numbering()
        self._unchecked: dict[str, TP] = {}
        self._reached: dict[str, int] = {}  # the offset behind what was delivered last
        self._went_back: set[str] = set()  # inputs that have delivered what lies before it
        self._reported: dict[str, int] = {}  # where the log began when it was said that something is gone
        self._closing = False
        self._ended = -math.inf  # when the last commit did, monotonic s
        self._needs = needs
        self._arrived, self._full, self._given_back = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def put(self, tp: TP, chunk: Chunk) -> None:
        """Take a chunk; where the buffer is full then, no more are fetched."""
        topic = self.store.settings.logical(tp.topic)
        number, new = self._numbering.next(topic, chunk.epoch)
        if new:
            self._unchecked[topic] = tp
        if chunk.number != number:
            log.critical(
                "%s: got chunk %d, expected %d: a chunk was lost on the way; ending, to read it again",
                tp,
                chunk.number,
                number,
            )
            os._exit(CHUNK_LOST)
        if not new and chunk.records[0].offset < self._reached[topic]:
            self._unchecked[topic] = tp
            self._went_back.add(topic)
        self._reached[topic] = chunk.records[-1].offset + 1
        if self._closing:
            return  # what `close` has left must not be overtaken; the next owner gets all of it
        records = [Record(topic, each.offset, each.key, each.value, each.timestamp) for each in chunk.records]
        self._buffer.extend(records)
        self._bytes += bytes_of(records)
        self._arrived.set()
        if self._fills(self._at_once, self.step_bytes_max):
            self._full.set()
        if self._fills(self.buffered_max, self.buffered_bytes_max):
            self._held = True
            self.consumer.hold(self._tps)  # again and again: a rebalance forgets it

    async def _run(self) -> None:
        try:
            opened = await self._open()
            self.restored.set()
            if not opened:
                return
            flush_at = time.monotonic() + self.processor.flush_s
            while await self._wait(flush_at - time.monotonic()):
                await self._check_inputs()
                due = time.monotonic() >= flush_at
                await self._step(self._take(), flush=due)
                if due:
                    flush_at = time.monotonic() + self.processor.flush_s
                await asyncio.sleep(0)
            await self._step([], flush=True, last=True)
            await self.store.close()
        except RefusedError as error:
            log.critical("%s", error)
            os._exit(REFUSED)
        except (ColdRowsError, UnendedError) as error:  # policy: as below, and the text says it all
            log.critical("%s", error)
            os._exit(FAILED)
        except BaseException:  # policy: nothing was committed, so a fresh process replays it
            log.exception(
                "partition %d of %s failed; ending, to start again from what is committed",
                self.store.partition,
                self.store.name,
            )
            os._exit(FAILED)

    async def _open(self) -> bool:
        """Read the rows, once there is what the processor needs; False where the partition is given back before."""
        given_back = asyncio.create_task(self._given_back.wait())
        opening = asyncio.create_task(self._open_store())
        await asyncio.wait([opening, given_back], return_when=asyncio.FIRST_COMPLETED)
        given_back.cancel()
        if not opening.done():
            opening.cancel()
            await asyncio.wait([opening])
        if opening.cancelled():
            await self.store.close()
            return False
        return opening.result() is None

    async def _open_store(self) -> None:
        if self._needs is not None:
            await asyncio.shield(self._needs)
        await self.store.open()

    async def _wait(self, timeout_s: float) -> bool:
        """Wait for records, or for the time to flush; answers whether to go on."""
        try:
            await asyncio.wait_for(self._arrived.wait(), max(min(timeout_s, LOOK_S), 0.001))
        except TimeoutError:
            return not self._closing
        early_s = self._ended + self.processor.pace_s - time.monotonic()
        if early_s > 0.0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), early_s)
        return not self._closing

    def _take(self) -> list[Record]:
        buffer = self._buffer
        records = [buffer.popleft() for _ in range(min(self._at_once, len(buffer)))]
        size = bytes_of(records)
        while size > self.step_bytes_max and len(records) > 1:
            buffer.appendleft(records.pop())
            size -= bytes_of([buffer[0]])
        self._bytes -= size
        if self._closing:
            return records
        if not self._buffer:
            self._arrived.clear()
        if not self._fills(self._at_once, self.step_bytes_max):
            self._full.clear()
        if self._held and not self._fills(self.buffered_max / 2, self.buffered_bytes_max / 2):
            self._held = False
            self.consumer.let(self._tps)
        return records

    def _fills(self, records: float, bytes_: float) -> bool:
        return len(self._buffer) >= records or self._bytes >= bytes_

    async def _step(self, records: Sequence[Record], *, flush: bool, last: bool = False) -> None:
        now_ms = time.time_ns() // 1_000_000
        began = time.monotonic()
        step, fresh = next_step(self.processor, records, self.store.watermarks, now_ms, flush=flush, last=last)
        if fresh and not flush:
            self._at_once = records_in_time(self._at_once, len(fresh), time.monotonic() - began, self.step_max)
        if not fresh and not step:
            return
        await self.store.commit(step, {record.topic: record.offset + 1 for record in fresh})
        for warning in step.warnings:
            log.warning("%s", warning)
        self._ended = time.monotonic()
        for topic, offset in self.store.watermarks.items():
            self.consumer.watermarks[TP(self.store.settings.topic(topic), self.store.partition)] = offset
        self.records += len(fresh)
        self.steps += 1

    async def _check_inputs(self) -> None:
        """Do the group's offsets, the logs and our watermarks belong together?

        The group's offsets are looked at whenever they may have changed, the log of an input after each assignment or seek.
        """
        try:
            for tp, began in self.consumer.began.items():
                if tp.partition == self.store.partition:
                    self._check_group(tp, began)
            while self._unchecked:
                topic, tp = self._unchecked.popitem()
                await self._check_log(topic, tp)
        except RefusedError:
            await self.store.check_owner()  # what a zombie's successor has done is no reason to refuse
            raise

    def _check_group(self, tp: TP, began: int) -> None:
        mark = self.store.watermarks.get(self.store.settings.logical(tp.topic), 0)
        if began > mark:
            raise RefusedError(
                f"{tp.topic}[{tp.partition}]: the group has read up to {began}, the rows in {self.processor.changelog} only to {mark}: "
                f"the changelog was deleted or cut. Restore it, or delete the consumer group {self.store.settings.prefix}segue-{self.store.name} "
                "to learn again from what the inputs still hold"
            )

    async def _check_log(self, topic: str, tp: TP) -> None:
        mark = self.store.watermarks.get(topic, 0)
        end = (await self.consumer.highwaters(tp)).get(tp, mark)
        if end < mark or topic in self._went_back:
            await self._meet_shorter_log(topic, tp, mark, end)
        first = (await self.consumer.earliest_offsets(tp)).get(tp, 0)
        told = max(mark, self._reported.get(topic, 0))
        if first > told:
            self._reported[topic] = first
            self.lost_to_retention += first - told
            log.error(
                "%s[%d]: retention removed up to %d messages before they were read (offsets %d to %d)",
                *(tp.topic, tp.partition, first - told, told, first),
            )

    async def _meet_shorter_log(self, topic: str, tp: TP, mark: int, end: int) -> None:
        """What the log holds now would be taken for what the rows have seen."""
        seen = f"{tp.topic}[{tp.partition}]: the rows have read up to {mark}, the topic ends at {end}: it was deleted or cut"
        if topic in BY_NAME and BY_NAME[topic].cleanup == "compact":
            # the last of each key, however often it is read
            await self.store.commit(Step(), {topic: 0})
            log.error("%s; ending, to read it from its beginning", seen)
            os._exit(FAILED)
        raise RefusedError(
            f"{seen}, and its messages before {mark} would be skipped. Restore it, or begin anew under another SEGUE_TOPIC_PREFIX"
        )

    async def close(self) -> None:
        """End after the running step: flush, commit, give the producer back."""
        self._closing = True
        self._buffer.clear()
        self._bytes = 0
        self._full.set()
        self._arrived.set()
        self._given_back.set()
        await self._task

    def stats(self) -> dict[str, Any]:
        """Figures of this partition."""
        return {
            "records": self.records,
            "steps": self.steps,
            "buffered": len(self._buffer),
            "buffered_bytes": self._bytes,
            "restored_rows": self.store.restored_rows,
            "restore_s": self.store.restore_s,
            "lost_to_retention": self.lost_to_retention,
        }


def records_in_time(before: int, records: int, took_s: float, most: int) -> int:
    """How many records the next step may take, after one of `records` of at most `before`: as many as fit into STEP_S, up to twice as many, and `most`.

    >>> records_in_time(100, 100, 0.01, 2000), records_in_time(100, 100, 0.4, 2000), records_in_time(100, 3, 0.01, 2000)
    (200, 50, 100)
    """
    if records < before and took_s <= STEP_S:
        return before
    return max(1, min(int(records * STEP_S / max(took_s, 1e-9)), 2 * before, most))


def bytes_of(records: Sequence[Record]) -> int:
    """Bytes of all keys and values."""
    keys, values = [each.key for each in records if each.key], [each.value for each in records if each.value]
    return sum(map(len, keys)) + sum(map(len, values))
