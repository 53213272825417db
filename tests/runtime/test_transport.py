"""Fetches that are dropped in a rebalance come again, or leave a hole in the numbers of the chunks."""

import asyncio
import contextlib
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types.tuples import TP

from streams.runtime.engine import Engine
from streams.runtime.keeper import keeper_engine
from streams.runtime.settings import Settings
from streams.runtime.transport import Chunk, ChunkConsumer, ConsumerThread

EVENTS, PROFILES = TP("listening-events", 0), TP("listeners", 0)


class Group:
    """What the thread asks of aiokafka's consumer. positions : where each partition is read next"""

    def __init__(self, committed: Mapping[TP, int | None], begin: int = 0) -> None:
        self.offsets, self.begin = committed, begin
        self.positions = dict.fromkeys(committed, 100)

    def assignment(self) -> frozenset[TP]:
        return frozenset(self.positions)

    async def committed(self, tp: TP) -> int | None:
        await asyncio.sleep(0)
        self.positions[tp] += 10  # a fetch comes between
        return self.offsets[tp]

    async def beginning_offsets(self, tps: list[TP]) -> dict[TP, int]:
        await asyncio.sleep(0)
        return dict.fromkeys(tps, self.begin)

    def seek(self, tp: TP, offset: int) -> None:
        self.positions[tp] = offset


def thread_of(group: Group) -> ConsumerThread:
    thread = ConsumerThread.__new__(ConsumerThread)
    thread._ensure_consumer = lambda: group  # type: ignore[method-assign]
    return thread


class Fetches(ChunkConsumer):
    """A consumer whose fetches are given. began : where the last seek went"""

    def __init__(self, began: int = 0) -> None:
        self.began = {EVENTS: began}
        self.flow_active, self.app = True, SimpleNamespace(consumer_generation_id=1)
        self._numbers, self._dropped, self._thread = {}, {}, SimpleNamespace(seeks=1, fetched_in=1)
        self._buffered_partitions, self._read_offset = set(), {}
        self._stopped = self._crashed = asyncio.Event()
        self.active: set[TP] = {EVENTS}
        self.given: list[int] = []

    @property
    def should_stop(self) -> bool:
        return False

    async def _wait_next_records(self, timeout: float) -> Any:
        return {EVENTS: [_record(offset) for offset in self.given]}, self.active

    def _get_active_partitions(self) -> set[TP]:
        return self.active

    async def perform_seek(self) -> None:
        self._thread.seeks += 1

    async def fetch(self, *offsets: int) -> list[Chunk]:
        """What is handed out of a fetch."""
        self.given = list(offsets)
        return [message.value async for _, message in self.getmany(1.0)]


def _record(offset: int) -> Any:
    return SimpleNamespace(topic=EVENTS.topic, partition=0, offset=offset, timestamp=0, timestamp_type=0)


async def test_who_has_committed_nothing_is_read_from_the_beginning_again() -> None:
    group = Group({EVENTS: None, PROFILES: 7}, begin=3)
    thread = thread_of(group)

    assert await thread._go_back() == {EVENTS: None, PROFILES: 7}
    assert (group.positions, thread.seeks) == ({EVENTS: 3, PROFILES: 7}, 1)


async def test_offset_nought_is_sought_too() -> None:
    group = Group({EVENTS: 0})

    await thread_of(group)._go_back()

    assert group.positions == {EVENTS: 0}


async def test_partition_that_was_taken_meanwhile_is_left_alone() -> None:
    group = Group({EVENTS: 5, PROFILES: 6})
    beginning_offsets = group.beginning_offsets

    async def taken(tps: list[TP]) -> dict[TP, int]:
        del group.positions[PROFILES]
        return await beginning_offsets(tps)

    group.beginning_offsets = taken  # type: ignore[method-assign]
    await thread_of(group)._go_back()

    assert group.positions == {EVENTS: 5}


async def test_fetch_that_is_dropped_while_nothing_flows_and_comes_again_is_no_loss() -> None:
    consumer = Fetches()
    consumer.flow_active = False

    assert await consumer.fetch(0, 1, 2) == []

    consumer.flow_active = True
    consumer._thread.fetched_in = consumer._thread.seeks
    (chunk,) = await consumer.fetch(0, 1, 2, 3)
    assert (chunk.number, len(chunk.records)) == (0, 4)


@pytest.mark.parametrize("why", ["no flow", "older than a seek", "inactive"])
async def test_dropped_fetch_that_does_not_come_again_leaves_a_hole(why: str) -> None:
    consumer = Fetches()
    consumer.flow_active = why != "no flow"
    consumer._thread.fetched_in -= why == "older than a seek"
    consumer.active = set() if why == "inactive" else {EVENTS}

    assert await consumer.fetch(0, 1, 2) == []

    consumer.flow_active, consumer.active = True, {EVENTS}
    consumer._thread.fetched_in = consumer._thread.seeks
    (chunk,) = await consumer.fetch(3, 4)
    (after,) = await consumer.fetch(5)
    assert (chunk.number, after.number) == (1, 2)  # 0 is missing


async def test_chunk_that_a_rebalance_has_overtaken_leaves_a_hole() -> None:
    consumer = Fetches()
    offsets = range(2500)  # three chunks
    consumer.given = list(offsets)
    async for _ in consumer.getmany(1.0):
        consumer.app.consumer_generation_id = 2

    (chunk,) = await consumer.fetch(2500)

    assert chunk.number == 1


async def test_a_fetch_waits_for_what_arrives_after_another_and_for_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.runtime.transport.GATHER_S", 3600.0)
    consumer = Fetches()

    assert len(await consumer.fetch(0)) == 1
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(consumer.fetch(1), 0.05)


async def test_what_others_have_read_meanwhile_is_no_loss() -> None:
    consumer = Fetches()
    consumer.flow_active = False
    await consumer.fetch(0, 1, 2)

    consumer.flow_active = True
    consumer.began = {EVENTS: 10}  # the group has committed that
    consumer._thread.fetched_in = consumer._thread.seeks
    (chunk,) = await consumer.fetch(10, 11)

    assert chunk.number == 0


async def test_fetch_says_which_seek_it_came_after() -> None:
    thread = thread_of(Group({}))
    thread.seeks = 4
    thread.consumer = SimpleNamespace(flow_active=False)

    assert await thread._fetch_records(None, set()) == {}
    assert thread.fetched_in == 4


@pytest.mark.parametrize(
    ("fetched", "left"),
    [
        ([0, 1, 2], None),  # the log was made anew, which is not for Faust to drop in silence
        ([10, 11], 10),  # what a seek was for
        ([11, 12], 10),
    ],
)
async def test_faust_drops_nothing_that_is_handed_out(fetched: list[int], left: int | None) -> None:
    consumer = Fetches()
    consumer._read_offset[EVENTS] = 10

    (chunk,) = await consumer.fetch(*fetched)

    assert [record.offset for record in chunk.records] == fetched
    assert consumer._read_offset[EVENTS] == left


async def test_the_group_is_told_the_watermarks_and_nothing_that_faust_has_acked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Mapping[TP, int]] = []

    async def commit(_: Consumer, offsets: Mapping[TP, int]) -> bool:
        told.append(dict(offsets))
        return True

    monkeypatch.setattr(Consumer, "_commit", commit)
    group = Fetches()
    group.watermarks, group._hinted = {EVENTS: 7}, {}

    assert await group._commit({EVENTS: 9})
    await group.commit_watermarks()

    assert told == [{EVENTS: 7}]


class Coordinator:
    """A group's coordinator, as aiokafka has it: it says that a member leaves once, and only of one without a name."""

    def __init__(self) -> None:
        self._group_instance_id: str | None = "learner-1"
        self.generation, self.left = 7, 0

    async def _maybe_leave_group(self) -> None:
        self.left += self.generation > 0 and self._group_instance_id is None
        self.generation = -1


@pytest.mark.parametrize("cut_off", [False, True])
async def test_a_thread_that_is_stopped_in_order_leaves_its_group(
    cut_off: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread, coordinator, names = thread_of(Group({})), Coordinator(), list[str | None]()
    thread._consumer = SimpleNamespace(_coordinator=coordinator)  # type: ignore[assignment]

    async def stop(_thread: Any) -> None:
        names.append(coordinator._group_instance_id)
        if cut_off:  # in the middle of an assignment, whose task Faust cancels
            raise asyncio.CancelledError
        await coordinator._maybe_leave_group()

    monkeypatch.setattr(AIOKafkaConsumerThread, "on_thread_stop", stop)
    with contextlib.suppress(asyncio.CancelledError):
        await thread.on_thread_stop()

    assert (names, coordinator.left) == (["learner-1"], 1)  # a rebalance that goes on knows it by its name


def test_an_engine_is_a_named_member() -> None:
    engine = Engine(Settings(bootstrap="nowhere:9", member="pod-0"), "learner", lambda _: None, [])  # type: ignore[arg-type,return-value]

    assert engine._app.conf.consumer_group_instance_id == "learner-pod-0"


async def test_an_engine_that_stops_leaves_telling_the_offsets_to_its_stop() -> None:
    """Cut off in a rebalance, it would keep the group from hearing that the worker leaves."""
    engine, told = keeper_engine(Settings(bootstrap="nowhere")), list[str]()

    async def commit_watermarks() -> None:
        told.append("running" if not engine._stopping else "stopping")

    engine._app.consumer = SimpleNamespace(commit_watermarks=commit_watermarks, forget=lambda _revoked: None)
    await engine._revoked(engine._app, set())
    engine._stopping = True
    await engine._revoked(engine._app, set())

    assert told == ["running"]


async def test_where_the_last_of_two_overlapping_seeks_went_is_known() -> None:
    consumer, answered = Fetches(), asyncio.Event()
    targets = iter([3, 50])

    async def seek_to_committed() -> Mapping[TP, int]:
        committed = {EVENTS: next(targets)}
        consumer._thread.began = committed
        if committed[EVENTS] == 3:  # the first hears of its own after the second has gone on
            await answered.wait()
        return committed

    consumer._thread.seek_to_committed = seek_to_committed
    first = asyncio.create_task(consumer.seek_to_committed())
    await asyncio.sleep(0)
    await consumer.seek_to_committed()
    answered.set()
    await first

    assert consumer.began == {EVENTS: 50}
