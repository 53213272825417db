"""Faust's extension point for transports: an agent gets one event per fetched *chunk* of a partition.

Faust spends 75 to 120 us on a message (four asyncio tasks each); per chunk that is nothing. Faust keeps what it is good at: the group,
assignment, rebalances, agents, timers. What is overridden here is private to Faust 0.15 and aiokafka 0.14: `tests/streams/test_runtime_contract.py`
holds the names.

Faust never commits our topics: it acks what an agent was cancelled on, so its offset would run past our watermark. What the watermark
says is committed instead (`commit_watermarks`), as a hint for lag tools and for where to begin.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, NamedTuple

import aiokafka.producer.sender
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types.tuples import TP, ConsumerMessage
from mode import Service

from streams.runtime.membership import HEAR_S, hear, leave_when_stopped
from streams.runtime.store import WAIT_MS

CHUNK_MAX = 1000
# A fetch that waits for others does not see that a partition is let again: so it waits no longer than this.
LET_S = 0.05
# What arrives within so long after a fetch is fetched together: a fetch costs the broker and us about a millisecond each, whatever it brings.
GATHER_S = 0.01
Epoch = tuple[int, int]  # group generation, seeks: delivery starts anew where it changes


class Chunk(NamedTuple):
    """Records of one partition as fetched. number : 0, 1, 2 … within the epoch, given when fetched, so that a lost chunk leaves a hole."""

    epoch: Epoch
    number: int
    records: list[Any]


class ConsumerThread(AIOKafkaConsumerThread):
    """Faust's consumer thread with short polls, committed records only, and partition N of every topic for one worker.

    seeks : how often it went back; fetched_in : which of them the last fetch came after; began : where the last one went
    """

    seeks = fetched_in = 0
    began: Mapping[TP, int | None] = {}

    def _create_worker_consumer(self, transport: Transport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = WAIT_MS  # 1500 is hard-coded there
        consumer._isolation_level = "read_committed"
        consumer._partition_assignment_strategy = [RangePartitionAssignor]
        return consumer

    @Service.task
    async def _hear_coordinator(self) -> None:
        async for _ in self.itertimer(HEAR_S):
            hear(self._consumer)

    async def on_thread_stop(self) -> None:
        """As Faust's, which cuts off what the group's assignment waits for; aiokafka's coordinator is cancelled by that, and says to nobody that we leave."""
        coordinator = None if self._consumer is None else self._consumer._coordinator
        leave_when_stopped(coordinator)
        try:
            await super().on_thread_stop()
        finally:
            if coordinator is not None:
                await coordinator._maybe_leave_group()  # nothing where it was said

    async def seek_to_committed(self) -> Mapping[TP, int]:
        committed: Mapping[TP, int] = await self.call_thread(self._go_back)
        return committed

    async def _go_back(self) -> Mapping[TP, int | None]:
        """Seek every partition to what the group has committed, and to its beginning where that is nothing.

        At once, so that no fetch comes between: aiokafka asks and seeks one after the other, and leaves those that have committed
        nothing where a fetch that Faust has dropped took them.
        """
        consumer = self._ensure_consumer()
        tps = list(consumer.assignment())
        committed = dict(zip(tps, await asyncio.gather(*map(consumer.committed, tps)), strict=True))
        begin = await consumer.beginning_offsets([tp for tp, offset in committed.items() if offset is None])
        for tp in committed.keys() & consumer.assignment():
            offset = committed[tp]
            consumer.seek(tp, begin[tp] if offset is None else offset)
        self.seeks += 1
        self.began = committed
        return committed

    async def _fetch_records(
        self, consumer: Any, active_partitions: set[TP], timeout: float | None = None, max_records: int | None = None
    ) -> Mapping[TP, list[Any]]:
        records: Mapping[TP, list[Any]] = await super()._fetch_records(
            consumer, active_partitions, timeout=timeout, max_records=max_records
        )
        self.fetched_in = self.seeks
        return records

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        owned = {tp: offset for tp, offset in offsets.items() if tp in self.assignment()}
        return bool(await super()._commit(owned)) if owned else False


class ChunkConsumer(Consumer):
    """Hands out chunks; keeps the watermarks that the stores report."""

    _fetch_at = 0.0  # monotonic s: no sooner

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.watermarks: dict[TP, int] = {}
        self.began: dict[TP, int] = {}
        self._hinted: dict[TP, int] = {}
        self._numbers: dict[TP, tuple[Epoch, int]] = {}
        self._dropped: dict[TP, int] = {}  # the first offset that was fetched and not handed out: it must come again

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing: gaps are for the commits that Faust does not make."""

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        return True  # what Faust has acked says nothing about our transactions

    async def commit_watermarks(self) -> None:
        """Tell the group how far the stores are."""
        marks = dict(self.watermarks)
        if marks != self._hinted and await super()._commit(marks):
            self._hinted = marks

    async def seek_to_committed(self) -> Mapping[TP, int]:
        committed: Mapping[TP, int] = await super().seek_to_committed()
        # of the last seek, which need not be this one: Faust's and that of `getmany` may overlap
        self.began = {tp: max(offset or 0, 0) for tp, offset in self._thread.began.items()}
        return committed

    def on_buffer_full(self, tp: TP) -> None:
        """Nothing: Faust's one buffer of all partitions is short, and waits; each partition says what it can hold."""

    def on_buffer_drop(self, tp: TP) -> None:
        """Nothing, as above."""

    def hold(self, tps: Iterable[TP]) -> None:
        """Fetch no more of some partitions; what is on its way still comes."""
        for tp in tps:
            super().on_buffer_full(tp)

    def let(self, tps: Iterable[TP]) -> None:
        """Fetch of them again."""
        for tp in tps:
            super().on_buffer_drop(tp)

    def forget(self, tps: Iterable[TP]) -> None:
        """Know nothing more of partitions that were given back."""
        for tp in tps:
            self.watermarks.pop(tp, None)
            self._buffered_partitions.discard(tp)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        if self.flow_active and self._buffered_partitions and not self._get_active_partitions():
            await asyncio.sleep(LET_S)  # Faust would sleep for a second
            return
        await asyncio.sleep(max(0.0, self._fetch_at - time.monotonic()))  # aiokafka asks for more once this is taken
        records, active = await self._wait_next_records(LET_S if self._buffered_partitions else timeout)
        self._fetch_at = time.monotonic() + GATHER_S
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            self._drop(records)
            await self.perform_seek()
            return
        if self._thread.fetched_in != self._thread.seeks:  # a seek has gone back behind them meanwhile
            self._drop(records)
            return
        chunks = self._chunks(records, active, generation)
        for number, (tp, message) in enumerate(chunks):
            if not self.flow_active or self.app.consumer_generation_id != generation:
                self._drop({tp: message.value.records for tp, message in reversed(chunks[number:])})
                return
            if message.value.records[0].offset < (self._read_offset.get(tp) or 0):
                # the log was made anew: Faust would drop it without a word, `Partition` decides
                self._read_offset[tp] = None
            yield tp, message

    def _chunks(
        self, records: Mapping[TP, list[Any]], active: set[TP] | None, generation: int
    ) -> list[tuple[TP, ConsumerMessage]]:
        epoch, out = (generation, self._thread.fetched_in), []
        for tp, fetched in records.items():
            if active is not None and tp not in active and tp not in self._buffered_partitions:
                self._drop({tp: fetched})
                continue
            first = fetched[0].offset
            lost = self.began.get(tp, 0) <= self._dropped.pop(tp, first) < first
            for start in range(0, len(fetched), CHUNK_MAX):
                before, number = self._numbers.get(tp, (None, 0))
                number = (number if before == epoch else 0) + (lost and start == 0)
                self._numbers[tp] = epoch, number + 1
                part = fetched[start : start + CHUNK_MAX]
                out.append((tp, _message(tp, part[-1], Chunk(epoch, number, part), generation)))
        return out

    def _drop(self, records: Mapping[TP, list[Any]]) -> None:
        """Note what was fetched and is not handed out; what does not come again leaves a hole in the numbers."""
        for tp, fetched in records.items():
            if fetched:
                self._dropped[tp] = min(fetched[0].offset, self._dropped.get(tp, fetched[0].offset))


def _message(tp: TP, last: Any, chunk: Chunk, generation: int) -> ConsumerMessage:
    at_s = last.timestamp / 1000
    return ConsumerMessage(
        *(last.topic, last.partition, last.offset, at_s, last.timestamp_type, (), None, chunk, None, 0, 0, tp),
        generation_id=generation,
    )


class ChunkTransport(Transport):
    """Faust's aiokafka transport with chunks."""

    Consumer = ChunkConsumer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # aiokafka waits 20 ms while the markers of the last transaction are still being written; they take 2
        aiokafka.producer.sender.BACKOFF_OVERRIDE = 0.002
