"""Erasing a person over the embedded Kafka: the command, and what compaction leaves of them on the broker's disk."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from segue.client import SegueClient
from segue.cluster import RunningCluster
from streams.messages import ListeningEvent, Profile
from streams.partitioning import partition_of
from streams.runtime.admin import create_topics
from streams.runtime.settings import Settings
from streams.topics import LISTENERS, LISTENERS_CHANGELOG
from tests.builders import NOW_MS, event
from tests.integration.ledger import listener_counts, read_all, read_listeners, until
from tests.test_docs import FIGURES

ANN = "ann-who-leaves"
BOB = next(
    name for name in map("bob-{}".format, range(99)) if partition_of(name.encode(), 2) == partition_of(ANN.encode(), 2)
)
AT_ONCE = {
    "cleanup.policy": "compact",
    "segment.ms": "500",
    "max.compaction.lag.ms": "1000",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "0",
}


async def forget(
    settings: Settings, home: Path, *arguments: str, answer: bytes = b""
) -> tuple[int, str, dict[str, Any]]:
    """Run `segue forget`; its exit code, what it said, its figures."""
    command = (sys.executable, "-m", "segue.cli.main", "forget", *arguments, "--json", str(home / "figures.json"))
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **settings.environ()},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate(answer)
    figures = home / "figures.json"
    return process.returncode or 0, said.decode(), orjson.loads(figures.read_bytes()) if figures.exists() else {}


async def compact_at_once(settings: Settings) -> Settings:
    """Settings whose topics of personal rows are compacted as soon as the broker's cleaner comes by."""
    small = msgspec.structs.replace(settings, prefix=settings.prefix + "small-")
    admin = AIOKafkaAdminClient(**small.client())
    await admin.start()
    topics = [small.topic(topic) for topic in (LISTENERS, LISTENERS_CHANGELOG)]
    await admin.create_topics([NewTopic(name, small.partitions, 1, topic_configs=AT_ONCE) for name in topics])
    await admin.close()
    await create_topics(small)
    return small


def heard(user_id: str, numbers: range, kind: str = "play") -> list[ListeningEvent]:
    return [event(user_id, f"t{n % 5}", kind, at_ms=NOW_MS + 200_000 * n) for n in numbers]


@pytest.mark.kafka
@pytest.mark.slow
async def test_nothing_of_an_erased_person_is_left_after_compaction(settings: Settings, tmp_path: Path) -> None:
    small = await compact_at_once(settings)
    async with (
        RunningCluster(tmp_path, [].append, settings=small, workers=("learner",)),
        SegueClient(small, listen=False) as client,
    ):
        for message in (*heard(ANN, range(70)), *heard(ANN, range(70, 71), "like"), *heard(BOB, range(40))):
            await client.produce(message)
        await client.produce(Profile(user_id=ANN, country="SE"))
        await client.flush()

        async def learnt() -> bool:
            listeners = await read_listeners(small)
            return listener_counts(listeners).total() == 111 and listeners.get(ANN).profile is not None

        await until("all is learnt", learnt, 60.0)
        code, said, figures = await forget(small, tmp_path, ANN, "--yes")

        assert code == 0, said
        removed = {name: figures[name] for name in figures if name.startswith("removed_")}
        assert removed == {"removed_profile": True, "removed_head": 1, "removed_pages": 2, "removed_choices": 1}
        assert (figures["known"], figures["rows_left"], figures["compacted_within_ms"]) == (True, 0, 1000)
        assert figures["listening_events_until_ms"] > 0
        assert (await read_listeners(small)).users() == [BOB]

        code, said, figures = await forget(small, tmp_path, ANN)

        assert (code, figures["known"], figures["removed_head"]) == (0, False, 0), said
        await _compacted(small, client)
        assert (await read_listeners(small)).users() == [BOB]


async def _compacted(settings: Settings, client: SegueClient) -> None:
    """Others go on, and the cleaner comes by twice: once for the rows, once for their tombstones."""
    number = 100

    async def gone() -> bool:
        nonlocal number
        number += 1
        await client.produce(heard(BOB, range(number, number + 1))[0])
        await client.produce(Profile(user_id=BOB, country="SE" if number % 2 else "NO"))
        await client.flush()
        records = [each for topic in (LISTENERS, LISTENERS_CHANGELOG) for each in await read_all(settings, topic.name)]
        return not any(ANN.encode() in text for _, *texts in records for text in texts if text is not None)

    await until("no record holds the person's id", gone, 150.0)


@pytest.mark.kafka
@pytest.mark.slow
async def test_what_was_sent_before_and_not_read_yet_is_erased_too(settings: Settings, tmp_path: Path) -> None:
    async with SegueClient(settings, listen=False) as client:
        for message in heard(ANN, range(40)):
            await client.produce(message)
        await client.flush()
    erasing = asyncio.create_task(forget(settings, tmp_path, ANN, "--yes", "--wait", "90"))

    async def sent() -> bool:
        return bool(await read_all(settings, LISTENERS.name))

    await until("the tombstone is sent", sent, 60.0)
    async with RunningCluster(tmp_path, [].append, settings=settings, workers=("learner",)):
        code, said, figures = await erasing

    assert (code, figures["unread"], figures["rows_left"]) == (0, 40, 0), said
    assert (await read_listeners(settings)).users() == []


@pytest.mark.kafka
async def test_without_a_learner_the_command_ends_with_1_and_says_what_to_do(
    settings: Settings, tmp_path: Path
) -> None:
    async with SegueClient(settings, listen=False) as client:
        await client.produce(Profile(user_id=ANN, country="SE"))
        await client.flush()

    code, said, _ = await forget(settings, tmp_path, ANN, "--yes", "--wait", "1")

    assert (code, "Traceback" in said) == (1, False)
    assert "no learner has taken the tombstone of 'ann-who-leaves' within 1 s" in said
    assert [value for _, _, value in await read_all(settings, LISTENERS.name)][-1] is None


@pytest.mark.kafka
async def test_who_does_not_confirm_erases_nobody(settings: Settings, tmp_path: Path) -> None:
    async with SegueClient(settings, listen=False) as client:
        await client.produce(heard(ANN, range(1))[0])
        await client.flush()

    code, said, figures = await forget(settings, tmp_path, ANN, answer=b"n\n")

    assert (code, figures) == (1, {})
    assert "1 messages that no learner has read yet" in said
    assert await read_all(settings, LISTENERS.name) == []


@pytest.mark.kafka
async def test_an_unknown_person_is_said_to_be_unknown_and_is_no_error(settings: Settings, tmp_path: Path) -> None:
    code, said, figures = await forget(settings, tmp_path, "nobody")

    assert code == 0, said
    assert "nobody is unknown" in said
    assert (figures["known"], figures["compacted_within_ms"]) == (False, 86_400_000)
    assert set(figures) == FIGURES["forget"]
    assert await read_all(settings, LISTENERS.name) == []


@pytest.mark.kafka
async def test_settings_bound_how_long_a_persons_messages_stay(settings: Settings, tmp_path: Path) -> None:
    _, _, figures = await forget(settings, tmp_path, "nobody")
    (requests, events) = (figures[f"{name}_until_ms"] for name in ("playlist_requests", "listening_events"))

    assert events - requests == (8 * 86_400_000) - (3_600_000 + 600_000)
