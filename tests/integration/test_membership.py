"""A named member's successor takes its place in the group without a rebalance; one who is stopped in order leaves at once."""

from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener

from streams.runtime.settings import Settings
from streams.runtime.transport import leave_when_stopped
from streams.topics import LISTENING_EVENTS
from tests.integration.ledger import until

pytestmark = pytest.mark.kafka


class Member(ConsumerRebalanceListener):  # type: ignore[misc]
    """A consumer of the group `segue-crew`. assignments : how often it was assigned something"""

    def __init__(self, settings: Settings, name: str) -> None:
        self.assignments = 0
        named = msgspec.structs.replace(settings, member=name)
        self.consumer: Any = AIOKafkaConsumer(**named.client(), **named.membership("crew"))
        self.consumer.subscribe([settings.topic(LISTENING_EVENTS)], listener=self)

    async def on_partitions_revoked(self, revoked: object) -> None:
        """Nothing is kept."""

    async def on_partitions_assigned(self, assigned: object) -> None:
        self.assignments += 1

    def partitions(self) -> list[int]:
        return sorted(tp.partition for tp in self.consumer.assignment())


async def test_a_successor_takes_its_place_and_who_is_stopped_leaves_it(settings: Settings) -> None:
    staying, first, second = (Member(settings, name) for name in ("staying", "restarted", "restarted"))
    await staying.consumer.start()
    await first.consumer.start()
    await until("both have one", lambda: len(staying.partitions()) == len(first.partitions()) == 1, 30.0)
    had, assignments = first.partitions(), staying.assignments
    await first.consumer.stop()  # aiokafka says nothing to the group for a named member: as if it was killed

    await second.consumer.start()
    await until("its successor has what it had", lambda: second.partitions() == had, 5.0)

    assert staying.assignments == assignments

    leave_when_stopped(second.consumer)
    await second.consumer.stop()
    await until("the other has all", lambda: staying.partitions() == [0, 1], 5.0)  # before the session's 6 s are over
    await staying.consumer.stop()
