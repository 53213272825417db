"""The embedded Apache Kafka of a test session, and topics of a test's own on it."""

import asyncio
import re
from collections.abc import Iterator

import pytest

from segue.embedded.kafka import EmbeddedKafka
from streams.runtime.admin import create_topics
from streams.runtime.settings import Settings

# Each group of modules has a process and a broker of its own; most of what they do is wait. All others are one more group.
GROUPS = {
    "faults": {"test_faults.py", "test_growing.py", "test_security.py"},
    "topics": {"test_lost_topics.py", "test_rare_faults.py", "test_up.py", "test_compose.py"},
}
GROUP_OF = {module: group for group, modules in GROUPS.items() for module in modules}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run side by side, those that need Kafka stay in a few processes, each with one broker that serves all of them."""
    for item in items:
        if item.get_closest_marker("kafka") is not None:
            item.add_marker(pytest.mark.xdist_group(GROUP_OF.get(item.path.name, "kafka")))


@pytest.fixture(scope="session")
def kafka() -> Iterator[EmbeddedKafka]:
    """One broker for all tests; their topics have prefixes of their own."""
    broker = EmbeddedKafka()
    asyncio.run(broker.start())
    yield broker
    asyncio.run(broker.stop())


@pytest.fixture
def settings(kafka: EmbeddedKafka, request: pytest.FixtureRequest) -> Settings:
    """Settings with a prefix of the test's own; its topics are there."""
    prefix = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:60] + "-"
    made = Settings(bootstrap=kafka.bootstrap, prefix=prefix, partitions=2)
    asyncio.run(create_topics(made))
    return made
