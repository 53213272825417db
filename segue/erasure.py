"""Erases a person: reads what is held of them, sends the tombstone, and follows the changelog until their learner has removed the rows.

Everything of a person is keyed by their user_id, so that one partition number of each topic is looked at, and no other.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from online_models.listener_rows import CHOICES, HEAD, PAGE, user_of
from segue.errors import SituationError
from streams.partitioning import partition_of
from streams.processor import LearnerProcessor
from streams.runtime.admin import count_partitions
from streams.runtime.settings import Settings
from streams.runtime.store import READER, read_to_end
from streams.steps import WATERMARK
from streams.topics import LISTENERS, LISTENERS_CHANGELOG

SECTIONS = {HEAD: "head", PAGE: "pages", CHOICES: "choices"}
LOOK_S = 0.1  # until it is looked again how far the learner is
ROUNDS = 2  # the second is for messages of theirs that the learner read only after the first tombstone


@dataclass(slots=True)
class Held:
    """What our topics hold of one person.

    rows : keys of their changelog rows; profile : whether `listeners` holds one
    marks : by input topic, the next offset that the learner has not seen; next_offset : where the changelog was read to
    unread : by input topic, the offset of the last message of theirs that no learner had read
    """

    user_id: str
    partition: int
    rows: set[bytes] = field(default_factory=set)
    profile: bool = False
    marks: dict[str, int] = field(default_factory=dict)
    next_offset: int = 0
    unread: dict[str, int] = field(default_factory=dict)
    unread_messages: int = 0

    @property
    def known(self) -> bool:
        """Whether anything of them is there."""
        return bool(self.rows or self.profile or self.unread)

    def counts(self) -> dict[str, int]:
        """Rows by kind."""
        found = Counter(SECTIONS[key[:1]] for key in self.rows)
        return {name: found[name] for name in SECTIONS.values()}

    def take(self, key: bytes, value: bytes | None) -> None:
        """Take a record of the changelog."""
        if key == WATERMARK:
            self.marks = {} if value is None else msgspec.msgpack.decode(value, type=dict[str, int])
        elif key[:1] in SECTIONS and user_of(key) == self.user_id:
            (self.rows.discard if value is None else self.rows.add)(key)

    def caught_up(self, wanted: Mapping[str, int]) -> bool:
        """Whether the learner has read all of some offsets, by topic."""
        return all(self.marks.get(topic, 0) > offset for topic, offset in wanted.items())


async def look(settings: Settings, user_id: str) -> Held:
    """What is held of a person now."""
    partitions = (await count_partitions(settings))["listener"]
    held = Held(user_id, partition_of(user_id.encode(), partitions))
    async with _Reader(settings, held) as reader:
        await reader.rows()
        await reader.profile()
        await reader.unread()
    return held


async def erase(settings: Settings, held: Held, deadline_s: float) -> None:
    """Send the tombstone and wait until the learner has taken it; `held.rows` are then what came back since.

    Raises
    ------
    SituationError
        where no learner has taken it in time
    """
    ends = time.monotonic() + deadline_s
    producer = AIOKafkaProducer(**settings.client(), enable_idempotence=True)
    async with producer, _Reader(settings, held) as reader:
        for _ in range(ROUNDS):
            sent = await producer.send_and_wait(
                settings.topic(LISTENERS), None, held.user_id.encode(), partition=held.partition
            )
            wanted = {**held.unread, LISTENERS.name: sent.offset}
            try:
                async with asyncio.timeout(ends - time.monotonic()):
                    await reader.rows(wanted)
            except TimeoutError as error:
                raise SituationError(
                    f"no learner has taken the tombstone of {held.user_id!r} within {deadline_s:g} s: is one running (`segue worker "
                    "learner`)? The tombstone is sent: the first that comes erases them; then run this again, to see what is left"
                ) from error
            if not held.rows:
                return


class _Reader:
    """Reads the person's partition of one topic after the other."""

    def __init__(self, settings: Settings, held: Held) -> None:
        self.settings, self.held = settings, held
        self._consumer = AIOKafkaConsumer(**settings.client(), **READER)

    async def __aenter__(self) -> "_Reader":
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def rows(self, wanted: Mapping[str, int] | None = None) -> None:
        """Follow the changelog to its end, and on until the learner has read the wanted offsets."""
        held, tp = self.held, self._part(LISTENERS_CHANGELOG.name)
        while True:
            async for records in read_to_end(self._consumer, tp, held.next_offset):
                for record in records:
                    held.take(record.key, record.value)
                held.next_offset = records[-1].offset + 1
            if held.caught_up(wanted or {}):
                return
            await asyncio.sleep(LOOK_S)

    async def profile(self) -> None:
        """Whether the newest message under their key on `listeners` is a profile."""
        async for _, value in self._theirs(LISTENERS.name, 0):
            self.held.profile = value is not None

    async def unread(self) -> None:
        """Messages of theirs that the rows have not seen."""
        for topic in LearnerProcessor.inputs:
            async for offset, _ in self._theirs(topic, self.held.marks.get(topic, 0)):
                self.held.unread[topic] = offset
                self.held.unread_messages += 1

    async def _theirs(self, topic: str, start: int) -> AsyncIterator[tuple[int, bytes | None]]:
        async for records in read_to_end(self._consumer, self._part(topic), start):
            for record in records:
                if record.key == self.held.user_id.encode():
                    yield record.offset, record.value

    def _part(self, topic: str) -> TopicPartition:
        return TopicPartition(self.settings.topic(topic), self.held.partition)
