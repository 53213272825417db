"""What a group's coordinator met is heard, by whoever is in the group."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from streams.runtime.membership import check_reading, hear
from tests.runtime.fakes import going_on


def member(check_errors: Callable[[], None]) -> Any:
    """aiokafka's consumer in a group, whose coordinator says in `check_errors` what it met."""
    new, (client, fetcher) = asyncio.get_running_loop().create_future, going_on()
    coordinator = SimpleNamespace(_closing=new(), _coordination_task=new(), check_errors=check_errors)
    return SimpleNamespace(_coordinator=coordinator, _client=client, _fetcher=fetcher)


def met() -> None:
    raise KafkaError("an answer that nobody expects")


async def test_what_the_coordinator_met_is_raised_until_it_is_closed() -> None:
    met_one = member(met)

    with pytest.raises(KafkaError, match="nobody expects"):
        hear(met_one)

    met_one._coordinator._closing.set_result(None)
    hear(met_one)


async def test_a_coordinator_that_was_cut_off_is_no_cancellation_of_who_hears_it() -> None:
    cut_off = member(lambda: None)
    hear(cut_off)
    cut_off._coordinator._coordination_task.cancel()

    with pytest.raises(KafkaError, match="was cancelled"):
        hear(cut_off)


@pytest.mark.parametrize("check", [hear, check_reading])
@pytest.mark.parametrize(("part", "task"), [("_client", "_sync_task"), ("_fetcher", "_fetch_task")])
async def test_a_task_that_has_ended_is_heard_of_with_its_reason(
    part: str, task: str, check: Callable[[Any], None]
) -> None:
    blind = member(lambda: None)
    check(blind)
    getattr(getattr(blind, part), task).set_exception(RuntimeError("the handler is closed"))

    with pytest.raises(KafkaError, match=r"has ended: RuntimeError.*handler is closed"):
        check(blind)


async def test_a_task_that_was_cancelled_is_heard_of() -> None:
    blind = member(lambda: None)
    blind._fetcher._fetch_task.cancel()

    with pytest.raises(KafkaError, match="the task that fetches has ended"):
        check_reading(blind)
