"""Learners killed in mid-stream: nothing lost, nothing counted twice, every output there once."""

import asyncio
import contextlib
import os
import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from segue.client import SegueClient
from segue.monitor import Monitor
from segue.supervisor import Worker, segue_argv
from streams.messages import ListeningEvent, encode
from streams.runtime.settings import Settings
from streams.topics import LISTENING_EVENTS
from tests.integration.ledger import (
    Ledger,
    listener_counts,
    read_dead_letters,
    read_deltas,
    read_listeners,
    read_tracks,
    track_counts,
    until,
)

SEED = 3
EVENTS_PER_S = 150
KILLS = (signal.SIGKILL, signal.SIGTERM) * 5
BETWEEN_KILLS = 250  # events learnt
LISTENERS, TRACKS = 60, 80
KINDS = ("play", "play", "play", "skip", "skip", "like", "save")
START_MS = 1_750_000_000_000


class Load:
    """A steady stream of events; one in 25 is sent twice, one in 40 is no event at all."""

    def __init__(self, client: SegueClient) -> None:
        self.client, self.ledger, self.stopped = client, Ledger(), False
        self._random = random.Random(SEED)

    async def run(self) -> None:
        """Until told to stop."""
        number = 0
        while not self.stopped:
            number += 1
            await self._send(number)
            if number % 15 == 0:
                await asyncio.sleep(15 / EVENTS_PER_S)
        await self.client.flush()

    async def _send(self, number: int) -> None:
        draw, ledger = self._random, self.ledger
        user = f"u{draw.randrange(LISTENERS)}"
        if number % 40 == 0:
            broken = b'{"event_id": %d' % number
            await self.client.send(LISTENING_EVENTS.name, user.encode(), broken)
            ledger.refused += 1
            return
        event = ListeningEvent(
            event_id=f"e{number}",
            at_ms=START_MS + 1000 * number,
            user_id=user,
            track_id=f"t{draw.randrange(TRACKS)}",
            kind=draw.choice(KINDS),  # type: ignore[arg-type]
            played_ms=draw.randrange(200_000),
        )
        ledger.note(event)
        for _ in range(2 if number % 25 == 0 else 1):
            await self.client.send(LISTENING_EVENTS.name, user.encode(), encode(event))
        ledger.repeated += number % 25 == 0


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_learners_killed_ten_times_lose_nothing_and_count_nothing_twice(
    settings: Settings, tmp_path: Path
) -> None:
    notes: list[str] = []
    workers = [
        Worker(
            name, segue_argv("worker", name.split("-")[0]), settings.environ(), tmp_path / f"{name}.log", notes.append
        )
        for name in ("keeper", "learner-1", "learner-2")
    ]
    learners, monitor = workers[1:], Monitor(settings)
    async with contextlib.AsyncExitStack() as stack:
        for worker in workers:
            worker.start()
            stack.push_async_callback(worker.stop)
        client = await stack.enter_async_context(SegueClient(settings, listen=False))
        await monitor.start()
        stack.push_async_callback(monitor.stop)
        load = Load(client)
        sending = asyncio.create_task(load.run())
        for number, signum in enumerate(KILLS):
            await _kill_one(learners[number % 2], monitor, signum)
        load.stopped = True
        await sending
        ledger = load.ledger
        await until(
            "all events learnt or known",
            lambda: monitor.events_learnt + monitor.duplicates >= ledger.events + ledger.repeated,
            120.0,
        )

        async def counted() -> bool:
            return track_counts(await read_tracks(settings)).total() >= ledger.by_track.total()

        await until("the keeper has all counts", counted, 60.0)
    assert sum(worker.restarts for worker in learners) == len(KILLS), notes
    await _check(settings, ledger, monitor)


async def _kill_one(worker: Worker, monitor: Monitor, signum: signal.Signals) -> None:
    """Wait until events are learnt again, then end one learner in mid-stream; the supervisor starts it again."""
    before, restarts = monitor.events_learnt, worker.restarts
    await until("events are learnt", lambda: monitor.events_learnt >= before + BETWEEN_KILLS, 120.0)
    await until("the learner is there", lambda: worker.ready.is_set(), 120.0)
    assert worker.process is not None
    worker.ready.clear()
    os.kill(worker.process.pid, signum)
    await until("it was started again", lambda: worker.restarts > restarts, 60.0)


async def _check(settings: Settings, ledger: Ledger, monitor: Monitor) -> None:
    listeners = await read_listeners(settings)

    assert ledger.by_listener == listener_counts(listeners)
    assert ledger.by_track == track_counts(await read_tracks(settings))
    assert ledger.repeated == monitor.duplicates
    assert {user: len(tracks) for user, tracks in ledger.order.items()} == {
        user: listeners.get(user).events for user in listeners.users()
    }
    for user, tracks in ledger.order.items():
        assert tracks == [event.track_id for event in listeners.get(user).history], f"order of {user}'s history"

    letters = await read_dead_letters(settings)
    assert ledger.refused == len(letters) == len({(letter.partition, letter.offset) for letter in letters})

    deltas = [(keeper, delta.source, delta.seq) for keeper, delta in await read_deltas(settings)]
    assert dict.fromkeys(deltas, 1) == dict(Counter(deltas))
