"""Copies everything that is known to topics with another number of partitions, under another prefix; the old topics are only read.

    all stands still -> new topics -> one transaction: live rows, what is made anew, watermarks -> all still stands -> commit

It is one transaction, so that a copy that is interrupted leaves nothing that a reader sees, and may be run again. Whoever runs it a second time
at once takes the transactional id of the first, which then ends.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from segue.errors import InputError, SituationError
from segue.standstill import look, members, still
from streams.growing import COPIED, Growth, RowsError
from streams.runtime.admin import count_partitions, create_topics, topics_there
from streams.runtime.settings import PREFIX, Settings
from streams.runtime.store import READER, REQUEST_BYTES_MAX, read_to_end
from streams.steps import Output
from streams.topics import TOPICS

TRANSACTION_MS = 900_000  # the most that a broker takes by default: by then the copy is done, or nothing is
UNSENT_MAX = 5_000  # rows handed to the producer before they are waited for
Tell = Callable[[str, int, int], None]  # what is read, how much of it, of how much


class Copied(NamedTuple):
    """What was copied. rows : records of all kinds but watermarks"""

    rows: int
    listeners: int
    tracks: int
    from_partitions: int


def grown(settings: Settings, to_prefix: str, partitions: int) -> Settings:
    """Settings of the new topics; InputError for a prefix that cannot be theirs."""
    if not PREFIX.fullmatch(to_prefix):
        raise InputError(f"--to-prefix {to_prefix!r}: expected at most 200 letters, digits, dots, dashes, underscores")
    if to_prefix == settings.prefix:
        raise InputError(
            f"--to-prefix {to_prefix!r} is the prefix of the topics that are to be copied (SEGUE_TOPIC_PREFIX): expected another one"
        )
    return msgspec.structs.replace(settings, prefix=to_prefix, partitions=partitions)


async def grow_topics(settings: Settings, target: Settings, tell: Tell) -> Copied:
    """Copy from the topics of `settings` to those of `target`, which are made with its partitions.

    Raises
    ------
    SituationError
        where something runs, is unread, is there already or cannot be moved: nothing is copied then
    """
    counts = await count_partitions(settings)
    async with _producing(target) as producer:  # from now on another copy can no longer end
        await _check_target(target)
        before = await look(settings, counts)
        await create_topics(msgspec.structs.replace(target, replication=max(target.replication, before.replication)))
        growth, copy = Growth(counts, target.partitions), _Copy(producer, target)
        async with producer.transaction():
            await _copy_rows(settings, counts, growth, copy, tell)
            await copy.send(growth.made_anew())
            rows = copy.sent
            await copy.send(growth.watermarks(copy.ends))
            await still(settings, before)
    return Copied(rows, growth.listeners, growth.tracks, counts["listener"])


@asynccontextmanager
async def _producing(target: Settings) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        **target.client(),
        transactional_id=f"{target.prefix}segue-grow",
        transaction_timeout_ms=TRANSACTION_MS,
        max_batch_size=1 << 20,
        max_request_size=REQUEST_BYTES_MAX,
    )
    try:
        await producer.start()
        yield producer
    except KafkaError as error:
        raise SituationError(f"Kafka did not take the copy, nothing was copied: {error!r}") from error
    finally:
        await producer.stop()


async def _check_target(target: Settings) -> None:
    """The new topics are not there, or they are empty, have the right number of partitions, and nobody uses them."""
    there = await topics_there(target)
    for topic in TOPICS:
        if there.get(topic.name, target.count(topic)) != target.count(topic):
            raise SituationError(
                f"topic {target.topic(topic)} is there with {there[topic.name]} partitions, expected {target.count(topic)} or none: "
                "choose another --to-prefix, or delete it"
            )
    if running := await members(target):
        raise SituationError("\n  ".join(["nothing was copied: somebody uses the new topics already:", *running]))
    if not there:
        return
    reader = AIOKafkaConsumer(**target.client(), **READER)
    await reader.start()
    try:
        for name, count in there.items():
            for tp in (TopicPartition(target.topic(name), number) for number in range(count)):
                async for _ in _records(reader, tp, lambda *_: None):
                    raise SituationError(
                        f"topic {tp.topic} is there and not empty: it may be a copy that has ended well. Choose another --to-prefix, "
                        f"or delete all topics that begin with {target.prefix!r} first"
                    )
    finally:
        await reader.stop()


async def _copy_rows(settings: Settings, counts: Mapping[str, int], growth: Growth, copy: "_Copy", tell: Tell) -> None:
    """Live rows of every old partition, one partition in memory at a time: the last value of each key, in the order that they were written."""
    reader = AIOKafkaConsumer(**settings.client(), **READER)
    await reader.start()
    try:
        for topic in COPIED:
            for tp in (TopicPartition(settings.topic(topic), number) for number in range(counts[topic.group])):
                live = dict[bytes, bytes]()
                async for key, value in _records(reader, tp, tell):
                    live.pop(key, None)
                    if value is not None:
                        live[key] = value
                await copy.send(growth.place(topic, tp.partition, live))
    except RowsError as error:
        raise SituationError(f"nothing was copied: {error}") from error
    finally:
        await reader.stop()


async def _records(
    reader: AIOKafkaConsumer, tp: TopicPartition, tell: Tell
) -> AsyncIterator[tuple[bytes, bytes | None]]:
    """Committed records of a partition, to the end that it has now."""
    begin, end = (await reader.beginning_offsets([tp]))[tp], (await reader.end_offsets([tp]))[tp]
    async for records in read_to_end(reader, tp):
        tell(f"{tp.topic}[{tp.partition}]", records[0].offset - begin, end - begin)
        for record in records:
            yield record.key, record.value


class _Copy:
    """Sends rows. sent : how many; ends : the next offset by (logical topic, partition)"""

    def __init__(self, producer: AIOKafkaProducer, target: Settings) -> None:
        self.producer, self.target = producer, target
        self.sent = 0
        self.ends: dict[tuple[str, int], int] = {}

    async def send(self, rows: Iterable[Output]) -> None:
        """Send rows, and wait until the broker has them; what comes next is handed over while it takes what came before."""
        before: list[asyncio.Future[object]] = []
        waiting: list[asyncio.Future[object]] = []
        for topic, key, value, partition in rows:
            waiting.append(await self.producer.send(self.target.topic(topic), value, key, partition=partition))
            if len(waiting) >= UNSENT_MAX:
                await self._wait(before)
                before, waiting = waiting, []
        await self._wait([*before, *waiting])

    async def _wait(self, waiting: "list[asyncio.Future[object]]") -> None:
        for told in await asyncio.gather(*waiting):
            place = self.target.logical(told.topic), told.partition  # type: ignore[attr-defined]
            self.ends[place] = max(self.ends.get(place, 0), told.offset + 1)  # type: ignore[attr-defined]
        self.sent += len(waiting)
