"""Reading events ahead of the learners: from where the rows have come to, on across rebalances, and without it where it cannot be."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from unittest.mock import patch

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError

from serving.pending import PendingEvents
from serving.runtime import event_reader
from serving.runtime.event_reader import EventReader
from tests.runtime.fakes import DEADLINE_S, SETTINGS, Rec, going_on, until

P0, P1 = TopicPartition("p-listening-events", 0), TopicPartition("p-listening-events", 1)


class Topic:
    """A consumer of a topic that is in memory; failures : how many of the next calls fail."""

    def __init__(self, **events: int) -> None:
        self.ends = {P0: events.get("p0", 0), P1: events.get("p1", 0)}
        self.positions: dict[TopicPartition, int] = {}
        self.seeks: list[tuple[int, int]] = []
        self.failures = 0
        self._client, self._fetcher = going_on()

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self.positions)

    def assign(self, tps: Collection[TopicPartition]) -> None:
        self.positions = dict.fromkeys(tps, 0)

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.positions[tp] = offset
        self.seeks.append((tp.partition, offset))

    async def position(self, tp: TopicPartition) -> int:
        return self.positions[tp]

    async def end_offsets(self, tps: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        if self.failures:
            self.failures -= 1
            raise KafkaTimeoutError
        return {tp: self.ends[tp] for tp in tps}

    async def getmany(self, **_: int) -> dict[TopicPartition, list[Rec]]:
        await asyncio.sleep(0)
        fetched = {}
        for tp, position in self.positions.items():
            if position < self.ends[tp]:
                fetched[tp] = [Rec(offset, b"ann", b"{}") for offset in range(position, self.ends[tp])]
                self.positions[tp] = self.ends[tp]
        return fetched


@asynccontextmanager
async def reading(topic: Topic, **bounds: int) -> AsyncIterator[tuple[EventReader, PendingEvents]]:
    pending = PendingEvents(**bounds)
    with patch.object(event_reader, "AIOKafkaConsumer", lambda **_: topic):
        reader = EventReader(SETTINGS, pending)
    await reader.start()
    try:
        yield reader, pending
    finally:
        await reader.stop()


def offsets(pending: PendingEvents) -> list[int]:
    """Of all partitions: which of them comes first is nobody's business."""
    return sorted(event.offset for event in pending.of(b"ann"))


async def test_what_lies_behind_the_watermark_is_pending_once_the_partitions_are_assigned() -> None:
    async with reading(Topic(p0=10, p1=3)) as (reader, pending):
        await reader.assign({0, 1}, {0: 7})

        assert offsets(pending) == [0, 1, 2, 7, 8, 9]


async def test_of_a_long_backlog_the_newest_are_read_and_told_of_once_the_rows_have_come_so_far() -> None:
    async with reading(Topic(p0=1000), events_max=3) as (reader, pending):
        await reader.assign({0}, {0: 100})
        assert (len(pending), offsets(pending)) == (3, [])
        pending.learnt(0, 997)

        assert offsets(pending) == [997, 998, 999]


async def test_a_partition_that_stays_is_read_on_and_one_that_goes_is_forgotten() -> None:
    topic = Topic(p0=10, p1=3)
    async with reading(topic) as (reader, pending):
        await reader.assign({0}, {0: 7})
        topic.ends[P0] = 12
        await reader.assign({0, 1}, {0: 7, 1: 2})
        await until(lambda: offsets(pending) == [2, 7, 8, 9, 10, 11])
        await reader.assign({1}, {0: 7, 1: 2})

        assert offsets(pending) == [2]


async def test_without_partitions_nothing_is_waited_for() -> None:
    async with reading(Topic()) as (reader, pending):
        await reader.assign(set(), {})

        assert len(pending) == 0


async def test_where_events_cannot_be_read_it_is_said_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(event_reader, "RETRY_S", 0.001)
    topic = Topic(p0=10)
    topic.failures = 2
    async with reading(topic) as (reader, pending):
        await reader.assign({0}, {0: 7})

        assert (offsets(pending), reader.failures) == ([7, 8, 9], 2)
    assert "playlists go by committed events" in caplog.text


async def test_whoever_assigns_partitions_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_reader, "READ_S", 0.01)
    topic = Topic(p0=10)
    topic.failures = 1_000_000
    async with reading(topic) as (reader, pending):
        await reader.assign({0}, {0: 7})

        assert len(pending) == 0


async def test_an_event_that_is_on_its_way_is_waited_for_and_one_that_never_comes_a_moment() -> None:
    topic = Topic(p0=10)
    async with reading(topic) as (reader, pending):
        await reader.assign({0}, {0: 7})
        waiting = asyncio.create_task(reader.reach(0, 10, 1e9))
        await asyncio.sleep(0)
        topic.ends[P0] = 11
        await asyncio.wait_for(waiting, DEADLINE_S)
        assert pending.reaches(0, 10)
        await reader.reach(0, 1 << 62, 0.001)
        await reader.reach(0, 1 << 62, -1.0)

        assert not pending.reaches(0, 11)


@pytest.mark.parametrize("how", ["learnt", "let go", "unreadable"])
async def test_nobody_waits_on_for_an_event_that_will_not_be_read(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_reader, "RETRY_S", 0.001)
    topic = Topic(p0=10)
    async with reading(topic) as (reader, pending):
        await reader.assign({0}, {0: 7})
        waiting = asyncio.create_task(reader.reach(0, 10, 1e9))
        await asyncio.sleep(0)
        match how:
            case "learnt":  # as the worker does with a watermark
                pending.learnt(0, 11)
                reader.look_again()
            case "let go":
                await reader.assign(set(), {})
            case _:
                monkeypatch.setattr(topic, "getmany", None)

        await asyncio.wait_for(waiting, DEADLINE_S)
