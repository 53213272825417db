"""Looks whether a Segue stands still: nobody is in its groups, no transaction is open, and the rows have seen every message. Changes nothing."""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code

from segue.errors import SituationError
from streams.keeper import KeeperProcessor
from streams.processor import LearnerProcessor
from streams.runtime.access import administering
from streams.runtime.settings import Settings
from streams.runtime.store import READER, read_to_end
from streams.steps import WATERMARK
from streams.topics import BY_NAME, EXPERIMENTS, LISTENERS_CHANGELOG, RANKER_WEIGHTS, Topic

Processors = type[LearnerProcessor] | type[KeeperProcessor]
WORKERS: dict[str, Processors] = {"learner": LearnerProcessor, "keeper": KeeperProcessor}
KINDS = (*WORKERS, "serving")
TAIL = 200  # records before a changelog's end that are looked through for its watermark row, the last of every commit
PATIENCE_S = 5.0  # a transaction that has ended is said to be open until its markers are written; a fresh broker has no coordinator at first
_LOOK_S = 0.1
Ends = dict[TopicPartition, int]


class Still(NamedTuple):
    """How a Segue stood. ends : of every topic that has to do with its rows, whatever is committed; replication : of its changelogs"""

    ends: Ends
    replication: int


async def look(settings: Settings, counts: Mapping[str, int]) -> Still:
    """How it stands still.

    counts : partitions by group

    Raises
    ------
    SituationError
        where it does not: every reason on a line, with what to do
    """
    topics = dict.fromkeys([*_inputs(), LISTENERS_CHANGELOG, *_changelogs(), RANKER_WEIGHTS, EXPERIMENTS])
    parts = [TopicPartition(settings.topic(topic), n) for topic in topics for n in range(counts[topic.group])]
    async with _Reader(settings) as reader:
        reasons = await members(settings)
        ends, pending = await reader.ends(parts)
        reasons += [
            f"{tp.topic}[{tp.partition}]: a transaction is open: its worker is running, or was killed; then it ends by itself within a minute"
            for tp in pending
        ]
        for kind, processor in WORKERS.items():
            for number in range(counts[BY_NAME[processor.changelog].group]):
                reasons += await reader.unread(kind, processor, number)
        if reasons:
            raise SituationError("\n  ".join(["nothing was copied, since not all stands still:", *reasons]))
        return Still(ends, await _replication(settings))


async def still(settings: Settings, before: Still) -> None:
    """SituationError where something was written, or somebody came, since `look`."""
    async with _Reader(settings) as reader:
        ends, _ = await reader.ends(list(before.ends))
    moved = [f"{tp.topic}[{tp.partition}]" for tp, end in ends.items() if end != before.ends[tp]]
    reasons = await members(settings)
    if moved:
        reasons.append(f"{', '.join(moved[:5])}: written to meanwhile: stop who does it")
    if reasons:
        raise SituationError("\n  ".join(["nothing was copied, since not all stood still until the end:", *reasons]))


async def members(settings: Settings) -> list[str]:
    """What is to be done about the workers that are in our groups."""
    reasons = []
    async with administering(settings) as admin:
        for kind in KINDS:
            group = f"{settings.prefix}segue-{kind}"
            if there := await _members(admin, group):
                reasons.append(
                    f"group {group} has {there} members: stop every `segue worker {kind}` with SIGTERM (one that was killed leaves after 6 s)"
                )
    return reasons


async def _members(admin: AIOKafkaAdminClient, group: str) -> int:
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while True:
        try:
            (answer,) = await admin.describe_consumer_groups([group])
            ((code, _, _, _, _, there, *_),) = answer.groups
            if code:
                raise for_code(code)(f"group {group}")
            return len(there)
        except KafkaError as error:
            if not error.retriable or asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(_LOOK_S)


def _inputs() -> list[Topic]:
    return [BY_NAME[name] for processor in WORKERS.values() for name in processor.inputs]


def _changelogs() -> list[Topic]:
    return [BY_NAME[processor.changelog] for processor in WORKERS.values()]


async def _replication(settings: Settings) -> int:
    async with administering(settings) as admin:
        (described,) = await admin.describe_topics([settings.topic(LISTENERS_CHANGELOG)])
    return len(described["partitions"][0]["replicas"])


class _Reader:
    """Two consumers: one sees what is committed, the other one how far anything was written."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._committed = AIOKafkaConsumer(**settings.client(), **READER)
        self._all = AIOKafkaConsumer(**settings.client(), enable_auto_commit=False)

    async def __aenter__(self) -> "_Reader":
        await self._committed.start()
        await self._all.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._committed.stop()
        await self._all.stop()

    async def ends(self, parts: list[TopicPartition]) -> tuple[Ends, list[TopicPartition]]:
        """How far partitions were written, and those where a transaction is open."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while True:
            committed, written = await self._committed.end_offsets(parts), await self._all.end_offsets(parts)
            pending = [tp for tp in parts if committed[tp] < written[tp]]
            if not pending or asyncio.get_running_loop().time() > deadline:
                return written, pending
            await asyncio.sleep(_LOOK_S)

    async def unread(self, kind: str, processor: Processors, number: int) -> list[str]:
        """Which inputs of a partition number hold committed messages that its rows have not seen."""
        reasons, marks = [], await self._marks(processor.changelog, number)
        for topic in processor.inputs:
            tp = TopicPartition(self.settings.topic(topic), number)
            count = 0  # offsets have holes, of the markers of transactions
            async for records in read_to_end(self._committed, tp, marks.get(topic, 0)):
                count += len(records)
            if count:
                reasons.append(
                    f"{tp.topic}[{number}]: {count:,} messages that the rows have not seen: let a {kind} read them (`segue worker {kind}`)"
                )
        return reasons

    async def _marks(self, changelog: str, number: int) -> dict[str, int]:
        """The newest watermarks of a partition: read from its end backwards, in steps that grow, until there is a row of them."""
        tp = TopicPartition(self.settings.topic(changelog), number)
        begin = (await self._committed.beginning_offsets([tp]))[tp]
        end = (await self._committed.end_offsets([tp]))[tp]
        back = TAIL
        while begin < end:
            marks = None
            start = max(begin, end - back)
            async for records in read_to_end(self._committed, tp, start):
                for record in records:
                    if record.key == WATERMARK:
                        marks = msgspec.msgpack.decode(record.value, type=dict[str, int])
            if marks is not None:
                return marks
            if start == begin:
                break
            back *= 10
        return {}
