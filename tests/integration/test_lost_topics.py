"""Topics that are cut, or deleted and made anew, beneath workers: what is gone is said and counted, and nothing is skipped in silence."""

import contextlib
import copy
import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from segue.client import SegueClient
from streams.messages import ListeningEvent, decode
from streams.runtime.exits import FAILED, REFUSED
from streams.runtime.settings import Settings
from streams.steps import WATERMARK
from streams.topics import LISTENERS_CHANGELOG, LISTENING_EVENTS, TRACK_DELTAS, TRACKS_CHANGELOG, Topic
from tests.integration.cases import Load, Team, check_counts, cut, delete_group, ends, learnt, make_anew
from tests.integration.ledger import Ledger, read_all, until

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(180)]
KINDS = {"keeper": TRACKS_CHANGELOG, "learner": LISTENERS_CHANGELOG}
LOST = re.compile(r"retention removed up to (\d+) messages before they were read")


async def test_what_retention_took_before_it_was_read_is_counted_and_the_rest_is_learnt(
    settings: Settings, tmp_path: Path
) -> None:
    async with Team(settings, tmp_path) as team, SegueClient(settings, listen=False) as client:
        load = Load(client)
        team.start("keeper", "learner")
        await load.send(300)
        await learnt(settings, load.ledger)
        await team.stop("learner")
        read = await ends(settings, LISTENING_EVENTS)
        await load.send(300)
        gone = [40, 60]
        await cut(settings, LISTENING_EVENTS, [end + more for end, more in zip(read, gone, strict=True)])
        known, left = Ledger(), await _events(settings)
        for event in Load(client).events(300) + left:
            known.note(event)

        assert len(left) == 300 - sum(gone)

        team.start("learner")
        await learnt(settings, known)
        said = [int(number) for number in LOST.findall(team.log("learner"))]

    assert gone == sorted(said)
    await check_counts(settings, known)


async def test_changelogs_deleted_at_rest(settings: Settings, tmp_path: Path) -> None:
    """It is refused, the supervisor waits long; and what the refusal says is done: the groups are deleted, what the inputs hold is learnt."""
    async with Team(settings, tmp_path) as team, SegueClient(settings, listen=False) as client:
        load = Load(client)
        team.start(*KINDS)
        await load.send(200)
        await learnt(settings, load.ledger)
        for kind in KINDS:
            await team.stop(kind)
        await make_anew(settings, *KINDS.values())
        team.start(*KINDS)
        await until("the supervisor has said so", lambda: len(team.notes) == len(KINDS), 40.0)
        for kind, changelog in KINDS.items():
            await team.stop(kind)
            (note,) = _said_by(team, kind)

            assert f"{kind} ended with {REFUSED}" in note
            assert "the changelog was deleted or cut" in note
            assert f"delete the consumer group {settings.prefix}segue-{kind}" in note
            assert note.endswith("starting it again in 60 s")
            assert await read_all(settings, changelog.name) == []

            await delete_group(settings, kind)
        team.start(*KINDS)
        known = copy.deepcopy(load.ledger)
        await load.send(100)
        load.ledger.by_track += known.by_track  # keepers add what they are sent: what is learnt again they count again
        await learnt(settings, load.ledger)

    await check_counts(settings, load.ledger)


async def test_rows_of_a_transaction_that_has_not_ended_are_waited_for(settings: Settings, tmp_path: Path) -> None:
    """The broker hides them: nothing is written that would come after them, though a mark in it says that their events are learnt."""
    async with Team(settings, tmp_path) as team, SegueClient(settings, listen=False) as client:
        load, hidden = Load(client), Load(client, seed=6)
        team.start(*KINDS)
        await load.send(200)
        await learnt(settings, load.ledger)
        await team.stop("learner")
        await hidden.send(50)
        seen = await ends(settings, LISTENING_EVENTS)
        async with unended(settings, seen):
            team.start("learner")
            await until("it has ended", lambda: bool(_said_by(team, "learner")), 40.0)
            (note, *_) = _said_by(team, "learner")

            assert f"learner ended with {FAILED}" in note
            assert "its last 1 records are of a transaction that has not ended, and the broker hides them" in note

        await load.send(100)
        await learnt(settings, load.ledger)

    assert not _refused(team, "learner")
    await check_counts(settings, load.ledger)


@contextlib.asynccontextmanager
async def unended(settings: Settings, seen: list[int]) -> AsyncIterator[None]:
    """A transaction that says how far the rows have seen, and ends with the block."""
    producer = AIOKafkaProducer(**settings.client(), transactional_id=f"{settings.prefix}predecessor")
    await producer.start()
    await producer.begin_transaction()
    for number, end in enumerate(seen):
        marks = msgspec.msgpack.encode({LISTENING_EVENTS.name: end})
        await producer.send_and_wait(settings.topic(LISTENERS_CHANGELOG), marks, WATERMARK, partition=number)
    yield
    await producer.commit_transaction()
    await producer.stop()


@pytest.mark.parametrize(
    ("topics", "says"),
    [
        (dict(KINDS), "deleted or cut under a running worker"),
        ({"keeper": TRACK_DELTAS, "learner": LISTENING_EVENTS}, "and its messages before"),
    ],
    ids=["changelogs", "inputs"],
)
async def test_topics_made_anew_under_their_workers(
    settings: Settings, tmp_path: Path, topics: dict[str, Topic], says: str
) -> None:
    async with Team(settings, tmp_path) as team, SegueClient(settings, listen=False) as client:
        load = Load(client)
        team.start(*KINDS)
        await team.ready()
        for number in range(2000):  # refused, and read up to: what is sent later does not reach so far
            await client.send(TRACK_DELTAS.name, b"%d" % number, b"no delta")
        await load.send(1000)
        await learnt(settings, load.ledger)
        for kind, topic in topics.items():
            await make_anew(settings, topic)
            async with load.flowing(2.0):
                await until(f"{kind} refuses", lambda kind=kind: _refused(team, kind), 60.0)  # type: ignore[misc]

            *before, last = _said_by(team, kind)
            assert f"{kind} ended with {REFUSED}" in last
            assert says in last
            # the group may be told that an input is gone before it is there again
            assert all(f"{settings.topic(topic)}: not there any more" in note for note in before)


def _refused(team: Team, kind: str) -> bool:
    return any(f"ended with {REFUSED}" in note for note in _said_by(team, kind))


def _said_by(team: Team, kind: str) -> list[str]:
    return [note for note in team.notes if note.startswith(kind)]


async def _events(settings: Settings) -> list[ListeningEvent]:
    return [decode(ListeningEvent, value) for _, _, value in await read_all(settings, LISTENING_EVENTS.name)]
