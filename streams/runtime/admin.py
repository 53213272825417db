"""Creates Segue's topics, and says where those that are there differ from what is expected."""

import asyncio
from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError

from streams.runtime.settings import Settings
from streams.topics import TOPICS, Topic

VISIBLE_S = 30.0


class TopicsError(RuntimeError):
    """The topics that are there cannot be used as they are."""


async def create_topics(settings: Settings) -> list[str]:
    """Create what is missing; answers the names. Again and again does no harm.

    Raises
    ------
    TopicsError
        where topics of one group have different partition counts: a worker could not own "partition 3 of each"
    """
    admin = AIOKafkaAdminClient(**settings.client())
    await admin.start()
    try:
        there = set(await admin.list_topics())
        missing = [topic for topic in TOPICS if settings.topic(topic) not in there]
        counts = await partition_counts(admin, settings, [topic for topic in TOPICS if topic not in missing])
        if not missing:
            return []
        answer = await admin.create_topics([_new(settings, topic, counts) for topic in missing])
        errors = {each[0]: each[1:] for each in answer.topic_errors}
        for name, (code, *text) in errors.items():
            if code not in (0, TopicAlreadyExistsError.errno):
                raise TopicsError(f"Kafka refused topic {name}: error {code} {text[0] if text else ''}")
        async with asyncio.timeout(VISIBLE_S):  # brokers hear of new topics a moment after they are made
            while not {settings.topic(topic) for topic in missing} <= set(await admin.list_topics()):
                await asyncio.sleep(0.05)
        await partition_counts(admin, settings, TOPICS)  # somebody else may have made some of them just now
        return [settings.logical(name) for name, (code, *_) in errors.items() if code == 0]
    finally:
        await admin.close()


async def partition_counts(admin: AIOKafkaAdminClient, settings: Settings, topics: Sequence[Topic]) -> dict[str, int]:
    """Partitions by group of the topics that are there; TopicsError where a group disagrees."""
    described = await admin.describe_topics([settings.topic(topic) for topic in topics]) if topics else []
    found = {settings.logical(each["topic"]): len(each["partitions"]) for each in described}
    counts: dict[str, int] = {}
    for topic in topics:
        count = found[topic.name]
        if counts.setdefault(topic.group, count) != count:
            raise TopicsError(
                f"topic {settings.topic(topic)} has {count} partitions, others of its group ({topic.group}) {counts[topic.group]}: "
                "they must agree; delete it or give it as many"
            )
    return counts


async def count_partitions(settings: Settings) -> dict[str, int]:
    """Partitions by group ("listener", "track", "single") as they are on the broker."""
    admin = AIOKafkaAdminClient(**settings.client())
    await admin.start()
    try:
        there = set(await admin.list_topics())
        missing = [settings.topic(topic) for topic in TOPICS if settings.topic(topic) not in there]
        if missing:
            raise TopicsError(f"topic {missing[0]} is missing on {settings.bootstrap}: run `segue topics create`")
        counts = await partition_counts(admin, settings, TOPICS)
        if counts["track"] > counts["listener"]:
            raise TopicsError(
                f"{counts['track']} partitions of tracks, {counts['listener']} of listeners: expected no more, since a keeper's dead letters "
                "go to the partition of its number; give the listeners' topics as many"
            )
        return counts
    finally:
        await admin.close()


def _new(settings: Settings, topic: Topic, counts: dict[str, int]) -> NewTopic:
    count = counts.get(topic.group, settings.count(topic))
    return NewTopic(settings.topic(topic), count, settings.replication, topic_configs=topic.settings())
