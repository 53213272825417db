"""The follower: caught up means that all that was there has been applied, and behind means that it says so."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition

from streams.runtime import follower as follower_module
from streams.runtime.exits import FAILED
from streams.runtime.follower import SLICE, Apply, Follower, end_process
from streams.steps import WATERMARK
from tests.runtime.fakes import DEADLINE_S, SETTINGS, Ended, Reader, Rec, turns, until

ROWS = "rows"
P0, P1 = TopicPartition("p-rows", 0), TopicPartition("p-rows", 1)
Applied = list[tuple[str, int, bytes, bytes | None]]


def log(n: int, timestamp: int = 0) -> list[Rec]:
    """A partition of n rows, their offset as their key."""
    return [Rec(offset, b"%d" % offset, b"row", timestamp) for offset in range(n)]


def keeping(applied: Applied) -> Apply:
    """An apply that keeps every row."""
    return lambda topic, number, rows: applied.extend((topic, number, key, value) for key, value in rows)


def count(applied: Applied, partition: int) -> int:
    """How many rows of a partition were applied."""
    return sum(number == partition for _, number, _, _ in applied)


@pytest.fixture
def following(monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """A running follower of partitions of `rows`, over a fake reader."""

    @asynccontextmanager
    async def run(
        reader: Reader, apply: Apply, partitions: tuple[int, ...] = (0,), failed: Callable[[], None] | None = None
    ) -> AsyncIterator[Follower]:
        monkeypatch.setattr(follower_module, "AIOKafkaConsumer", lambda **_: reader)
        follower = Follower(SETTINGS, {ROWS: partitions}, apply, failed=failed)
        starting = asyncio.create_task(follower.start())
        await asyncio.wait([starting], timeout=DEADLINE_S)
        try:
            yield follower
        finally:
            await follower.stop()

    return run


async def within(waiting: "asyncio.Future[None] | object") -> None:
    """Wait for something that is due."""
    await asyncio.wait_for(waiting, DEADLINE_S)  # type: ignore[arg-type]


async def polled(reader: Reader, times: int = 5) -> None:
    """Wait until the follower has been around some times."""
    goal = reader.polls + times
    await until(lambda: reader.polls >= goal)


async def test_caught_up_means_that_every_row_was_applied_in_its_order(following) -> None:
    applied: Applied = []
    async with following(Reader({P0: log(1200)}), keeping(applied)) as follower:
        await within(follower.caught_up())

    assert [(ROWS, 0, b"%d" % offset, b"row") for offset in range(1200)] == applied
    assert follower.rows == 1200


async def test_an_empty_partition_is_caught_up_and_so_is_none(following) -> None:
    applied: Applied = []
    async with following(Reader({P0: []}), keeping(applied)) as follower:
        await within(follower.caught_up())
    async with following(Reader({}), keeping(applied), ()) as follower:
        await within(follower.caught_up())

    assert applied == []


async def test_nobody_is_caught_up_before_the_last_row_that_was_there(following) -> None:
    applied: Applied = []
    reader = Reader({P0: log(10), P1: log(10)})
    reader.shown = {P0: 9}
    async with following(reader, keeping(applied), (0, 1)) as follower:
        caught_up = asyncio.create_task(follower.caught_up())
        await polled(reader)
        assert not caught_up.done()
        reader.shown = {}
        await within(caught_up)

    assert count(applied, 0) == count(applied, 1) == 10


async def test_a_partition_that_is_assigned_later_is_waited_for_though_its_end_comes_late(following) -> None:
    applied: Applied = []
    reader = Reader({P0: log(5), P1: log(7)})
    reader.shown = {P1: 3}
    async with following(reader, keeping(applied)) as follower:
        await within(follower.caught_up())
        reader.ends_known.clear()
        assigning = asyncio.create_task(follower.assign(ROWS, [0, 1]))
        await asyncio.sleep(0)
        caught_up = asyncio.create_task(follower.caught_up())
        await polled(reader)
        assert not caught_up.done(), "its end is not known yet"
        reader.ends_known.set()
        await within(assigning)
        await polled(reader)
        assert not caught_up.done(), "it has not been read to its end"
        reader.shown = {}
        await within(caught_up)

    assert count(applied, 1) == 7
    assert count(applied, 0) == 5, "what is kept is not read again"


async def test_a_partition_that_comes_back_is_read_from_its_beginning(following) -> None:
    applied: Applied = []
    reader = Reader({P0: log(4), P1: log(4)})
    async with following(reader, keeping(applied), (0, 1)) as follower:
        await within(follower.caught_up())
        await follower.assign(ROWS, [0])
        await within(follower.caught_up())
        reader.logs[P1].append(Rec(4, b"4", b"new"))
        reader.shown = {P1: 4}
        await follower.assign(ROWS, [0, 1])
        caught_up = asyncio.create_task(follower.caught_up())
        await polled(reader)
        assert not caught_up.done(), "its end is no longer the one of before"
        reader.shown = {}
        await within(caught_up)

    assert count(applied, 1) == 4 + 5


async def test_a_partition_that_was_taken_away_is_applied_no_more(following) -> None:
    applied: Applied = []
    reader = Reader({P0: log(3), P1: log(3)})
    async with following(reader, keeping(applied), (0, 1)) as follower:
        await within(follower.caught_up())
        await follower.assign(ROWS, [1])
        for tp in (P0, P1):
            reader.logs[tp].append(Rec(3))
        await until(lambda: count(applied, 1) == 4)
        await polled(reader)
        assert reader.assignment() == {P1}

    assert count(applied, 0) == 3


async def test_what_was_fetched_of_a_partition_that_was_taken_meanwhile_is_left_out(following) -> None:
    applied: Applied = []
    reader = Reader({P0: log(SLICE), P1: log(3)})
    taking: list[asyncio.Task[None]] = []

    def apply(topic: str, number: int, rows: object) -> None:
        keeping(applied)(topic, number, rows)  # type: ignore[arg-type]
        if number == 0:
            taking.append(asyncio.create_task(follower.assign(ROWS, [0])))

    reader.shown = {P0: 0, P1: 0}
    async with following(reader, apply, (0, 1)) as follower:
        reader.shown = {}
        await until(lambda: taking)
        await within(taking[0])
        await within(follower.caught_up())

    assert count(applied, 1) == 0


async def test_a_long_fetch_ends_where_its_partition_is_taken_away(following) -> None:
    applied: Applied = []
    reader = Reader({P0: log(5 * SLICE)})

    def apply(topic: str, number: int, rows: object) -> None:
        keeping(applied)(topic, number, rows)  # type: ignore[arg-type]
        if len(applied) == SLICE:
            taking.append(asyncio.create_task(follower.assign(ROWS, [])))

    taking: list[asyncio.Task[None]] = []
    async with following(reader, keeping(applied), ()) as follower:
        follower._apply = apply
        await follower.assign(ROWS, [0])
        await until(lambda: taking)
        await within(taking[0])
        await within(follower.caught_up())
        await turns()

    assert len(applied) == SLICE


async def test_watermark_rows_are_left_out_and_counted(following) -> None:
    applied: Applied = []
    rows = [Rec(0, b"a", b"1"), Rec(1, WATERMARK, b"mark"), Rec(2, b"b", None)]
    async with following(Reader({P0: rows}), keeping(applied)) as follower:
        await within(follower.caught_up())

    assert applied == [(ROWS, 0, b"a", b"1"), (ROWS, 0, b"b", None)]
    assert follower.rows == 3


def broken(topic: str, partition: int, rows: object) -> None:
    """An apply that cannot."""
    raise ZeroDivisionError("apply")


async def test_an_error_of_apply_is_raised_to_who_waits(following) -> None:
    async with following(Reader({P0: log(1)}), broken) as follower:
        with pytest.raises(ZeroDivisionError, match="apply"):
            await within(follower.caught_up())


async def test_an_error_of_apply_is_told_to_the_owner_once(following) -> None:
    told: list[str] = []
    async with following(Reader({P0: log(1)}), broken, failed=lambda: told.append("failed")):
        await until(lambda: told)
        await turns()

    assert told == ["failed"]


async def test_an_error_is_raised_though_partitions_were_assigned_after_it(following) -> None:
    async with following(Reader({P0: log(1), P1: log(1)}), broken) as follower:
        await until(lambda: follower._error is not None)
        await follower.assign(ROWS, [0, 1])
        caught_up = asyncio.create_task(follower.caught_up())
        await turns()
        assert caught_up.done()
        with pytest.raises(ZeroDivisionError):
            caught_up.result()


def test_a_worker_whose_follower_failed_ends(exits: list[int]) -> None:
    with pytest.raises(Ended):
        end_process()

    assert exits == [FAILED]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The follower's wall clock, in milliseconds."""
    hands = SimpleNamespace(now_ms=1_000_000)
    monkeypatch.setattr(follower_module, "time", SimpleNamespace(time_ns=lambda: hands.now_ms * 1_000_000))
    return hands


async def test_age_is_nothing_while_it_stands_at_the_end(following, clock: SimpleNamespace) -> None:
    applied: Applied = []
    reader = Reader({P0: log(2, timestamp=5)})
    async with following(reader, keeping(applied)) as follower:
        await within(follower.caught_up())
        clock.now_ms += 700
        await polled(reader)

        assert follower.age_ms(clock.now_ms) == 0


async def test_age_grows_from_its_newest_row_while_it_is_behind(following, clock: SimpleNamespace) -> None:
    applied: Applied = []
    reader = Reader({P0: log(9, timestamp=clock.now_ms - 400)})
    reader.shown = {P0: 5}
    async with following(reader, keeping(applied)) as follower:
        await until(lambda: len(applied) == 5)
        await polled(reader)

        assert follower.age_ms(clock.now_ms) == 400


async def test_age_grows_while_committed_rows_have_not_come(following, clock: SimpleNamespace) -> None:
    applied: Applied = []
    reader = Reader({P0: log(2)})
    async with following(reader, keeping(applied)) as follower:
        await within(follower.caught_up())
        await polled(reader)
        reader.shown = {P0: 2}
        reader.logs[P0].append(Rec(2))
        await polled(reader)
        clock.now_ms += 700
        await polled(reader)

        assert follower.age_ms(clock.now_ms) == 700


async def test_age_grows_while_an_assigned_partition_is_not_read(following, clock: SimpleNamespace) -> None:
    applied: Applied = []
    reader = Reader({P0: log(2), P1: log(2)})
    async with following(reader, keeping(applied)) as follower:
        await within(follower.caught_up())
        await polled(reader)
        reader.ends_known.clear()
        assigning = asyncio.create_task(follower.assign(ROWS, [0, 1]))
        await until(lambda: count(applied, 1) == 2)
        clock.now_ms += 700
        await polled(reader)

        assert follower.age_ms(clock.now_ms) == 700
        reader.ends_known.set()
        await within(assigning)


async def test_age_is_unknown_before_the_broker_has_said_where_the_end_is(following, clock: SimpleNamespace) -> None:
    applied: Applied = []
    reader = Reader({P0: []})
    reader.last_stable_offset = lambda tp: None  # type: ignore[method-assign]
    async with following(reader, keeping(applied)) as follower:
        await within(follower.caught_up())
        await polled(reader)

        assert follower.age_ms(clock.now_ms) == clock.now_ms


async def test_stop_ends_the_reader(following) -> None:
    applied: Applied = []
    reader = Reader({P0: log(2)})
    async with following(reader, keeping(applied)) as follower:
        await within(follower.caught_up())
    polls = reader.polls
    await turns()

    assert reader.stopped
    assert reader.polls == polls
