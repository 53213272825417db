"""A named member's successor takes its place in the group without a rebalance; one who is stopped in order leaves at once."""

import contextlib
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer

from streams.runtime.settings import Settings
from streams.runtime.transport import leave_when_stopped
from streams.topics import LISTENING_EVENTS
from tests.integration.ledger import until

pytestmark = pytest.mark.kafka


class Member:
    """A consumer of the group `segue-crew`."""

    def __init__(self, settings: Settings, name: str) -> None:
        named = msgspec.structs.replace(settings, member=name)
        self.consumer: Any = AIOKafkaConsumer(**named.client(), **named.membership("crew"))
        self.consumer.subscribe([settings.topic(LISTENING_EVENTS)])

    @property
    def generation(self) -> int:
        """Of the group, which a rebalance raises."""
        return int(self.consumer._coordinator.generation)

    def partitions(self) -> list[int]:
        return sorted(tp.partition for tp in self.consumer.assignment())


async def test_a_successor_takes_its_place_and_who_is_stopped_leaves_it(settings: Settings) -> None:
    staying, first, second = members = [Member(settings, name) for name in ("staying", "restarted", "restarted")]
    async with contextlib.AsyncExitStack() as stack:
        for member in members:
            stack.push_async_callback(member.consumer.stop)
        await staying.consumer.start()
        await first.consumer.start()
        await until("both have one", lambda: len(staying.partitions()) == len(first.partitions()) == 1, 30.0)
        had, generation = first.partitions(), staying.generation
        await first.consumer.stop()  # aiokafka says nothing to the group for a named member: as if it was killed

        await second.consumer.start()
        await until("its successor has what it had", lambda: second.partitions() == had, 5.0)

        assert second.generation == staying.generation == generation

        leave_when_stopped(second.consumer._coordinator)
        await second.consumer.stop()
        # before the session's 10 s are over
        await until("the other has all", lambda: staying.partitions() == [0, 1], 5.0)
