"""Goal: how long a learner that has many listeners takes, from the start of its process, until it learns again. Not a goal: how fast it learns then.

Filled straight into the changelog: one head of about ten events for most listeners, pages and choices for some, each row once, as after compaction.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from online_models.listener import Listener
from online_models.listener_rows import HEAD, LIKE, PAGE, PLAY, SKIP, Heard
from segue.benchmarks.load import START_MS
from segue.client import SegueClient
from segue.errors import SituationError
from segue.supervisor import Worker, segue_argv
from streams.messages import ListeningEvent
from streams.partitioning import partition_of
from streams.runtime.admin import create_topics
from streams.runtime.settings import Settings
from streams.runtime.store import READER
from streams.topics import LISTENERS_CHANGELOG

TEMPLATES = 500  # listeners who are made up; the others have their rows, under their own names
BATCH_BYTES = 1 << 20
LEARNS_AGAIN_S_MAX = 600.0
_MEGABYTE = 1 << 20
_MIXER = 2_654_435_761  # odd, so that no two numbers meet

Template = list[tuple[bytes, bytes]]  # section of the key, value


async def measure_restore(listeners: int, filled: Callable[[int], None], settings: Settings) -> dict[str, float]:
    """The figures of docs/cli-figures.md.

    filled : called with how many listeners' rows are there
    settings : of a Kafka that does nothing else, and of the learner

    Raises
    ------
    SituationError
        where the learner does not learn again
    """
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as folder:
        await create_topics(settings)
        rows = await _fill(settings, listeners, filled)
        fresh = _fresh(settings.partitions)
        async with SegueClient(settings, listen=False) as client:
            for number, user_id in enumerate(fresh):
                await client.produce(_event(f"fresh-{number}", user_id))
        return {"listeners": listeners, "rows": rows} | await _restart(settings, fresh, Path(folder))


async def _restart(settings: Settings, fresh: list[str], folder: Path) -> dict[str, float]:
    """Start a learner on what is there; how long until it is ready, and until it has learnt the fresh events."""
    said = list[str]()
    worker = Worker("learner", segue_argv("worker", "learner"), settings.environ(), folder / "learner.log", said.append)
    reader = AIOKafkaConsumer(**settings.client(), **READER)
    await reader.start()
    try:
        parts = [TopicPartition(settings.topic(LISTENERS_CHANGELOG), number) for number in range(settings.partitions)]
        reader.assign(parts)
        await reader.seek_to_end(*parts)
        rows = sum([await reader.position(part) for part in parts])
        began = time.perf_counter()
        worker.start()
        ready = asyncio.create_task(_moment(worker.ready))
        async with asyncio.timeout(LEARNS_AGAIN_S_MAX):
            await _rows_of(reader, {HEAD + user_id.encode() for user_id in fresh})
            learnt = time.perf_counter()
            restore_s = await ready - began
        assert worker.process is not None, "a worker that is ready has a process"
        rss_mb, cpu_s = _peak_rss_mb(worker.process.pid), _cpu_s(worker.process.pid)
    except TimeoutError as error:
        log = (folder / "learner.log").read_text()[-500:] if (folder / "learner.log").exists() else ""
        raise SituationError(
            f"the learner did not learn again within {LEARNS_AGAIN_S_MAX:.0f} s: {said} {log}"
        ) from error
    finally:
        await worker.stop()
        await reader.stop()
    return {
        "restore_s": restore_s,
        "rows_per_s": rows / restore_s,
        "learns_again_s": learnt - began,
        "learner_rss_mb": rss_mb,
        "learner_cpu_s": cpu_s,
    }


async def _moment(event: asyncio.Event) -> float:
    await event.wait()
    return time.perf_counter()


async def _rows_of(reader: AIOKafkaConsumer, wanted: set[bytes]) -> None:
    while wanted:
        for records in (await reader.getmany(timeout_ms=50)).values():
            wanted -= {record.key for record in records}


def _fresh(partitions: int) -> list[str]:
    """A listener of each partition who has no rows."""
    found: dict[int, str] = {}
    for number in count():
        found.setdefault(partition_of(f"fresh-{number}".encode(), partitions), f"fresh-{number}")
        if len(found) == partitions:
            break
    return [found[number] for number in range(partitions)]


def _event(event_id: str, user_id: str) -> ListeningEvent:
    return ListeningEvent(event_id=event_id, at_ms=START_MS, user_id=user_id, track_id="t1", kind="play")


# --- what is filled in


async def _fill(settings: Settings, listeners: int, filled: Callable[[int], None]) -> int:
    """Write the rows of so many listeners; answers how many rows."""
    templates, topic, sent = _templates(TEMPLATES), settings.topic(LISTENERS_CHANGELOG), 0
    producer = AIOKafkaProducer(**settings.client(), max_batch_size=BATCH_BYTES, max_request_size=8 * BATCH_BYTES)
    await producer.start()
    try:
        batches = [producer.create_batch() for _ in range(settings.partitions)]
        for number in range(listeners):
            user = f"{number * _MIXER % 2**32:08x}-listener".encode()  # as any ids: their order says nothing
            to = partition_of(user, settings.partitions)
            for section, value in templates[number % TEMPLATES]:
                if batches[to].append(key=section + user, value=value, timestamp=None) is None:
                    await producer.send_batch(batches[to], topic, partition=to)
                    batches[to] = producer.create_batch()
                    batches[to].append(key=section + user, value=value, timestamp=None)
                sent += 1
            if number % 1000 == 999:
                filled(number + 1)
                await asyncio.sleep(0)
        for to, batch in enumerate(batches):
            if batch.record_count():
                await producer.send_batch(batch, topic, partition=to)
        await producer.flush()
    finally:
        await producer.stop()
    filled(listeners)
    return sent


def _templates(made: int) -> list[Template]:
    """Rows of made-up listeners, without their names."""
    rng = np.random.default_rng(1)
    return [
        list(_rows(rng, int(rng.integers(40, 400)) if n % 33 == 0 else int(rng.geometric(0.1)))) for n in range(made)
    ]


def _rows(rng: np.random.Generator, events: int) -> Iterator[tuple[bytes, bytes]]:
    listener = Listener("x")
    for n in range(events):
        track, kind = int(rng.zipf(1.5)) % 50_000, int(rng.choice([PLAY, SKIP, LIKE], p=[0.6, 0.3, 0.1]))
        mark = int(rng.integers(1 << 48))
        listener.learn_one(
            Heard(f"track-{track}", f"artist-{track // 12}", START_MS + 240_000 * n, kind, 180_000, 100, mark)
        )
    for key, value in listener.changed_rows().items():
        assert value is not None, "nobody has dropped a page yet"
        yield key[: 5 if key[:1] == PAGE else 1], value


def _peak_rss_mb(pid: int) -> float:
    """The most memory that a process had; now, where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():  # no Linux
        return float("nan")
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024 / _MEGABYTE


def _cpu_s(pid: int) -> float:
    """Seconds of processors that a process had: on a machine that others use too, what its time says less of."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return float("nan")
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
