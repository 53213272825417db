"""A named member's successor takes its place in the group without a rebalance; one who is stopped in order leaves at once."""

import asyncio
import contextlib
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer

from streams.runtime.exits import FAILED
from streams.runtime.membership import leave_when_stopped
from streams.runtime.settings import Settings
from streams.topics import LISTENING_EVENTS
from tests.integration.ledger import until

pytestmark = pytest.mark.kafka
UNEXPECTED = """
import sys
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance, GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import KafkaError
from segue.cli.main import main

def answered(asker, ask, usual):
    steady, asked = iter(range(usual)), getattr(asker, ask)

    async def answer(asking):
        if next(steady, None) is None:
            raise KafkaError("an answer that nobody expects")
        return await asked(asking)

    setattr(asker, ask, answer)

if sys.argv.pop() == "heartbeat":  # while all is well, and it fetches
    answered(GroupCoordinator, "_do_heartbeat", 4)
else:  # in a rebalance, in which Faust does not fetch
    answered(CoordinatorGroupRebalance, "perform_group_join", 0)
SubscriptionState.abort_waiters = lambda subscription, error: None  # as where no fetch waits just then
main()
"""


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


@pytest.mark.parametrize("role", ["keeper", "serving"])
@pytest.mark.parametrize("asked", ["heartbeat", "join"])
async def test_a_worker_whose_coordinator_met_an_error_ends_and_does_not_go_on_outside_of_its_group(
    settings: Settings, role: str, asked: str
) -> None:
    argv = [sys.executable, "-c", UNEXPECTED, "worker", role, asked]
    process = await asyncio.create_subprocess_exec(
        *argv, env=settings.environ(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        _, said = await asyncio.wait_for(process.communicate(), 60.0)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert (process.returncode, b"an answer that nobody expects" in said) == (FAILED, True)
