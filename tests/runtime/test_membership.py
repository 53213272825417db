"""What a group's coordinator met is heard, by whoever is in the group."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from streams.runtime.membership import hear


def coordinator(check_errors: Callable[[], None]) -> Any:
    """aiokafka's, which says in `check_errors` what it met."""
    loop = asyncio.get_running_loop()
    client = SimpleNamespace(_sync_task=loop.create_future())
    return SimpleNamespace(
        _closing=loop.create_future(),
        _coordination_task=loop.create_future(),
        _client=client,
        check_errors=check_errors,
    )


def met() -> None:
    raise KafkaError("an answer that nobody expects")


async def test_what_the_coordinator_met_is_raised_until_it_is_closed() -> None:
    met_one = coordinator(met)

    with pytest.raises(KafkaError, match="nobody expects"):
        hear(met_one)

    met_one._closing.set_result(None)
    hear(met_one)


async def test_a_coordinator_that_was_cut_off_is_no_cancellation_of_who_hears_it() -> None:
    cut_off = coordinator(lambda: None)
    hear(cut_off)
    cut_off._coordination_task.cancel()

    with pytest.raises(KafkaError, match="was cancelled"):
        hear(cut_off)


async def test_who_reads_no_metadata_any_more_is_heard_of() -> None:
    blind = coordinator(lambda: None)
    blind._client._sync_task.set_exception(RuntimeError("the handler is closed"))

    with pytest.raises(KafkaError, match="reads metadata"):
        hear(blind)
    blind._client._sync_task.exception()
