"""One partition of one worker: what was delivered is applied once and in order, or the process ends."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types.tuples import TP

from streams.runtime import partition as partition_module
from streams.runtime.exits import CHUNK_LOST, FAILED, REFUSED
from streams.runtime.partition import Partition
from streams.runtime.transport import Chunk, Epoch
from streams.steps import Record, Step
from tests.runtime.fakes import DEADLINE_S, Ended, Group, MemoryStore, Rec, turns, until

EVENTS, PROFILES = TP("p-events", 3), TP("p-profiles", 3)


def chunk(offsets: Iterable[int], number: int = 0, epoch: Epoch = (1, 0)) -> Chunk:
    """Records of these offsets as one chunk."""
    return Chunk(epoch, number, [Rec(offset, b"ann", b"event", 7) for offset in offsets])


@asynccontextmanager
async def running(store: MemoryStore, group: Group | None = None, **given: Any) -> AsyncIterator[Partition]:
    """A partition; its task ends with the test whatever happens, while `os._exit` is an exception."""
    partition = Partition(cast(Any, store), cast(Any, group or Group()), **given)
    try:
        yield partition
    finally:
        while not partition._task.done():  # `wait_for` of Python 3.11 loses a cancellation as what it waits for comes
            partition._task.cancel()
            await asyncio.wait([partition._task], timeout=0.1)
        if not partition._task.cancelled():
            partition._task.exception()


async def within(waiting: Any) -> Any:
    """Wait for something that is due."""
    return await asyncio.wait_for(waiting, DEADLINE_S)


async def end_of(partition: Partition) -> None:
    """Wait until the partition has ended its process."""
    await asyncio.wait([partition._task], timeout=DEADLINE_S)
    with pytest.raises(Ended):
        partition._task.result()


async def test_records_are_applied_committed_and_reported() -> None:
    store, group = MemoryStore(), Group()
    async with running(store, group) as partition:
        await partition.put(EVENTS, chunk([0, 1, 2]))
        await until(lambda: partition.steps == 1)

        (step, marks) = store.commits[0]
        assert step.rows == {b"all": b"3"}
        assert marks == {"events": 3}
        assert group.watermarks == {EVENTS: 3}
        assert partition.records == 3


async def test_records_below_the_watermark_are_skipped() -> None:
    store = MemoryStore({"events": 5})
    async with running(store) as partition:
        await partition.put(EVENTS, chunk(range(8)))
        await partition.put(PROFILES, chunk(range(2)))
        await until(lambda: partition.records == 5)

        assert store.processor.offsets() == [5, 6, 7]
        assert store.processor.offsets("profiles") == [0, 1]
        assert store.watermarks == {"events": 8, "profiles": 2}


async def test_what_was_seen_altogether_is_no_transaction() -> None:
    store = MemoryStore({"events": 5})
    async with running(store) as partition:
        await partition.put(EVENTS, chunk(range(5)))
        await partition.put(EVENTS, chunk([5], 1))
        await until(lambda: partition.steps == 1)

        assert [marks for _, marks in store.commits] == [{"events": 6}]


async def test_a_record_twice_in_one_buffer_is_applied_once() -> None:
    store = MemoryStore()
    store.may_open.clear()
    async with running(store) as partition:
        await partition.put(EVENTS, chunk([0, 1, 2]))
        await partition.put(EVENTS, chunk([1, 2, 3], epoch=(2, 0)))
        store.may_open.set()
        await until(lambda: partition.steps == 1)

        assert store.processor.offsets() == [0, 1, 2, 3]


async def test_a_step_takes_no_more_than_it_may() -> None:
    store = MemoryStore()
    store.may_open.clear()
    async with running(store, step_max=2) as partition:
        await partition.put(EVENTS, chunk(range(5)))
        store.may_open.set()
        await until(lambda: partition.records == 5)

        assert [marks["events"] for _, marks in store.commits] == [2, 4, 5]


async def test_a_step_takes_as_many_records_as_there_is_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that takes a tenth of a second, the others nothing: two fit into a step, and twice as many into each that was quick."""
    store, clock = MemoryStore(), SimpleNamespace(now_s=0.0, time_ns=time.time_ns)
    clock.monotonic = lambda: clock.now_s
    monkeypatch.setattr(partition_module, "time", clock)
    step = store.processor.step

    def slow(records: Sequence[Record], now_ms: int) -> Step:
        clock.now_s += 0.1 * sum(record.offset < 100 for record in records)
        return step(records, now_ms)

    monkeypatch.setattr(store.processor, "step", slow)
    store.may_open.clear()
    async with running(store) as partition:
        await partition.put(EVENTS, chunk(range(120)))
        store.may_open.set()
        await until(lambda: partition.records == 120)

        assert [marks["events"] for _, marks in store.commits] == [100, 102, 106, 114, 120]


async def resting(partition: Partition) -> None:
    """Wait until a step would begin, if the last one were longer ago."""
    await until(lambda: bool(partition._full._waiters))


async def test_a_step_rests_after_the_last_commit_but_the_first_does_not() -> None:
    store = MemoryStore()
    store.processor.pace_s = 0.2
    async with running(store) as partition:
        await partition.put(EVENTS, chunk([0]))
        await until(lambda: partition.steps == 1)
        committed_s = asyncio.get_running_loop().time()
        await partition.put(EVENTS, chunk([1], 1))
        await resting(partition)
        assert partition.steps == 1
        await partition.put(EVENTS, chunk([2], 2))
        await until(lambda: partition.steps == 2)

        assert asyncio.get_running_loop().time() - committed_s > 0.15
        assert store.processor.offsets() == [0, 1, 2]


async def test_a_rest_ends_where_a_step_is_full() -> None:
    store = MemoryStore()
    store.processor.pace_s = 3600.0
    async with running(store, step_max=2) as partition:
        await partition.put(EVENTS, chunk([0]))
        await until(lambda: partition.steps == 1)
        await partition.put(EVENTS, chunk([1], 1))
        await resting(partition)
        await partition.put(EVENTS, chunk([2, 3], 2))
        await until(lambda: partition.steps == 2)
        await resting(partition)

        assert [marks["events"] for _, marks in store.commits] == [1, 3]


async def test_close_ends_a_rest() -> None:
    store = MemoryStore()
    store.processor.pace_s = 3600.0
    async with running(store) as partition:
        await partition.put(EVENTS, chunk([0]))
        await until(lambda: partition.steps == 1)
        await partition.put(EVENTS, chunk([1], 1))
        await resting(partition)

        await within(partition.close())

        assert store.closed
        assert store.processor.offsets() == [0]  # the next owner gets the other


async def test_whatever_arrives_during_a_transaction_shares_the_next() -> None:
    store = MemoryStore()
    store.may_commit.clear()
    async with running(store) as partition:
        await partition.put(EVENTS, chunk([0]))
        await until(lambda: store.processor.seen)
        for number in range(1, 6):
            await partition.put(EVENTS, chunk([number], number))
        store.may_commit.set()
        await until(lambda: partition.records == 6)

        assert [marks["events"] for _, marks in store.commits] == [1, 6]


async def test_a_missing_chunk_ends_the_process(exits: list[int]) -> None:
    store = MemoryStore()
    store.may_open.clear()
    async with running(store) as partition:
        await partition.put(EVENTS, chunk([0]))
        with pytest.raises(Ended):
            await partition.put(EVENTS, chunk([2], 2))

        assert exits == [CHUNK_LOST]


async def test_an_epoch_that_does_not_begin_at_its_first_chunk_ends_the_process(exits: list[int]) -> None:
    async with running(MemoryStore()) as partition:
        await partition.put(EVENTS, chunk([0]))
        with pytest.raises(Ended):
            await partition.put(EVENTS, chunk([1], 1, epoch=(2, 0)))

        assert exits == [CHUNK_LOST]


async def test_each_topic_and_each_epoch_counts_its_own_chunks(exits: list[int]) -> None:
    store = MemoryStore()
    async with running(store) as partition:
        await partition.put(EVENTS, chunk([0]))
        await partition.put(PROFILES, chunk([0]))
        await partition.put(EVENTS, chunk([1], 1))
        await partition.put(EVENTS, chunk([2], 0, epoch=(1, 1)))
        await until(lambda: partition.records == 4)

        assert exits == []


async def test_a_group_that_has_read_past_the_rows_ends_the_process(exits: list[int]) -> None:
    store, group = MemoryStore({"events": 4}), Group()
    group.began = {EVENTS: 5}
    async with running(store, group) as partition:
        await partition.put(EVENTS, chunk([5]))
        await end_of(partition)

        assert exits == [REFUSED]
        assert store.processor.seen == []
        assert store.commits == []  # marks that were read short must not come after those that are hidden


async def test_a_zombie_does_not_refuse_what_its_successor_has_done(exits: list[int]) -> None:
    store, group = MemoryStore({"events": 4}), Group()
    store.error = RuntimeError("fenced")
    group.began = {EVENTS: 5}
    async with running(store, group) as partition:
        await partition.put(EVENTS, chunk([5]))
        await end_of(partition)

        assert exits == [FAILED]


async def test_a_group_that_is_behind_the_rows_is_fine(exits: list[int]) -> None:
    store, group = MemoryStore({"events": 4}), Group()
    group.began = {EVENTS: 4}
    async with running(store, group) as partition:
        await partition.put(EVENTS, chunk([4]))
        await until(lambda: partition.records == 1)

        assert exits == []


async def test_what_retention_took_is_counted_once() -> None:
    store, group = MemoryStore({"events": 4}), Group()
    group.first = {EVENTS: 10}
    async with running(store, group, step_max=1) as partition:
        await partition.put(EVENTS, chunk([10]))
        await until(lambda: partition.records == 1)
        await partition.put(EVENTS, chunk([11], epoch=(2, 0)))
        await until(lambda: partition.records == 2)

        assert group.asked == 2
        assert partition.stats()["lost_to_retention"] == 6


async def test_what_retention_took_is_counted_once_though_nothing_was_read_in_between() -> None:
    store, group = MemoryStore(), Group()
    group.first = {EVENTS: 10}
    store.may_commit.clear()
    async with running(store, group, step_max=1) as partition:
        await partition.put(PROFILES, chunk([0]))
        await partition.put(EVENTS, chunk([10]))
        await until(lambda: partition.lost_to_retention == 10 and store.processor.seen)
        await partition.put(EVENTS, chunk([10], epoch=(2, 0)))
        store.may_commit.set()
        await until(lambda: partition.records == 2)

        assert group.asked == 3
        assert partition.lost_to_retention == 10


async def test_of_a_gap_that_has_grown_only_the_growth_is_counted() -> None:
    store, group = MemoryStore(), Group()
    group.first = {EVENTS: 10}
    store.may_commit.clear()
    async with running(store, group, step_max=1) as partition:
        await partition.put(PROFILES, chunk([0]))
        await partition.put(EVENTS, chunk([10]))
        await until(lambda: partition.lost_to_retention == 10 and store.processor.seen)
        group.first = {EVENTS: 15}
        await partition.put(EVENTS, chunk([15], epoch=(2, 0)))
        store.may_commit.set()
        await until(lambda: partition.records == 3)

        assert partition.lost_to_retention == 15


async def test_a_full_buffer_holds_the_inputs_until_half_of_it_is_gone() -> None:
    store, group = MemoryStore(), Group()
    store.may_open.clear()
    store.may_commit.clear()
    async with running(store, group, buffered_max=4, step_max=2) as partition:
        await partition.put(EVENTS, chunk([0, 1, 2]))
        assert group.held == set()
        await partition.put(EVENTS, chunk([3, 4], 1))
        assert group.held == {EVENTS, PROFILES}
        store.may_open.set()
        await until(lambda: len(store.processor.seen) == 2)
        assert group.held == {EVENTS, PROFILES}  # three wait
        store.may_commit.set()
        await until(lambda: partition.records == 5)

        assert group.held == set()
        assert store.processor.offsets() == [0, 1, 2, 3, 4]


async def test_great_messages_fill_the_buffer_and_a_step_by_their_bytes() -> None:
    store, group = MemoryStore(), Group()
    store.may_open.clear()
    async with running(store, group, buffered_bytes_max=40, step_bytes_max=20) as partition:
        await partition.put(EVENTS, chunk([0, 1, 2, 3]))  # of 8 bytes
        assert group.held == set()
        await partition.put(EVENTS, Chunk((1, 0), 1, [Rec(4, b"ann", bytes(100)), Rec(5, b"ann", b"event")]))
        assert partition.stats()["buffered_bytes"] == 32 + 103 + 8
        assert group.held == {EVENTS, PROFILES}
        store.may_open.set()
        await until(lambda: partition.records == 6)

        assert [marks["events"] for _, marks in store.commits] == [
            2,
            4,
            5,
            6,
        ]  # a message that is more alone than a step may hold is one
        assert group.held == set()
        assert (partition.stats()["buffered"], partition.stats()["buffered_bytes"]) == (0, 0)


async def test_a_rest_ends_where_a_step_is_full_of_bytes() -> None:
    store = MemoryStore()
    store.processor.pace_s = 3600.0
    async with running(store, step_bytes_max=20) as partition:
        await partition.put(EVENTS, chunk([0]))
        await until(lambda: partition.steps == 1)
        await partition.put(EVENTS, Chunk((1, 0), 1, [Rec(1, b"ann", bytes(30))]))
        await until(lambda: partition.steps == 2)


async def test_close_ends_the_running_step_flushes_and_closes_the_store(exits: list[int]) -> None:
    store = MemoryStore()
    async with running(store) as partition:
        await partition.put(EVENTS, chunk([0, 1]))
        await until(lambda: partition.steps == 1)
        store.may_commit.clear()
        await partition.put(EVENTS, chunk([2], 1))
        await until(lambda: len(store.processor.seen) == 3)
        closing = asyncio.create_task(partition.close())
        await turns()
        assert not store.closed
        store.may_commit.set()
        await within(closing)

        assert [step.rows for step, _ in store.commits] == [{b"all": b"2"}, {b"all": b"3"}, {b"unflushed": b"3"}]
        assert store.processor.lasts == [True]
        assert store.watermarks == {"events": 3}
        assert store.closed
        assert exits == []


async def test_close_leaves_what_waits_to_the_next_owner() -> None:
    store, group = MemoryStore(), Group()
    store.may_open.clear()
    async with running(store, group, buffered_max=1) as partition:
        await partition.put(EVENTS, chunk([0]))
        closing = asyncio.create_task(partition.close())
        await turns()
        await partition.put(EVENTS, chunk([1], 1))
        store.may_open.set()
        await within(closing)

        assert store.commits == []
        assert store.closed
        assert group.held == {EVENTS, PROFILES}  # they may be another's by now: nobody fetches them for us again


async def test_close_while_new_inputs_are_checked_does_not_wait_for_more() -> None:
    store, group = MemoryStore(), Group()
    group.answers.clear()
    async with running(store, group) as partition:
        await partition.put(EVENTS, chunk([0]))
        await until(lambda: group.asked)
        closing = asyncio.create_task(partition.close())
        await turns()
        group.answers.set()
        await within(closing)

        assert store.commits == []
        assert store.closed


async def test_restored_is_said_once_the_store_is_open() -> None:
    store = MemoryStore()
    store.may_open.clear()
    async with running(store) as partition:
        await turns()
        assert not partition.restored.is_set()
        store.may_open.set()
        await within(partition.restored.wait())


async def test_what_comes_late_does_not_overtake_what_close_left() -> None:
    store, group = MemoryStore(), Group()
    group.answers.clear()
    async with running(store, group) as partition:
        await partition.put(EVENTS, chunk([0, 1]))
        await until(lambda: group.asked)
        closing = asyncio.create_task(partition.close())
        await turns()
        await partition.put(EVENTS, chunk([2, 3], 1))
        group.answers.set()
        await within(closing)

        assert store.processor.offsets() == []
        assert store.watermarks.get("events", 0) == 0


async def test_coalesced_state_is_flushed_when_it_is_due_though_nothing_arrives() -> None:
    store = MemoryStore()
    store.processor.flush_s = 0.02
    async with running(store) as partition:
        await partition.put(EVENTS, chunk([0]))
        await until(lambda: any(b"unflushed" in step.rows for step, _ in store.commits))
        assert not any(store.processor.lasts)

        assert store.watermarks == {"events": 1}


async def test_an_error_of_a_step_ends_the_process_and_commits_nothing(exits: list[int]) -> None:
    store = MemoryStore()
    store.processor.error = ZeroDivisionError("step")
    async with running(store) as partition:
        await partition.put(EVENTS, chunk([0]))
        await end_of(partition)

        assert exits == [FAILED]
        assert store.commits == []


async def test_an_error_of_a_commit_ends_the_process_and_moves_no_watermark(exits: list[int]) -> None:
    store, group = MemoryStore(), Group()
    store.error = ConnectionError("commit")
    async with running(store, group) as partition:
        await partition.put(EVENTS, chunk([0]))
        await end_of(partition)

        assert exits == [FAILED]
        assert group.watermarks == {}


async def test_an_error_of_opening_ends_the_process(exits: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()

    async def broken() -> None:
        raise ConnectionError("open")

    monkeypatch.setattr(store, "open", broken)
    async with running(store) as partition:
        await end_of(partition)

        assert exits == [FAILED]
        assert not partition.restored.is_set()


async def test_nothing_is_opened_before_there_is_what_the_processor_needs() -> None:
    store, there = MemoryStore(), asyncio.Event()

    async def known() -> None:
        await there.wait()

    async with running(store, needs=asyncio.create_task(known())) as partition:
        await partition.put(EVENTS, chunk([0]))
        await turns()
        assert not partition.restored.is_set()

        there.set()
        await until(lambda: store.commits)
        assert partition.restored.is_set()


@pytest.mark.parametrize("waits_for", ["what it needs", "its rows"])
async def test_partition_that_is_given_back_while_it_opens_holds_nobody_up(waits_for: str) -> None:
    store, never = MemoryStore(), asyncio.Event()
    needs = asyncio.create_task(never.wait() if waits_for == "what it needs" else asyncio.sleep(0))
    store.may_open.clear()
    async with running(store, needs=needs) as partition:
        await partition.put(EVENTS, chunk([0]))
        await turns()
        await within(partition.close())

        assert (store.closed, store.commits, partition.restored.is_set()) == (True, [], True)
        assert not needs.cancelled()  # the other partitions wait for it too
    needs.cancel()


async def test_what_the_processor_needs_and_cannot_be_had_ends_the_process() -> None:
    async def failing() -> None:
        raise OSError("no track rows")

    async with running(MemoryStore(), needs=asyncio.create_task(failing())) as partition:
        await end_of(partition)
