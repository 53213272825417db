"""The embedded Apache Kafka of a test session, and topics of a test's own on it."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from segue.embedded.kafka import EmbeddedKafka
from streams.runtime.admin import create_topics
from streams.runtime.settings import Settings

# Each group of modules has a process and a broker of its own; most of what they do is wait.
GROUPS = {
    "faults": ["test_faults.py", "test_security.py", "test_growing.py"],
    "topics": ["test_rare_faults.py", "test_up.py", "test_lost_topics.py", "test_compose.py"],
}
GROUP_OF = {module: group for group, modules in GROUPS.items() for module in modules}


class Groups(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Tests side by side: a group of the above, all others that need Kafka, or a module, is one process's."""

    def _split_scope(self, nodeid: str) -> str:
        path = Path(nodeid.split("::")[0])
        needs_kafka = path.parent.name in ("integration", "benchmarks")
        return GROUP_OF.get(path.name, "kafka" if needs_kafka else str(path))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups | None:
    """`--dist loadgroup` by our groups, in the order of the tests: its own reads marks, which the node ids of pytest 9.2 do not show."""
    if config.getoption("dist") != "loadgroup":
        return None
    config.option.loadscopereorder = False
    return Groups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first: the rest fills the gaps."""
    order = {module: place for place, module in enumerate(GROUP_OF)}
    items.sort(key=lambda item: (item.get_closest_marker("kafka") is None, order.get(item.path.name, len(order))))


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
