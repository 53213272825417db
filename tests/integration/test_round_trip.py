"""The whole over the embedded Kafka: one learner, one keeper, one serving worker, and a client."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from aiokafka import AIOKafkaProducer

from segue.client import SegueClient, request_for
from segue.cluster import RunningCluster
from segue.errors import SituationError
from segue.simulation.listing import Listing
from streams.messages import DeadLetter, Experiment, ListeningEvent, Playlist, Profile, encode
from streams.runtime.settings import Settings
from streams.topics import DEAD_LETTERS, EXPERIMENTS, LISTENERS, LISTENING_EVENTS, PLAYLIST_REQUESTS, PLAYLISTS, TRACKS
from tests.builders import track
from tests.integration.ledger import listener_counts, read_all, read_listeners, until

START_MS = 1_750_000_000_000
CATALOGUE = [
    track(f"t{n}", artist_id=f"a{n % 10}", artist=f"Artist {n % 10}", tags=["folk" if n % 2 else "jazz"])
    for n in range(60)
]


@contextlib.asynccontextmanager
async def running(settings: Settings, home: Path) -> AsyncIterator[SegueClient]:
    """A cluster and a client of it."""
    async with RunningCluster(home, [].append, settings=settings), SegueClient(settings) as client:
        yield client


def play(user_id: str, number: int, track_id: str, kind: str = "play") -> ListeningEvent:
    return ListeningEvent(
        event_id=f"{user_id}-{number}",
        at_ms=START_MS + 200_000 * number,
        user_id=user_id,
        track_id=track_id,
        kind=kind,  # type: ignore[arg-type]
        played_ms=190_000,
    )


async def answer(client: SegueClient, user_id: str, **fields: Any) -> Playlist:
    """An answer with time enough for every level of the ladder."""
    return await client.playlist(request_for(user_id, deadline_ms=30_000, **fields), timeout_s=30.0)


async def answer_of(client: SegueClient, user_id: str, events: int, **fields: Any) -> Playlist:
    """The first answer that reflects so many events."""
    found: list[Playlist] = []

    async def reflects() -> bool:
        found.append(await answer(client, user_id, **fields))
        return found[-1].seen_events >= events

    await until(f"{events} events of {user_id} are reflected", reflects, 30.0)
    return found[-1]


@pytest.mark.kafka
@pytest.mark.slow
async def test_plays_come_back_as_playlists_and_are_there_after_a_restart(settings: Settings, tmp_path: Path) -> None:
    async with running(settings, tmp_path) as client:
        async with Listing(client) as listing:
            await listing.produce(CATALOGUE)
        stranger = await answer(client, "stranger", size=10)

        assert len(stranger.tracks) == 10
        assert (stranger.error, stranger.seen_events) == (None, 0)

        for number in range(40):
            await client.produce(play("ann", number, f"t{number % 4}"))
        await client.produce(play("ann", 40, "t9", "block"))
        known = await answer_of(client, "ann", 41, size=20, explain=True)

        assert "own-followers" in {name for slot in known.tracks for name in slot.channels}
        assert "t9" not in {slot.track_id for slot in known.tracks}
        assert all(slot.title and slot.reason for slot in known.tracks)
        assert known.freshness_ms < 60_000

        await _refusals(client, settings)
        await _experiment(client)
        await _removal(client)
        await _erasure(client, settings)
        for number in range(3):
            await client.produce(play("bob", number, "t3"))
        await until("bob's plays are committed", partial(_committed, settings, "bob", 3), 30.0)
    async with running(settings, tmp_path) as client:
        again = await answer(client, "bob", size=20)

        assert again.seen_events == 3


async def _committed(settings: Settings, user_id: str, plays: int) -> bool:
    return listener_counts(await read_listeners(settings))[user_id, "play"] == plays


async def _refusals(client: SegueClient, settings: Settings) -> None:
    """What is no request gets an error, never silence; and stops nothing."""
    before = len(await read_all(settings, PLAYLISTS.name))
    broken = (b"{", b"[1]", b'{"request_id": "r-bad", "user_id": "ann", "size": 100000}', None)
    for value in broken:
        await client.send(PLAYLIST_REQUESTS.name, b"ann", value)
    await client.send(PLAYLIST_REQUESTS.name, b"bob", encode(request_for("ann")))
    await client.flush()

    async def answered() -> bool:
        return len(await read_all(settings, PLAYLISTS.name)) >= before + len(broken) + 1

    await until("all broken requests are answered", answered, 20.0)
    errors = [orjson.loads(value or b"{}") for _, _, value in await read_all(settings, PLAYLISTS.name)]

    assert sum("error" in each for each in errors) == len(broken) + 1
    assert any(each["request_id"] == "r-bad" and "size" in each["error"] for each in errors)


async def _experiment(client: SegueClient) -> None:
    """An experiment's arm is said in the answer."""
    experiment = Experiment("spread", "order", {"wide": 1.0}, {"wide": {"diversity": 0.9}})
    await client.send(EXPERIMENTS.name, b"spread", encode(experiment))
    await client.flush()

    async def seen() -> bool:
        return (await answer(client, "ann")).arms == {"spread": "wide"}

    await until("the experiment runs", seen, 20.0)


async def _removal(client: SegueClient) -> None:
    """A tombstone takes a track out of every list."""
    await client.send(TRACKS.name, b"t1", None)
    await client.flush()

    async def gone() -> bool:
        return "t1" not in {slot.track_id for slot in (await answer(client, "ann", size=50)).tracks}

    await until("the removed track is in no list", gone, 20.0)


async def _erasure(client: SegueClient, settings: Settings) -> None:
    """A tombstone on `listeners` erases the person; who comes back is a stranger."""
    await client.produce(Profile(user_id="ann", country="SE"))
    await client.send(LISTENERS.name, b"ann", None)
    await client.flush()

    async def erased() -> bool:
        return (await answer(client, "ann")).seen_events == 0

    await until("the erased person is a stranger", erased, 20.0)

    assert "ann" not in {user for user, _ in listener_counts(await read_listeners(settings))}


@pytest.mark.kafka
async def test_request_that_waited_for_a_worker_is_answered_by_the_first_that_comes(
    settings: Settings, tmp_path: Path
) -> None:
    async with SegueClient(settings) as client:
        waiting = asyncio.create_task(client.playlist(request_for("early"), timeout_s=60.0))
        async with RunningCluster(tmp_path, [].append, settings=settings, workers=("serving",)):
            answered = await waiting

    assert answered.error is None


@pytest.mark.kafka
async def test_playlist_reflects_what_no_learner_has_committed(settings: Settings, tmp_path: Path) -> None:
    async with SegueClient(settings) as client:
        await client.produce(play("ann", 0, "t1"))
        await client.flush()  # before the worker comes: it begins where the rows have read to
        async with RunningCluster(tmp_path, [].append, settings=settings, workers=("serving",)):
            assert (await answer_of(client, "ann", 1)).error is None
            await client.produce(play("ann", 1, "t2"))
            await client.produce(play("ann", 0, "t1"))  # again
            await client.produce(play("ann", 2, "t3"))
            await client.flush()

            assert (await answer(client, "ann")).seen_events == 3  # asked once: it waits for what was there before it


@pytest.mark.kafka
async def test_answer_that_does_not_come_is_said_with_what_to_do(settings: Settings) -> None:
    async with SegueClient(settings) as client:
        with pytest.raises(SituationError, match="is a serving worker running"):
            await client.playlist(request_for("ann"), timeout_s=0.3)


@pytest.mark.kafka
async def test_playlist_of_somebody_else_is_no_answer(settings: Settings) -> None:
    async with SegueClient(settings) as client:
        request = request_for("ann")
        waiting = asyncio.create_task(client.playlist(request, timeout_s=20.0))
        await client.send(PLAYLISTS.name, b"ann", b"no playlist at all")
        await client.send(PLAYLISTS.name, b"ann", encode(Playlist(request_id="other", user_id="ann")))
        await client.send(PLAYLISTS.name, b"ann", encode(Playlist(request_id=request.request_id, user_id="ann")))

        assert await waiting == msgspec.structs.replace(Playlist(request.request_id, "ann"))
        assert client.errors == 1


@pytest.mark.kafka
@pytest.mark.slow
async def test_a_compressed_message_greater_than_a_letter_stops_nobody(settings: Settings, tmp_path: Path) -> None:
    async with running(settings, tmp_path) as client:
        producer = AIOKafkaProducer(
            bootstrap_servers=settings.bootstrap, compression_type="gzip", max_request_size=50_000_000
        )
        await producer.start()
        for topic in (LISTENING_EVENTS, TRACKS):
            await producer.send_and_wait(settings.topic(topic), b"x" * 20_000_000, b"ann")
        await producer.stop()
        async with Listing(client) as listing:
            await listing.produce(CATALOGUE)
        await client.produce(play("ann", 0, "t1"))

        assert (await answer_of(client, "ann", 1)).error is None
        await until("ann's play is committed", partial(_committed, settings, "ann", 1), 30.0)
    letters = [
        msgspec.json.decode(value, type=DeadLetter)
        for _, _, value in await read_all(settings, DEAD_LETTERS.name)
        if value
    ]

    assert sorted(letter.topic for letter in letters) == ["listening-events", "tracks"]
    assert all(letter.left_out > 10_000_000 for letter in letters)
