"""What the tests of rarer faults share: workers under supervision, a load with its ledger, topics that are cut and made anew."""

import asyncio
import contextlib
import random
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.protocol.admin import DeleteGroupsRequest

from segue.client import SegueClient
from segue.monitor import Monitor
from segue.supervisor import Worker, segue_argv
from streams.messages import ListeningEvent
from streams.runtime.access import administering
from streams.runtime.admin import create_topics
from streams.runtime.settings import Settings
from streams.topics import Topic
from tests.integration.ledger import Ledger, event_of, listener_counts, read_listeners, read_tracks, track_counts, until

LISTENERS, TRACKS = 40, 60
LEARNT_S = 90.0


class Load:
    """Events of a seed, each sent once; `ledger` is what was sent."""

    def __init__(self, client: SegueClient, seed: int = 5) -> None:
        self.client, self.ledger = client, Ledger()
        self._random, self._number = random.Random(seed), 0

    async def send(self, count: int) -> None:
        """So many events, as fast as they go; returns once Kafka has them."""
        for _ in range(count):
            event = self.event()
            self.ledger.note(event)
            await self.client.produce(event)
        await self.client.flush()

    def events(self, count: int) -> list[ListeningEvent]:
        """The next ones; neither ledger nor Kafka know them yet."""
        return [self.event() for _ in range(count)]

    def event(self) -> ListeningEvent:
        """The next one; the ledger does not know it yet."""
        self._number += 1
        return event_of(self._random, self._number, listeners=LISTENERS, tracks=TRACKS)

    @contextlib.asynccontextmanager
    async def flowing(self, every_s: float = 0.05) -> AsyncIterator[None]:
        """Ten events now and then, until the block ends; all of them have arrived then."""
        ended = asyncio.Event()

        async def flow() -> None:
            while not ended.is_set():
                await self.send(10)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), every_s)

        task = asyncio.create_task(flow())
        try:
            yield
        finally:
            ended.set()
            await task


class Team:
    """Supervised workers; `notes` is what their supervisors said."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder, self.notes = settings, folder, list[str]()
        self.workers: dict[str, Worker] = {}

    async def __aenter__(self) -> "Team":
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(worker.stop() for worker in self.workers.values()))

    def start(self, *names: str, env: Mapping[str, str] | None = None) -> None:
        """Start workers: "learner", or "learner-2" for another one of a kind."""
        for name in names:
            argv, given = segue_argv("worker", name.split("-")[0]), self.settings.environ() | dict(env or {})
            self.workers[name] = Worker(name, argv, given, self.folder / f"{name}.log", self.notes.append)
            self.workers[name].start()

    async def ready(self, *names: str, within_s: float = 60.0) -> None:
        """Wait until they (all of them, where none is named) have said that they are."""
        for name in names or tuple(self.workers):
            await until(f"{name} is ready: {self.notes}", self.workers[name].ready.is_set, within_s)

    async def stop(self, name: str) -> None:
        """End one for good."""
        await self.workers.pop(name).stop()

    def log(self, name: str) -> str:
        """All that a worker has said."""
        return (self.folder / f"{name}.log").read_text()


async def run_alone(settings: Settings, kind: str, within_s: float = 60.0) -> tuple[int, str]:
    """A worker without a supervisor until it ends: exit code, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *segue_argv("worker", kind),
        env=settings.environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), within_s)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, said.decode()


@contextlib.asynccontextmanager
async def watching(settings: Settings) -> AsyncIterator[Monitor]:
    """A monitor, while the block lasts."""
    monitor = Monitor(settings)
    await monitor.start()
    try:
        yield monitor
    finally:
        await monitor.stop()


async def learnt(settings: Settings, ledger: Ledger, within_s: float = LEARNT_S) -> None:
    """Wait until as many events are learnt, and the keeper has as many, as the ledger knows of."""
    async with watching(settings) as monitor:
        await until("all events are learnt", lambda: monitor.events_learnt >= ledger.events, within_s)

    async def kept() -> bool:
        return track_counts(await read_tracks(settings)).total() >= ledger.by_track.total()

    await until("the keeper has all counts", kept, within_s)


async def check_counts(settings: Settings, ledger: Ledger) -> None:
    """Every counter of every listener and track is the ledger's."""
    assert ledger.by_listener == listener_counts(await read_listeners(settings))
    assert ledger.by_track == track_counts(await read_tracks(settings))


async def make_anew(settings: Settings, *topics: Topic) -> None:
    """Delete topics with all that they hold, and create them, empty."""
    await delete(settings, *topics)

    async def made() -> bool:  # a broker may still be deleting what had the name
        return {topic.name for topic in topics} <= set(await create_topics(settings))

    await until("the topics are made anew", made, 20.0)


async def delete(settings: Settings, *topics: Topic) -> None:
    """Delete topics with all that they hold."""
    async with administering(settings) as admin:
        names = [settings.topic(topic) for topic in topics]
        await admin.delete_topics(names)

        async def gone() -> bool:
            return not set(names) & set(await admin.list_topics())

        await until("the topics are gone", gone, 20.0)


async def delete_group(settings: Settings, kind: str) -> None:
    """Delete the consumer group of the workers of a kind, as kafka-consumer-groups --delete does; none of them may be running."""
    group = f"{settings.prefix}segue-{kind}"
    async with administering(settings) as admin:

        async def deleted() -> bool:
            answer = await admin._send_request(DeleteGroupsRequest([group]), await admin.find_coordinator(group))
            ((_, code),) = answer.results
            return bool(code == 0)

        await until("the group is deleted", deleted, 20.0)


async def ends(settings: Settings, topic: Topic) -> list[int]:
    """Where the log of each partition ends, markers of transactions included."""
    reader = AIOKafkaConsumer(**settings.client())
    await reader.start()
    try:
        parts = [TopicPartition(settings.topic(topic), number) for number in range(settings.partitions)]
        found = await reader.end_offsets(parts)
        return [found[part] for part in parts]
    finally:
        await reader.stop()


async def cut(settings: Settings, topic: Topic, before: Sequence[int]) -> None:
    """Remove what lies before an offset of each partition, as retention does."""
    name = settings.topic(topic)
    async with administering(settings) as admin:
        await admin.delete_records(
            {TopicPartition(name, number): RecordsToDelete(offset) for number, offset in enumerate(before)}
        )
