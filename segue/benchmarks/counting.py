"""A worker that does as little as possible: it counts events per listener. What the engine costs, and what stock Faust costs.

Run as `python -m segue.benchmarks.counting faust|engine|learner EVENTS`; prints events/s from the first event seen to the last.
"""

import asyncio
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

import faust
import msgspec

from streams.messages import ListeningEvent, MessageError, decode
from streams.runtime.engine import Engine, credentials
from streams.runtime.learner import Learner
from streams.runtime.run import quiet_logs, run_process
from streams.runtime.settings import Settings
from streams.steps import Output, Record, Row, Step
from streams.topics import LISTENERS_CHANGELOG, LISTENING_EVENTS, PLAYLISTS

POLL_S = 0.01
FIRST_S = SECONDS_MAX = 20.0


class CountProcessor:
    """Counts events per listener; exact, one row per listener that a step changed, and one output per event where wanted."""

    inputs: tuple[str, ...] = (LISTENING_EVENTS.name,)
    changelog = LISTENERS_CHANGELOG.name
    restores: tuple[str, ...] = ()
    pace_s = 0.0
    flush_s = 3600.0

    def __init__(self, partition: int, *, echo: bool = False) -> None:
        self.partition, self.echo = partition, echo
        self.rows: dict[bytes, tuple[int, int]] = {}  # count, checksum of the offsets' order

    def restore(self, topic: str, rows: Sequence[Row]) -> None:
        """Take rows."""
        for key, value in rows:
            assert value is not None, "a count is never deleted"
            count, checksum = msgspec.msgpack.decode(value, type=tuple[int, int])
            self.rows[key] = (count, checksum)

    def step(self, records: Sequence[Record], now_ms: int) -> Step:
        """Count."""
        step, changed = Step(), dict[bytes, None]()
        for record in records:
            try:
                event = decode(ListeningEvent, record.value)
            except MessageError:  # policy: a benchmark's own events are never broken; others are left out
                continue
            key = event.user_id.encode()
            count, checksum = self.rows.get(key, (0, 0))
            self.rows[key] = (count + 1, (checksum * 31 + int(event.event_id[1:])) % 1_000_003)
            changed[key] = None
            if self.echo:
                step.outputs.append(Output(PLAYLISTS.name, key, event.event_id.encode()))
        step.rows = {key: msgspec.msgpack.encode(self.rows[key]) for key in changed}
        return step

    def flush(self, now_ms: int, *, last: bool = False) -> Step:
        """Nothing is coalesced."""
        return Step()


async def measure(count: Callable[[], int], events: int) -> float:
    """Events/s from just before the first is counted to the last, or to what was done in SECONDS_MAX; 0 where none came within FIRST_S.

    A stock agent may lose some or all: what Faust fetched and dropped in a rebalance before the group had committed anything.
    """
    started = began = at = time.perf_counter()
    done = 0
    while done < events and time.perf_counter() - (began if done else started) < (SECONDS_MAX if done else FIRST_S):
        await asyncio.sleep(POLL_S)
        now = time.perf_counter()
        if count() > done:
            done, at = count(), now
        elif not done:
            began = now
    return done / max(at - began, 1e-9)


async def faust_table(settings: Settings, events: int) -> float:
    """A stock Faust agent, one event at a time, counting in a Table: not exactly once."""
    app = faust.App(
        f"{settings.prefix}segue-bench-faust-{os.getpid()}",  # a group of its own, whatever an earlier try left
        broker=[f"kafka://{address}" for address in settings.bootstrap.split(",")],
        broker_credentials=credentials(settings),
        store="memory://",
        datadir=tempfile.gettempdir(),  # nothing is kept there; Faust would make a folder where we stand
        web_enabled=False,
        autodiscover=False,
        topic_disable_leader=True,
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication,
    )
    counts = app.Table("counts", default=int, partitions=settings.partitions)
    topic = app.topic(settings.topic(LISTENING_EVENTS), value_serializer="raw", key_serializer="raw")
    seen = 0

    async def count(stream: faust.types.StreamT[bytes]) -> None:
        nonlocal seen
        async for value in stream:
            counts[decode(ListeningEvent, value).user_id] += 1
            seen += 1

    app.agent(topic)(count)
    app.finalize()
    await app.start()
    return await measure(lambda: seen, events)


async def engine_count(settings: Settings, events: int) -> float:
    """The same count on the engine, exactly once."""
    engine = Engine(settings, "bench-count", CountProcessor, CountProcessor.inputs, step_max=5000)
    await engine.start()
    return await measure(lambda: sum(each["records"] for each in engine.stats().values()), events)


async def full_learner(settings: Settings, events: int) -> float:
    """The learner with all models."""
    learner = Learner(settings)
    await learner.start()
    engine = learner.engine
    assert engine is not None, "a learner that has started has an engine"
    return await measure(lambda: sum(each["records"] for each in engine.stats().values()), events)


MEASURES = {"faust": faust_table, "engine": engine_count, "learner": full_learner}


def main() -> None:
    """Measure one, print it, and end at once: nothing that it made is kept, and a stock Faust app may refuse to be cancelled."""
    quiet_logs()
    logging.disable(logging.ERROR)
    run_process(_report(sys.argv[1], int(sys.argv[2])))


async def _report(name: str, events: int) -> None:
    rate = await MEASURES[name](Settings.from_env(), events)
    sys.stdout.write(json.dumps({"events_per_s": rate}) + "\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
