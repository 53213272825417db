"""Growing over the embedded Kafka: two partitions to five with real workers, and all that is refused or interrupted."""

import asyncio
import contextlib
import random
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError

import segue.growing
from online_models.features import FEATURES
from online_models.ranker import RankerMix
from online_models.track import META
from segue.client import SegueClient, request_for
from segue.errors import SituationError
from segue.growing import Copied, grow_topics, grown
from segue.monitor import Monitor
from segue.standstill import Still, look, still
from segue.supervisor import Worker, segue_argv
from streams.messages import ListeningEvent, Profile
from streams.runtime.access import administering
from streams.runtime.admin import count_partitions
from streams.runtime.settings import Settings
from streams.steps import WATERMARK
from streams.topics import (
    LISTENERS,
    LISTENERS_CHANGELOG,
    LISTENING_EVENTS,
    RANKER_WEIGHTS,
    TRACK_DELTAS,
    TRACKS,
    TRACKS_CHANGELOG,
)
from tests.builders import NOW_MS, event, track
from tests.integration.ledger import (
    Ledger,
    listener_counts,
    read_all,
    read_dead_letters,
    read_listeners,
    read_tracks,
    track_counts,
    until,
)
from tests.test_docs import FIGURES

SEED = 5
USERS, TRACK_IDS = [f"u{n}" for n in range(40)], [f"t{n}" for n in range(50)]
KINDS = ("play", "play", "play", "skip", "skip", "like", "save")
CATALOGUE = [track(each, artist_id=f"a{n % 9}", tags=[f"tag-{n % 4}"]) for n, each in enumerate(TRACK_IDS)]


@contextlib.asynccontextmanager
async def working(settings: Settings, home: Path, *names: str) -> AsyncIterator[dict[str, Worker]]:
    """Real processes, by name: their kind and a number."""
    workers = {}
    async with contextlib.AsyncExitStack() as stack:
        for name in names:
            argv, log = segue_argv("worker", name.split("-")[0]), home / f"{settings.partitions}-{name}.log"
            workers[name] = Worker(name, argv, settings.environ(), log, [].append)
            workers[name].start()
            stack.push_async_callback(workers[name].stop)
        for worker in workers.values():
            await until(f"{worker.name} is there", worker.ready.is_set, 90.0)
        yield workers


async def drained(settings: Settings) -> bool:
    """Whether the rows have seen every message, though workers run."""
    try:
        await look(settings, await count_partitions(settings))
    except SituationError as error:
        return not any(each in str(error) for each in ("have not seen", "a transaction is open"))
    return True


async def run_grow(settings: Settings, home: Path, to_prefix: str, partitions: int) -> tuple[int, str, dict[str, Any]]:
    """The command; its exit code, what it said, its figures."""
    figures = home / "grown.json"
    command = ("grow", "--partitions", str(partitions), "--to-prefix", to_prefix, "--json", str(figures))
    code, said = await run_topics(settings, *command)
    return code, said, orjson.loads(figures.read_bytes()) if figures.exists() else {}


async def run_topics(settings: Settings, *arguments: str) -> tuple[int, str]:
    """`segue topics`; its exit code, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "segue.cli.main", "topics", *arguments),
        env=settings.environ(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


def events(seed: int, numbers: range) -> list[ListeningEvent]:
    draw = random.Random(seed)
    return [
        event(
            draw.choice(USERS),
            draw.choice(TRACK_IDS),
            draw.choice(KINDS),
            at_ms=NOW_MS + 60_000 * number,
            event_id=f"e{number}",
            played_ms=draw.randrange(200_000),
        )
        for number in numbers
    ]


async def load(client: SegueClient, ledger: Ledger, new: list[ListeningEvent], again: list[ListeningEvent]) -> None:
    """Produce new events, which the ledger notes, and some that were sent before."""
    for each in new:
        ledger.note(each)
        await client.produce(each)
    for each in again:
        ledger.repeated += 1
        await client.produce(each)
    await client.flush()


def by_partition(rows: Sequence[tuple[int, bytes | None, bytes | None]]) -> list[Any]:
    """Partitions one after the other, each in its order: readers get them mixed."""
    return sorted(rows, key=lambda row: row[0])


async def scores(settings: Settings) -> list[float]:
    """What all learners' weights together make of some candidates."""
    mix, x = RankerMix(), np.random.default_rng(SEED).random((5, len(FEATURES)))
    for partition, key, value in await read_all(settings, RANKER_WEIGHTS.name):
        mix.apply_row(partition, key or b"", value)
    return [round(float(each), 9) for column in mix.score_many(x).values() for each in column]


async def monitored(settings: Settings) -> tuple[int, int, int, float]:
    monitor = Monitor(settings)
    await monitor.start()
    try:
        return monitor.events_learnt, monitor.duplicates, monitor.refused, monitor.skip_auc
    finally:
        await monitor.stop()


async def check(settings: Settings, ledger: Ledger) -> None:
    listeners = await read_listeners(settings)

    assert ledger.by_listener == listener_counts(listeners)
    assert ledger.by_track == track_counts(await read_tracks(settings))
    for user, tracks in ledger.order.items():
        assert tracks == [each.track_id for each in listeners.get(user).history], f"order of {user}'s history"


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_two_partitions_become_five_and_listeners_keep_their_state(settings: Settings, tmp_path: Path) -> None:
    target, ledger, first = grown(settings, settings.prefix + "big-", 5), Ledger(), events(1, range(2500))
    async with working(settings, tmp_path, "keeper", "learner", "serving") as workers:
        async with SegueClient(settings) as client:
            await _tell_of_people_and_tracks(client)
            await load(client, ledger, first, first[-60:])
            for user in USERS[:6]:
                assert (await client.playlist(request_for(user, deadline_ms=30_000), 30.0)).error is None
        await until("all is learnt", lambda: drained(settings), 60.0)
        code, said, _ = await run_grow(settings, tmp_path, target.prefix, 5)

        assert (code, "Traceback" in said) == (1, False), said
        assert f"group {settings.prefix}segue-learner has 1 members" in said
        for name in ("serving", "learner"):
            await workers[name].stop()
        await until("the keeper has taken what the learner sent at its end", lambda: drained(settings), 30.0)
    before = {topic.name: await read_all(settings, topic.name) for topic in (LISTENERS_CHANGELOG, TRACKS_CHANGELOG)}
    code, said, figures = await run_grow(settings, tmp_path, target.prefix, 5)

    assert code == 0, said
    assert set(figures) == FIGURES["grow"]
    assert (figures["listeners"], figures["tracks"]) == (len(USERS) + 1, len(TRACK_IDS))
    assert (figures["from_partitions"], figures["to_partitions"]) == (2, 5)
    assert await count_partitions(target) == {"listener": 5, "track": 5, "single": 1}
    await check(target, ledger)
    assert await scores(settings) == await scores(target)
    assert (await monitored(settings))[:3] == (ledger.events, ledger.repeated, 1)
    assert await monitored(settings) == await monitored(target)
    for name, rows in before.items():
        assert by_partition(rows) == by_partition(await read_all(settings, name)), f"{name} of old is untouched"

    async with (
        working(target, tmp_path, "keeper", "learner-1", "learner-2", "serving"),
        SegueClient(target) as client,
    ):
        await load(client, ledger, events(2, range(2500, 4000)), first[-200:])
        await until("all is learnt", lambda: drained(target), 60.0)
        for user in USERS[:12]:
            answer = await client.playlist(request_for(user, deadline_ms=30_000), 30.0)
            assert (len(answer.tracks), answer.error) == (20, None)
            assert answer.seen_events == len(ledger.order[user])
    await check(target, ledger)

    assert (await monitored(target))[:3] == (ledger.events, ledger.repeated, 1)
    assert await read_dead_letters(target) == []
    listeners = await read_listeners(target)
    assert [listeners.get(user).profile is not None for user in ("u1", "gone", "back")] == [True, False, True]


async def _tell_of_people_and_tracks(client: SegueClient) -> None:
    """A catalogue of which one track is removed again; who came, who was erased, who came back; and what is no profile."""
    for each in [*CATALOGUE, track("t-removed")]:
        await client.produce(each)
    await client.send(TRACKS.name, b"t-removed", None)
    await client.produce(Profile(user_id="u1", country="SE"))
    await client.produce(Profile(user_id="gone", country="SE"))
    await client.send(LISTENERS.name, b"gone", None)
    await client.produce(Profile(user_id="back", country="SE"))
    await client.send(LISTENERS.name, b"back", None)
    await client.produce(Profile(user_id="back", country="NO"))
    await client.send(LISTENERS.name, b"broken", b"{")
    await client.flush()


# --- what is refused


@pytest.mark.kafka
async def test_creating_topics_with_another_count_says_that_they_keep_theirs_and_how_to_grow(
    settings: Settings,
) -> None:
    code, said = await run_topics(msgspec.structs.replace(settings, partitions=7), "create")

    assert (code, await count_partitions(settings)) == (0, {"listener": 2, "track": 2, "single": 1})
    assert "SEGUE_PARTITIONS=7, but the topics that are there have 2 partitions, and keep them" in said
    assert (await run_topics(settings, "create"))[1] == "all 11 topics are there\n"


async def grow_here(settings: Settings, partitions: int = 5) -> Copied:
    return await grow_topics(settings, grown(settings, settings.prefix + "big-", partitions), lambda *_: None)


async def produce(settings: Settings, *messages: ListeningEvent) -> None:
    async with SegueClient(settings, listen=False) as client:
        for each in messages:
            await client.produce(each)
        await client.flush()


@pytest.mark.kafka
async def test_messages_that_the_rows_have_not_seen_are_named_and_counted(settings: Settings) -> None:
    await produce(settings, *(event("ann", f"t{n}") for n in range(3)))

    with pytest.raises(
        SituationError, match=r"listening-events\[\d\]: 3 messages that the rows have not seen: let a lea"
    ):
        await grow_here(settings)


@pytest.mark.kafka
async def test_what_the_watermark_covers_is_seen_whatever_its_distance_from_the_end(settings: Settings) -> None:
    await produce(settings, event("ann", "t1"), event("ann", "t2", at_ms=NOW_MS + 1))
    ((partition, _, _), *_) = await read_all(settings, LISTENING_EVENTS.name)
    producer = AIOKafkaProducer(**settings.client())
    await producer.start()
    marks = msgspec.msgpack.encode({LISTENING_EVENTS.name: 1})
    await producer.send(settings.topic(LISTENERS_CHANGELOG), marks, WATERMARK, partition=partition)
    for number in range(500):
        await producer.send(settings.topic(LISTENERS_CHANGELOG), None, b"hx%d" % number, partition=partition)
    await producer.stop()

    with pytest.raises(SituationError, match=r"listening-events\[\d\]: 1 messages that the rows have not seen"):
        await grow_here(settings)


@pytest.mark.kafka
async def test_a_transaction_that_is_open_hides_what_is_behind_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segue.standstill.PATIENCE_S", 0.2)
    producer = AIOKafkaProducer(**settings.client(), transactional_id=f"{settings.prefix}killed")
    await producer.start()
    await producer.begin_transaction()
    await producer.send_and_wait(settings.topic(TRACK_DELTAS), b"x", partition=1)

    with pytest.raises(SituationError, match=r"track-deltas\[1\]: a transaction is open"):
        await grow_here(settings)
    await producer.abort_transaction()
    await producer.stop()

    assert (await grow_here(settings)).from_partitions == 2


@pytest.mark.kafka
async def test_a_group_that_has_members_is_named(settings: Settings) -> None:
    consumer = AIOKafkaConsumer(
        settings.topic(LISTENING_EVENTS), **settings.client(), group_id=f"{settings.prefix}segue-serving"
    )
    await consumer.start()

    with pytest.raises(SituationError, match="segue-serving has 1 members: stop every `segue worker serving`"):
        await grow_here(settings)
    await consumer.stop()


@pytest.mark.kafka
async def test_a_copy_is_not_made_over_another_one(settings: Settings) -> None:
    await grow_here(settings)

    with pytest.raises(SituationError, match=r"is there and not empty.*Choose another --to-prefix"):
        await grow_here(settings)
    with pytest.raises(SituationError, match=r"is there with 5 partitions, expected 3 or none"):
        await grow_here(settings, 3)


@pytest.mark.kafka
async def test_a_copy_that_was_killed_left_nothing_and_is_made_again(settings: Settings) -> None:
    target = grown(settings, settings.prefix + "big-", 5)
    async with administering(settings) as admin:
        await admin.create_topics([NewTopic(target.topic(LISTENERS_CHANGELOG), 5, 1)])
    killed = AIOKafkaProducer(**settings.client(), transactional_id=f"{target.prefix}segue-grow")
    await killed.start()
    await killed.begin_transaction()
    await killed.send_and_wait(target.topic(LISTENERS_CHANGELOG), b"\x01half", b"hann", partition=0)

    await grow_here(settings)

    assert [(number, META) for number in range(5)] == sorted(
        (partition, key) for partition, key, _ in await read_all(target, LISTENERS_CHANGELOG.name)
    )
    with contextlib.suppress(KafkaError):  # it is fenced
        await killed.stop()


@pytest.mark.kafka
async def test_what_is_written_while_it_copies_undoes_the_copy(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = grown(settings, settings.prefix + "big-", 5)

    async def written(settings: Settings, before: Still) -> None:
        await produce(settings, event("ann"))
        await still(settings, before)

    monkeypatch.setattr(segue.growing, "still", written)
    with pytest.raises(SituationError, match=r"listening-events\[\d\]: written to meanwhile"):
        await grow_here(settings)

    assert await read_all(target, LISTENERS_CHANGELOG.name) == []
