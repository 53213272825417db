"""What the broker refuses: a record too large, which must not be missing from what is committed, and a worker that has a successor."""

import asyncio
import contextlib
import gc
import sys
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import MessageSizeTooLargeError, ProducerFenced

from segue.benchmarks.counting import CountProcessor
from streams.runtime.settings import Settings
from streams.runtime.store import Store
from streams.steps import WATERMARK, Step
from streams.topics import LISTENERS_CHANGELOG, LISTENING_EVENTS
from tests.integration.ledger import read_all

pytestmark = pytest.mark.kafka


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What aiokafka leaves of a producer that was fenced is logged when it is collected: here, and not in the middle of another test."""
    yield
    gc.collect()


COMMIT_ONE_TOO_LARGE = """
import asyncio, sys
from segue.benchmarks.counting import CountProcessor
from streams.runtime.settings import Settings
from streams.runtime.store import Store
from streams.steps import Output, Step

async def commit() -> None:
    store = Store(Settings.from_env(), "refused", 0, CountProcessor(0))
    await store.open()
    step = Step({b"row": b"1"}, [Output("small", b"key", b"x" * 50_000)])
    try:
        await store.commit(step, {"listening-events": 7})
    except Exception as error:
        print(type(error).__name__)
    await store.close()

asyncio.run(commit())
"""


async def test_a_transaction_with_a_record_that_the_broker_refuses_commits_nothing(settings: Settings) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap)
    await admin.start()
    small = NewTopic(settings.topic("small"), 1, 1, topic_configs={"max.message.bytes": "1000"})
    await admin.create_topics([small])
    await admin.close()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", COMMIT_ONE_TOO_LARGE, env=settings.environ(), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60.0)

    assert out.decode().strip() == MessageSizeTooLargeError.__name__
    assert await read_all(settings, LISTENERS_CHANGELOG.name) == []


async def test_a_successor_fences_who_had_its_partition(settings: Settings) -> None:
    zombie, successor = (Store(settings, "fenced", 0, CountProcessor(0)) for _ in range(2))
    await zombie.open()
    await zombie.commit(Step({b"ann": b"\x92\x01\x01"}), {LISTENING_EVENTS.name: 1})
    await successor.open()

    with pytest.raises(ProducerFenced):
        await zombie.commit(Step({b"ann": b"\x92\x09\x09"}), {LISTENING_EVENTS.name: 9})

    assert successor.watermarks == {LISTENING_EVENTS.name: 1}
    await successor.commit(Step({b"ann": b"\x92\x02\x02"}), {LISTENING_EVENTS.name: 2})
    written = [value for _, key, value in await read_all(settings, LISTENERS_CHANGELOG.name) if key == b"ann"]
    assert written == [b"\x92\x01\x01", b"\x92\x02\x02"]
    await successor.close()
    with contextlib.suppress(ProducerFenced):
        await zombie.close()


async def test_who_asks_whether_it_is_fenced_writes_nothing_that_is_read(settings: Settings) -> None:
    zombie, successor = (Store(settings, "fenced", 0, CountProcessor(0)) for _ in range(2))
    await zombie.open()
    await zombie.check_owner()
    await zombie.commit(Step({b"ann": b"\x92\x01\x01"}), {LISTENING_EVENTS.name: 1})
    await successor.open()

    with pytest.raises(ProducerFenced):
        await zombie.check_owner()

    await successor.check_owner()
    assert [key for _, key, _ in await read_all(settings, LISTENERS_CHANGELOG.name)] == [b"ann", WATERMARK]
    await successor.close()
    with contextlib.suppress(ProducerFenced):
        await zombie.close()


async def test_the_broker_refuses_an_event_that_no_dead_letter_could_hold(settings: Settings) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap, max_request_size=8 << 20) as producer:
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(settings.topic(LISTENING_EVENTS), b"x" * 3_000_000, b"ann")
