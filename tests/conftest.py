"""The embedded Apache Kafka of a test session, and topics of a test's own on it; which tests go first, and which together."""

import asyncio
import gc
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

import segue.forked
from segue.embedded.kafka import EmbeddedKafka
from streams.runtime.admin import create_topics
from streams.runtime.settings import Settings
from tests.shared_broker import SharedBroker, reached

NEED_KAFKA = ("integration", "benchmarks")
TOGETHER = ("test_security.py",)  # they share a broker of their own
LONGEST_FIRST = (
    *("test_rare_faults.py", "test_faults.py", "test_up.py", "test_growing.py", "test_security.py"),
    *("test_benchmarks.py", "test_lost_topics.py", "test_compose.py", "test_bounds.py"),
)


class Scopes(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Tests side by side: each that needs Kafka where a process is free, all others of a module in one."""

    def _split_scope(self, nodeid: str) -> str:
        path = Path(nodeid.split("::")[0])
        alone = path.parent.name in NEED_KAFKA and path.name not in TOGETHER
        return nodeid if alone else str(path)


class Distributing:
    """What the process that distributes the tests does besides: one broker for those that run them."""

    def __init__(self, config: pytest.Config) -> None:
        self.broker = SharedBroker()
        self._wanted = "not kafka" not in config.option.markexpr

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a process where the broker will be."""
        node.workerinput["kafka_port"] = self.broker.port

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Start it where some of the tests may need it."""
        if self._wanted and any(Path(each.split("::")[0]).parent.name in NEED_KAFKA for each in ids):
            self.broker.start()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Scopes | None:
        """`--dist loadgroup` by our scopes, in the order of the tests: its own reads marks, which the node ids of pytest 9.2 do not show."""
        if config.getoption("dist") != "loadgroup":
            return None
        config.option.loadscopereorder = False
        return Scopes(config, log)

    def pytest_unconfigure(self) -> None:
        """End it with the session."""
        self.broker.stop()


def pytest_configure(config: pytest.Config) -> None:
    """The process that distributes the tests has more to do."""
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Distributing(config))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What collecting makes stays to the end: no garbage collection looks at it, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first: the rest fills the gaps."""
    order = {module: place for place, module in enumerate(LONGEST_FIRST)}

    def place(item: pytest.Item) -> tuple[bool, bool, int]:
        kafka, slow = (item.get_closest_marker(mark) is None for mark in ("kafka", "slow"))
        return kafka, slow, order.get(item.path.name, len(order))

    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
def environment() -> Iterator[None]:
    """pytest writes the name of each test into the environment, and no library reads it: workers of all tests come from one fork server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segue.forked, "_LATE", (*segue.forked._LATE, "PYTEST_CURRENT_TEST"))
        yield


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[EmbeddedKafka]:
    """One broker for all tests; their topics have prefixes of their own."""
    given = getattr(request.config, "workerinput", {})
    if "kafka_port" in given:
        yield asyncio.run(reached(given["kafka_port"]))
        return
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
