"""Segue on a Kafka that trusts nobody: TLS, SCRAM, and each process as a user of its own with the rights of its kind and no other."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from segue.client import SegueClient
from segue.embedded.kafka import EmbeddedKafka
from segue.embedded.security import MECHANISMS, Security
from segue.errors import SituationError
from segue.simulation.listing import Listing
from segue.supervisor import Worker, segue_argv
from streams.rights import KINDS, rights_of
from streams.runtime.access import AccessError, check_rights, require
from streams.runtime.acls import grant
from streams.runtime.admin import create_topics
from streams.runtime.follower import Follower
from streams.runtime.settings import Settings
from streams.topics import PLAYLIST_REQUESTS
from tests.builders import track
from tests.integration.test_round_trip import answer_of, play

pytestmark = pytest.mark.kafka

PREFIX = "own-"
CATALOGUE = [track(f"t{n}", artist_id=f"a{n % 10}") for n in range(30)]
PASSWORDS = {user: f"{user}-secret" for user in (*KINDS, "nobody", "half")}


def as_user(broker: EmbeddedKafka, user: str, **fields: str | None) -> Settings:
    """Settings of a user; half of them log in by one mechanism, half by the other."""
    mechanism = MECHANISMS[sorted(PASSWORDS).index(user) % 2]
    return broker.settings(user, **{"prefix": PREFIX, "partitions": 2, "sasl_mechanism": mechanism} | fields)


@pytest.fixture(scope="module")
def secured() -> Iterator[EmbeddedKafka]:
    """A broker with a user of each kind, who has the rights of that kind and no other."""
    broker = EmbeddedKafka(security=Security(PASSWORDS))

    async def start() -> None:
        await broker.start()
        for kind in KINDS:
            await grant(broker.settings(prefix=PREFIX), kind, f"User:{kind}")
        await grant(broker.settings(prefix="half-"), "client", "User:half")
        await create_topics(as_user(broker, "admin"))

    asyncio.run(start())
    yield broker
    asyncio.run(broker.stop())


@contextlib.asynccontextmanager
async def workers(broker: EmbeddedKafka, folder: Path) -> AsyncIterator[None]:
    """One process of each worker, as its own user."""
    async with contextlib.AsyncExitStack() as stack:
        started = []
        for name in ("learner", "keeper", "serving"):
            environ = as_user(broker, name).environ()
            worker = Worker(name, segue_argv("worker", name), environ, folder / f"{name}.log", [].append)
            worker.start()
            stack.push_async_callback(worker.stop)
            started.append(worker)
        async with asyncio.timeout(120.0):
            await asyncio.gather(*(worker.ready.wait() for worker in started))
        yield
        assert [worker.restarts for worker in started] == [0, 0, 0]


def segue(settings: Settings, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command that ends by itself."""
    return subprocess.run(
        segue_argv(*arguments), env=settings.environ(), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.slow
async def test_round_trip_passes_with_each_process_as_its_own_user(secured: EmbeddedKafka, tmp_path: Path) -> None:
    async with workers(secured, tmp_path):
        async with SegueClient(as_user(secured, "traffic")) as traffic, Listing(traffic) as listing:
            await listing.produce(CATALOGUE)
        async with SegueClient(as_user(secured, "producer"), listen=False) as producer:
            for number in range(12):
                await producer.produce(play("ann", number, f"t{number % 3}"))
            await producer.flush()
        async with SegueClient(as_user(secured, "client")) as client:
            known = await answer_of(client, "ann", 12, size=10)

        assert (len(known.tracks), known.error) == (10, None)


async def test_serving_worker_cannot_write_listening_events(secured: EmbeddedKafka) -> None:
    async with SegueClient(as_user(secured, "serving"), listen=False) as client:
        await client.produce(play("ann", 0, "t1"))
        with pytest.raises(
            SituationError, match=f"user 'serving' has no right Write on topic {PREFIX}listening-events"
        ):
            await client.flush()


async def test_learner_cannot_read_playlist_requests(secured: EmbeddedKafka) -> None:
    follower = Follower(as_user(secured, "learner"), {PLAYLIST_REQUESTS.name: [0]}, lambda *_: None)
    await follower.start()
    with pytest.raises(AccessError, match=f"user 'learner' has no right Read on topic {PREFIX}playlist-requests"):
        await follower.caught_up()
    await follower.stop()


async def test_who_may_not_ask_is_told_at_once(secured: EmbeddedKafka) -> None:
    for user in ("observer", "producer"):
        with pytest.raises(AccessError, match=f"user '{user}' has no right Write on topic {PREFIX}playlist-requests"):
            async with SegueClient(as_user(secured, user)):
                pass


async def test_who_may_write_nowhere_is_told(secured: EmbeddedKafka) -> None:
    with pytest.raises(SituationError, match="user 'observer' has no right Write on any topic"):
        await SegueClient(as_user(secured, "observer"), listen=False).__aenter__()


async def test_every_kind_has_its_rights_and_not_those_of_others(secured: EmbeddedKafka) -> None:
    for kind in KINDS:
        await check_rights(as_user(secured, kind), kind)
    for kind, other in (("learner", "serving"), ("serving", "learner"), ("producer", "client"), ("admin", "producer")):
        with pytest.raises(AccessError, match=f"user '{kind}' has no right (Read|Write) on"):
            await check_rights(as_user(secured, kind), other)


async def test_each_right_that_is_missing_is_named(secured: EmbeddedKafka) -> None:
    for right in {*rights_of("learner", PREFIX), *rights_of("admin", PREFIX)}:
        with pytest.raises(AccessError, match=f"no right {right.operation} on {right.resource} .*{right.name}:"):
            await require(as_user(secured, "nobody"), [right])


async def test_topics_that_may_not_be_made_are_named(secured: EmbeddedKafka) -> None:
    with pytest.raises(AccessError, match="user 'half' has no right Create on topic half-"):
        await create_topics(as_user(secured, "half", prefix="half-"))
    with pytest.raises(AccessError, match="user 'half' has no right Describe on topic"):
        await create_topics(as_user(secured, "half", prefix="others-"))


async def test_rules_are_made_by_administrators_only(secured: EmbeddedKafka) -> None:
    with pytest.raises(AccessError, match="did not take a rule from 'learner'"):
        await grant(as_user(secured, "learner"), "serving", "User:learner")


async def test_dead_letters_are_read_by_their_user(secured: EmbeddedKafka) -> None:
    done = await asyncio.to_thread(segue, as_user(secured, "dead-letters"), "dead-letters", "list")

    assert (done.returncode, "Error" in done.stderr) == (0, False), done.stderr


async def test_what_keeps_a_process_out_is_said_in_one_line(secured: EmbeddedKafka) -> None:
    refused = {
        "refused user 'learner'": (as_user(secured, "learner", sasl_password="wrong"), "worker", "learner"),
        f"no right Describe on topic {PREFIX}": (as_user(secured, "nobody"), "worker", "keeper"),
        f"no right Read on topic {PREFIX}playlists": (as_user(secured, "serving"), "tail", "playlists"),
    }
    jobs = [asyncio.to_thread(segue, *arguments) for arguments in refused.values()]
    for expected, done in zip(refused, await asyncio.gather(*jobs), strict=True):
        said = done.stderr.splitlines()

        assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
        assert said[-1].startswith("segue: ")
        assert expected in said[-1]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"ssl_cafile": None}, "is not trusted .*expected who signed it in KAFKA_SSL_CAFILE, which is not set"),
        ({"sasl_mechanism": "PLAIN"}, "does not take KAFKA_SASL_MECHANISM=PLAIN"),
        ({"security_protocol": "PLAINTEXT"}, "expected a listener that speaks KAFKA_SECURITY_PROTOCOL=PLAINTEXT"),
    ],
    ids=["certificate", "mechanism", "protocol"],
)
async def test_listener_that_is_not_what_was_expected_is_said(
    secured: EmbeddedKafka, wrong: dict[str, str | None], expected: str
) -> None:
    with pytest.raises(AccessError, match=expected):
        await check_rights(as_user(secured, "keeper", **wrong), "keeper")
