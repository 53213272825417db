"""Reads how the broker keeps topics, whatever they were made with."""

from collections.abc import Sequence

from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.runtime.access import administering
from streams.runtime.settings import Settings
from streams.topics import Topic


async def read_topic_settings(settings: Settings, topics: Sequence[Topic]) -> dict[str, dict[str, str]]:
    """The broker's settings by logical topic; none of a topic whose settings this user may not describe."""
    wanted = [ConfigResource(ConfigResourceType.TOPIC, settings.topic(topic)) for topic in topics]
    async with administering(settings) as admin:
        answers = await admin.describe_configs(wanted)
    return {
        settings.logical(name): {entry[0]: entry[1] for entry in entries}
        for answer in answers
        for _, _, _, name, entries in answer.resources
    }
