"""Creates Segue's topics, and says where those that are there differ from what is expected."""

import asyncio
from collections.abc import Mapping

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, TopicAuthorizationFailedError

from streams.rights import Right
from streams.runtime.access import AccessError, administering, allowed_on, lacking
from streams.runtime.settings import Settings
from streams.topics import TOPICS, Topic

VISIBLE_S = 30.0
COPIES_SAFE = 3  # from so many on a topic can do without one of them


class TopicsError(RuntimeError):
    """The topics that are there cannot be used as they are."""


async def create_topics(settings: Settings) -> list[str]:
    """Create what is missing; answers the names. Again and again does no harm.

    Raises
    ------
    TopicsError
        where topics of one group have different partition counts: a worker could not own "partition 3 of each"
    AccessError
        where our user may not
    """
    async with administering(settings) as admin:
        there = await _topics(admin, settings)
        groups = _groups(settings, there)
        missing = [topic for topic in TOPICS if topic.name not in there]
        if not missing:
            return []
        answer = await admin.create_topics([_new(settings, topic, groups) for topic in missing])
        errors = {settings.logical(each[0]): each[1:] for each in answer.topic_errors}
        for name, (code, *text) in errors.items():
            if code not in (0, TopicAlreadyExistsError.errno):
                if code == TopicAuthorizationFailedError.errno:
                    raise AccessError(lacking(Right("topic", settings.topic(name), "Create"), settings, "admin"))
                raise TopicsError(f"Kafka refused topic {settings.topic(name)}: error {code} {text[0] if text else ''}")
        there = await _visible(admin, settings)
        _groups(settings, there)  # somebody else may have made some of them at the same moment
        return [name for name, (code, *_) in errors.items() if code == 0]


async def _visible(admin: AIOKafkaAdminClient, settings: Settings) -> dict[str, int]:
    """All topics, once brokers have heard of those that were just made."""
    there = dict[str, int]()
    try:
        async with asyncio.timeout(VISIBLE_S):
            while len(there := await _topics(admin, settings)) < len(TOPICS):
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        missing = [settings.topic(topic) for topic in TOPICS if topic.name not in there]
        raise TopicsError(
            f"{', '.join(missing)}: made, and not there {VISIBLE_S:g} s later; are all brokers well? Try again"
        ) from error
    return there


async def count_partitions(settings: Settings) -> dict[str, int]:
    """Partitions by group ("listener", "track", "single") as they are on the broker."""
    async with administering(settings) as admin:
        there = await _topics(admin, settings)
    missing = [settings.topic(topic) for topic in TOPICS if topic.name not in there]
    if missing:
        raise TopicsError(f"topic {missing[0]} is missing on {settings.bootstrap}: run `segue topics create`")
    counts = _groups(settings, there)
    if counts["track"] > counts["listener"]:
        raise TopicsError(
            f"{counts['track']} partitions of tracks, {counts['listener']} of listeners: expected no more, since a keeper's dead letters "
            "go to the partition of its number; give the listeners' topics as many"
        )
    return counts


async def topics_there(settings: Settings) -> dict[str, int]:
    """Partitions by logical name of our topics that are there, whether or not they agree."""
    async with administering(settings) as admin:
        return await _topics(admin, settings)


def kept_count(settings: Settings, there: Mapping[str, int]) -> str | None:
    """What to say where SEGUE_PARTITIONS is another count than that of topics that are there: they keep theirs."""
    other = {there[topic.name] for topic in TOPICS if topic.name in there and topic.group != "single"}
    if not other - {settings.partitions}:
        return None
    counts = " and ".join(map(str, sorted(other)))
    return (
        f"SEGUE_PARTITIONS={settings.partitions}, but the topics that are there have {counts} partitions, and keep them: more would part "
        f"rows from their owners. `segue topics grow --partitions {settings.partitions} --to-prefix NAME-` moves all of it to topics of "
        "another prefix"
    )


async def _topics(admin: AIOKafkaAdminClient, settings: Settings) -> dict[str, int]:
    """Partitions by logical name of our topics that are there, as one broker knows them; asking for all of them makes none."""
    ours = {settings.topic(topic): topic.name for topic in TOPICS}
    described = await admin.describe_topics()
    there = {
        ours[each["topic"]]: len(each["partitions"])
        for each in described
        if each["topic"] in ours and each["partitions"]
    }
    if unseen := {name for name, logical in ours.items() if logical not in there}:  # not there, or not for us to see
        for name, operations in (await allowed_on(admin, unseen)).items():
            if "Describe" not in operations:
                raise AccessError(lacking(Right("topic", name, "Describe"), settings))
    return there


def _groups(settings: Settings, there: Mapping[str, int]) -> dict[str, int]:
    """Partitions by group of the topics that are there; TopicsError where a group disagrees."""
    counts: dict[str, int] = {}
    for topic in TOPICS:
        count = there.get(topic.name)
        if count is not None and counts.setdefault(topic.group, count) != count:
            raise TopicsError(
                f"topic {settings.topic(topic)} has {count} partitions, others of its group ({topic.group}) {counts[topic.group]}: "
                "they must agree; delete it or give it as many"
            )
    return counts


def _new(settings: Settings, topic: Topic, counts: dict[str, int]) -> NewTopic:
    count = counts.get(topic.group, settings.count(topic))
    config = topic.settings()
    if settings.replication >= COPIES_SAFE:
        # what is acknowledged is on two brokers: one that dies takes nothing with it
        config["min.insync.replicas"] = "2"
    return NewTopic(settings.topic(topic), count, settings.replication, topic_configs=config)
