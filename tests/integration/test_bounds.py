"""What a worker holds of its inputs is bounded, however far behind it is, and nothing is lost or stands still for it."""

import asyncio
import os
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from segue.benchmarks.counting import CountProcessor
from streams.messages import ListeningEvent, encode
from streams.runtime.engine import Engine
from streams.runtime.settings import Settings
from streams.runtime.store import Store
from streams.runtime.transport import ChunkConsumer
from streams.steps import Record, Step
from streams.topics import LISTENING_EVENTS
from tests.integration.ledger import until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
BUFFERED_MAX = 4000
FETCH_RECORDS = 8000  # of about 140 bytes in the megabyte that a fetch brings of a partition


class Counted(CountProcessor):
    """A counter that keeps the offsets in the order in which they were applied."""

    def __init__(self, partition: int) -> None:
        super().__init__(partition)
        self.offsets, self.bytes = list[int](), 0

    def step(self, records: Sequence[Record], now_ms: int) -> Step:
        self.offsets += [record.offset for record in records]
        self.bytes += sum(len(record.value or b"") for record in records)
        return super().step(records, now_ms)


@pytest.fixture(autouse=True)
def ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that ends its process fails the test."""

    def end(code: int) -> None:
        raise SystemError(f"ended with {code}")

    monkeypatch.setattr(os, "_exit", end)


async def produce(settings: Settings, events: int, *, padding: int = 0) -> None:
    """Events, as many in each partition; with so many bytes that no release knows."""
    producer = AIOKafkaProducer(**settings.client(), max_request_size=8 << 20, max_batch_size=1 << 18)
    await producer.start()
    topic, field = settings.topic(LISTENING_EVENTS), b',"more":"' + b"x" * padding + b'"}'
    for number in range(events):
        event = ListeningEvent(
            event_id=f"e{number}", at_ms=1, user_id=f"user-{number % 50}", track_id="t1", kind="play"
        )
        value = encode(event)[:-1] + field
        await producer.send(topic, value, event.user_id.encode(), partition=number % settings.partitions)
    await producer.stop()


class Watched:
    """An engine of counters whose commits wait for `may_commit`.

    most, most_bytes : records, and bytes of their values, that were in memory at once
    """

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch, **bounds: int) -> None:
        self.processors, self.most, self.most_bytes = dict[int, Counted](), 0, 0
        self.handed, self.handed_bytes = 0, 0
        self.may_commit = asyncio.Event()
        self.engine = Engine(settings, "bounds", self._build, CountProcessor.inputs, **bounds)
        commit, chunks, watched = Store.commit, ChunkConsumer._chunks, self

        async def held_up(store: Store, step: Step, marks: Any) -> None:
            await watched.may_commit.wait()
            await commit(store, step, marks)

        def counted(*arguments: Any) -> Any:
            made = chunks(*arguments)
            watched.count([record for _, message in made for record in message.value.records])  # type: ignore[attr-defined]
            return made

        monkeypatch.setattr(Store, "commit", held_up)
        monkeypatch.setattr(ChunkConsumer, "_chunks", counted)

    def count(self, fetched: list[Any]) -> None:
        """Take note of what was fetched."""
        self.handed += len(fetched)
        self.handed_bytes += sum(len(record.value) for record in fetched)
        self.most = max(self.most, self.handed - self.applied)
        self.most_bytes = max(self.most_bytes, self.handed_bytes - sum(each.bytes for each in self.processors.values()))

    async def run(self, events: int) -> None:
        """Wait until nothing more is fetched while commits wait, then until all is applied."""
        await self.engine.start()
        try:
            await until("no partition is fetched any more", self._is_held, 20.0)
            self.may_commit.set()
            await until("all is counted", lambda: self.applied == events, 60.0)
        finally:
            self.may_commit.set()
            await self.engine.stop()

    @property
    def applied(self) -> int:
        return sum(len(processor.offsets) for processor in self.processors.values())

    def _build(self, number: int) -> Counted:
        return self.processors.setdefault(number, Counted(number))

    def _is_held(self) -> bool:
        consumer: Any = self.engine._app.consumer
        return bool(self.engine.partitions) and not consumer._get_active_partitions()


async def test_a_worker_that_is_far_behind_holds_a_bounded_part_of_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = 80_000
    await produce(settings, events)
    watched = Watched(settings, monkeypatch, buffered_max=BUFFERED_MAX)
    await watched.run(events)

    assert BUFFERED_MAX < watched.most < settings.partitions * (BUFFERED_MAX + 2 * FETCH_RECORDS)
    for processor in watched.processors.values():  # each once, in order, though they were held and let again
        assert processor.offsets == list(range(events // settings.partitions))


async def test_great_messages_are_held_by_their_bytes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    events = 60
    await produce(settings, events, padding=1_000_000)
    watched = Watched(settings, monkeypatch, buffered_bytes_max=4_000_000)
    await watched.run(events)

    assert 4_000_000 < watched.most_bytes < settings.partitions * 8_000_000
    for processor in watched.processors.values():
        assert processor.offsets == list(range(events // settings.partitions))
