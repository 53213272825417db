"""The serving worker: it answers what it owns and knows the listeners of, and commits what was acknowledged."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError

from serving.runtime.namesake import FORGOTTEN_MAX
from serving.runtime.worker import REACH_S, ServingWorker
from streams.messages import PlaylistRequest, encode
from streams.runtime.exits import FAILED, REFUSED
from tests.runtime.fakes import (
    DEADLINE_S,
    SETTINGS,
    Ended,
    Events,
    Listeners,
    Producer,
    Rec,
    RequestConsumer,
    turns,
    until,
)

P0, P1 = TopicPartition("p-playlist-requests", 0), TopicPartition("p-playlist-requests", 1)


def asked(n: int, first: int = 0) -> list[Rec]:
    """Messages that are no requests: they are answered too, and quickly."""
    return [Rec(offset, b"%d" % offset, b"junk") for offset in range(first, first + n)]


def keys(n: int) -> list[bytes]:
    """The keys of the answers to `asked(n)`."""
    return [b"%d" % offset for offset in range(n)]


class World:
    """A serving worker between fakes, its loop of answers running."""

    def __init__(self, *assigned: TopicPartition) -> None:
        self.worker: Any = ServingWorker(SETTINGS, clock_ms=lambda: 1000.0)
        self.consumer, self.producer, self.listeners = RequestConsumer(assigned), Producer(), Listeners()
        self.tracks, self.events = Listeners(), Events()
        self.worker._consumer, self.worker._producer = self.consumer, self.producer
        self.worker._listeners, self.worker._tracks, self.worker._events = self.listeners, self.tracks, self.events
        for stop in (self.tracks.stop, self.listeners.stop, self.producer.stop, self.worker._leave):
            self.worker._clients.push_async_callback(stop)
        self.sent = self.producer.sent

    async def assign(self, *tps: TopicPartition) -> None:
        """The group gives the worker other partitions."""
        self.consumer.assigned = set(tps)
        await self.worker.on_partitions_assigned(set(tps))

    async def revoke(self) -> None:
        """The group takes the worker's partitions."""
        await self.worker.on_partitions_revoked(self.consumer.assignment())

    async def answered(self, n: int) -> None:
        """Wait until so many were answered, and the offset after them is noted."""
        await until(lambda: sum(map(len, self.sent.values())) == n)
        await turns()


@asynccontextmanager
async def answering(*assigned: TopicPartition) -> AsyncIterator[World]:
    """A world whose worker answers."""
    world = World(*assigned)
    task = asyncio.create_task(world.worker._answer_requests())
    try:
        yield world
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_requests_wait_until_their_listeners_are_known() -> None:
    async with answering(P0) as world:
        world.listeners.known.clear()
        world.consumer.fetches = [{P0: asked(3)}]
        assigning = asyncio.create_task(world.assign(P0))
        await until(lambda: world.consumer.polls)
        await turns()
        assert world.sent == {}
        world.listeners.known.set()
        await assigning
        await world.answered(3)

        assert world.listeners.assigned == [{0}]
        assert {0: keys(3)} == world.sent


async def test_requests_wait_from_the_revocation_to_the_next_assignment() -> None:
    async with answering(P0) as world:
        await world.assign(P0)
        world.consumer.fetches = [{P0: asked(1)}]
        await world.answered(1)
        await world.revoke()
        world.consumer.fetches = [{P0: asked(1, 1)}]
        polls = world.consumer.polls
        await until(lambda: world.consumer.polls > polls)
        await turns()
        assert {0: keys(1)} == world.sent
        await world.assign(P0)
        await world.answered(2)


def asked_after(event: int, *, user_id: str = "ann", at_ms: int = 990, **fields: Any) -> Rec:
    """A request that names an event that was there before it, ten milliseconds old."""
    request = PlaylistRequest(request_id="r", user_id=user_id, after_event=event, **fields)
    return Rec(0, user_id.encode(), encode(request), at_ms)


async def test_a_request_waits_for_the_event_that_was_there_before_it() -> None:
    async with answering(P0, P1) as world:
        await world.assign(P0, P1)
        world.consumer.fetches = [{P1: [asked_after(7)]}]
        await world.answered(1)

    assert [(partition, offset) for partition, offset, _ in world.events.waits] == [(1, 7)]
    assert 0.0 < world.events.waits[0][2] <= REACH_S


async def test_a_request_waits_no_longer_than_a_full_answer_is_still_to_be_had() -> None:
    async with answering(P0) as world:
        await world.assign(P0)
        world.consumer.fetches = [{P0: [asked_after(7, deadline_ms=50), asked_after(7, at_ms=500)]}]
        await world.answered(2)

    assert [within_s for *_, within_s in world.events.waits] == pytest.approx([0.010, -0.400])


async def test_what_came_together_waits_together() -> None:
    async with answering(P0, P1) as world:
        await world.assign(P0, P1)
        world.events.waiting = lambda: asyncio.sleep(REACH_S)
        world.consumer.fetches = [{P0: [asked_after(7)], P1: [asked_after(8), asked_after(9)]}]
        await world.answered(3)

    assert [within_s > 0.0 for *_, within_s in world.events.waits] == [True, False, False]


async def test_a_request_whose_partition_goes_while_it_waits_is_left_to_its_next_owner() -> None:
    async with answering(P0, P1) as world:
        await world.assign(P0)

        async def rebalance() -> None:
            world.events.waiting = None
            await world.revoke()
            await world.assign(P1)

        world.events.waiting = rebalance
        world.consumer.fetches = [{P0: [asked_after(7)]}, {P1: asked(1)}]
        await world.answered(1)

        assert (list(world.sent), list(world.worker._answered_to)) == ([1], [P1])


async def test_what_was_fetched_of_a_partition_that_was_revoked_is_not_answered() -> None:
    async with answering(P0, P1) as world:
        world.consumer.fetches = [{P0: asked(3), P1: asked(2)}]
        await until(lambda: world.consumer.polls)
        await world.revoke()
        await world.assign(P1)
        await world.answered(2)

        assert {1: keys(2)} == world.sent
        assert world.worker._answered_to == {P1: 2}


async def test_a_revocation_in_the_middle_leaves_the_rest_to_the_next_owner() -> None:
    async with answering(P0) as world:
        await world.assign(P0)

        async def revoke_at_the_last(partition: int) -> None:
            if len(world.sent[partition]) == 7:
                await world.revoke()

        world.producer.taking = revoke_at_the_last
        world.consumer.fetches = [{P0: asked(24)}]
        await world.answered(8)
        await world.assign(P1)
        world.consumer.fetches = [{P1: asked(1)}]
        await world.answered(9)

        assert world.worker._answered_to == {P1: 1}
        assert {0: keys(8), 1: keys(1)} == world.sent


async def test_an_answer_that_kafka_refuses_ends_the_process(exits: list[int]) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)  # of `Ended`
    async with answering(P0) as world:
        await world.assign(P0)
        world.consumer.fetches = [{P0: asked(2)}]
        await world.answered(2)
        accepted, refused = world.producer.pending
        accepted.set_result(None)
        await turns()
        assert exits == []
        refused.set_exception(ConnectionError("refused"))
        await turns()

        assert exits == [FAILED]
        assert world.consumer.commits == []


async def test_offsets_are_committed_once_their_answers_are_acknowledged() -> None:
    async with answering(P0) as world:
        await world.assign(P0)
        world.producer.may_flush.clear()
        world.consumer.fetches = [{P0: asked(2)}]
        await world.answered(2)
        committing = asyncio.create_task(world.worker._commit())
        await until(lambda: world.producer.flushing)
        world.consumer.fetches = [{P0: asked(2, 2)}]
        await world.answered(4)
        assert world.consumer.commits == []
        world.producer.may_flush.set()
        await committing

        assert world.consumer.commits == [{P0: 2}], "what was answered during the flush is not known to have arrived"
        await world.worker._commit()
        await world.worker._commit()

        assert world.consumer.commits == [{P0: 2}, {P0: 4}]


async def test_a_revocation_tells_the_group_what_was_answered() -> None:
    async with answering(P0) as world:
        await world.assign(P0)
        world.consumer.fetches = [{P0: asked(2)}]
        await world.answered(2)
        await world.revoke()

        assert world.consumer.commits == [{P0: 2}]
        assert world.worker._answered_to == {}


async def test_only_owned_offsets_are_committed() -> None:
    async with answering(P0, P1) as world:
        await world.assign(P0, P1)
        world.consumer.fetches = [{P0: asked(2), P1: asked(1)}]
        await world.answered(3)
        world.consumer.assigned = {P1}
        await world.worker._commit()

        assert world.consumer.commits == [{P1: 1}]


async def test_a_commit_that_a_rebalance_has_overtaken_is_made_later(exits: list[int]) -> None:
    async with answering(P0) as world:
        await world.assign(P0)
        world.consumer.fetches = [{P0: asked(2)}]
        await world.answered(2)
        world.consumer.error = CommitFailedError()
        await world.worker._guard(world.worker._commit())
        world.consumer.error = None
        await world.worker._guard(world.worker._commit())

        assert exits == []
        assert world.consumer.commits == [{P0: 2}]


async def test_a_commit_that_fails_ends_the_process(exits: list[int]) -> None:
    async with answering(P0) as world:
        await world.assign(P0)
        world.consumer.fetches = [{P0: asked(2)}]
        await world.answered(2)
        world.consumer.error = ConnectionError("no Kafka")
        with pytest.raises(Ended):
            await world.worker._guard(world.worker._commit())

        assert exits == [FAILED]


async def test_listeners_that_cannot_be_read_end_the_process_before_anything_is_answered(exits: list[int]) -> None:
    async def broken() -> None:
        raise ConnectionError("no Kafka")

    async with answering(P0) as world:
        world.listeners.caught_up = broken  # type: ignore[method-assign]
        world.consumer.fetches = [{P0: asked(2)}]
        with pytest.raises(Ended):
            await world.assign(P0)
        await turns()

        assert exits == [FAILED]
        assert world.sent == {}


async def test_listeners_of_other_partitions_are_let_go() -> None:
    async with answering(P0) as world:
        for number in (0, 1):
            world.worker._replica.apply("listeners-changelog", number, [])
            world.worker._replica.listeners.partitions[number] = object()
        await world.assign(P1)

        assert set(world.worker._replica.listeners.partitions) == {1}


async def test_events_are_read_from_where_the_rows_have_come_to_once_those_are_known() -> None:
    async with answering(P0) as world:
        world.listeners.known.clear()
        assigning = asyncio.create_task(world.assign(P0, P1))
        await turns()
        assert world.events.assigned == []
        world.worker._take_watermarks(0, {"listening-events": 7, "listeners": 9})
        world.worker._take_watermarks(1, {"listeners": 9})
        world.listeners.known.set()
        await assigning

        assert world.events.assigned == [({0, 1}, {0: 7, 1: 0})]


@pytest.mark.parametrize(
    ("member", "every_ms", "codes"),
    [("pod-0", 1_100.0, [REFUSED]), ("pod-0", 11_000.0, []), ("", 1_100.0, [])],
    ids=["a-namesake", "pauses-longer-than-the-session", "no-name"],
)
async def test_who_is_forgotten_by_the_group_again_and_again_has_a_namesake_and_ends(
    exits: list[int], member: str, every_ms: float, codes: list[int]
) -> None:
    world, now_ms = World(P0), itertools.count(0.0, every_ms)
    world.worker.settings = msgspec.structs.replace(SETTINGS, member=member)
    world.worker._clock_ms = lambda: next(now_ms)
    with contextlib.suppress(Ended):
        for _ in range(FORGOTTEN_MAX):
            await world.assign(P0)
            await world.revoke()  # a rebalance: the group knows its member
        for _ in range(FORGOTTEN_MAX):
            await world.assign(P0)
            world.consumer._coordinator.member_id = ""
            await world.revoke()

    assert codes == exits
    assert len(world.listeners.assigned) == 2 * FORGOTTEN_MAX


@asynccontextmanager
async def started(*assigned: TopicPartition) -> AsyncIterator[World]:
    """A world whose worker has its tasks, for `stop` to end."""
    world = World(*assigned)
    loops = (world.worker._answer_requests, world.worker._commit_now_and_then)
    world.worker._tasks = [asyncio.create_task(world.worker._guard(loop())) for loop in loops]
    try:
        yield world
    finally:
        for task in world.worker._tasks:
            task.cancel()
        await asyncio.wait(world.worker._tasks)


async def test_stop_answers_what_was_taken_commits_and_leaves() -> None:
    async with started(P0) as world:
        await world.assign(P0)
        world.consumer.fetches = [{P0: asked(2)}]
        await world.answered(2)
        await asyncio.wait_for(world.worker.stop(), DEADLINE_S)

        assert world.consumer.commits == [{P0: 2}]
        assert world.consumer.leaves
        assert all(each.stopped for each in (world.consumer, world.producer, world.listeners, world.tracks))


async def test_stop_does_not_wait_for_listeners_nor_answer_without_them() -> None:
    async with started(P0) as world:
        world.consumer.fetches = [{P0: asked(2)}]
        await until(lambda: world.consumer.polls)
        await asyncio.wait_for(world.worker.stop(), DEADLINE_S)

        assert world.sent == {}
        assert world.consumer.commits == []


async def test_a_worker_that_was_signalled_early_in_its_start_can_be_stopped() -> None:
    await asyncio.wait_for(ServingWorker(SETTINGS).stop(), DEADLINE_S)
