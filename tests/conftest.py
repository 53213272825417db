"""The embedded Apache Kafka of a test session, and topics of a test's own on it."""

import asyncio
import re
from collections.abc import Iterator

import pytest

from segue.embedded.kafka import EmbeddedKafka
from streams.runtime.admin import create_topics
from streams.runtime.settings import Settings

# Minutes of little else than waiting for timeouts: in processes of their own. All others share one.
GROUPS = {
    "test_faults.py": "faults",
    "test_growing.py": "faults",
    "test_rare_faults.py": "rare",
    "test_lost_topics.py": "rare",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run side by side, those that need Kafka stay in a few processes, each with one broker that serves all of them."""
    for item in items:
        if item.get_closest_marker("kafka") is not None:
            item.add_marker(pytest.mark.xdist_group(GROUPS.get(item.path.name, "kafka")))


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
