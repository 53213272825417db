"""A commit ends, one way or another: where Kafka takes it, where it refuses, and where it says nothing for ever."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from streams.runtime import store as store_module
from streams.runtime.exits import FAILED, RefusedError
from streams.runtime.store import Store
from streams.steps import Step
from tests.runtime.fakes import SETTINGS, until

CHANGELOG = "listeners-changelog"


class Written(NamedTuple):
    """What a broker says of a record that it took."""

    topic: str
    offset: int


class Producer:
    """Transactions of a log that ends at `end`; where `takes` is not set, no record is ever answered."""

    def __init__(self, end: int = 0) -> None:
        self.end, self.ended = end, list[bool]()
        self.takes = True

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        try:
            yield
        except BaseException:
            self.ended.append(False)
            raise
        self.ended.append(True)

    async def send(self, topic: str, *_: Any, **__: Any) -> "asyncio.Future[Written]":
        answer: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        if self.takes:
            answer.set_result(Written(topic, self.end))
            self.end += 1
        return answer


def writing(producer: Producer) -> Store:
    """An open store that writes there."""
    store = Store(SETTINGS, "learner", 0, SimpleNamespace(changelog=CHANGELOG))  # type: ignore[arg-type]
    store._producer = producer
    return store


async def test_a_transaction_that_kafka_never_takes_ends_the_process(
    exits: list[int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store_module, "COMMIT_S", 0.01)
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)  # of `Ended`
    producer = Producer()
    producer.takes = False
    committing = asyncio.create_task(writing(producer).commit(Step(), {"events": 1}))
    await until(lambda: exits)
    committing.cancel()
    await asyncio.wait([committing])

    assert exits == [FAILED]
    assert f"was {SETTINGS.topic(CHANGELOG)}, or a topic that it writes to, deleted?" in caplog.text


async def test_a_transaction_that_was_taken_in_time_ends_nothing(
    exits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "COMMIT_S", 0.01)
    store = writing(Producer())
    await store.commit(Step(), {"events": 1})
    await asyncio.sleep(0.03)

    assert (exits, store.watermarks) == ([], {"events": 1})


async def test_a_changelog_that_ends_before_its_end_is_refused_and_nothing_is_committed() -> None:
    producer = Producer()
    store = writing(producer)
    for offset in (1, 2):
        await store.commit(Step(), {"events": offset})
    producer.end = 0
    with pytest.raises(RefusedError, match=r"p-listeners-changelog\[0\] ended at 2, and now at 0"):
        await store.commit(Step(), {"events": 3})

    assert producer.ended == [True, True, False]
    assert store.watermarks == {"events": 2}
