"""Goal: how long from a play produced to the first playlist that reflects it, all on this machine, and from the 20th like of a brand-new
track to the first playlist that holds it. Not a goal: throughput.

A probe produces a play, waits until the broker has it (the produce part), then asks (the answer part) until an answer reflects the play (what is
left is the follower's part: the serving worker had not read it yet). When the learner has committed its listener's row is measured beside that:
no playlist waits for it. Beside the probes a steady load of plays of other listeners runs.
"""

import asyncio
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from online_models.listener_rows import HEAD, head_of, user_of
from segue.benchmarks.load import make_events
from segue.client import SegueClient, request_for
from segue.cluster import RunningCluster
from segue.errors import SituationError
from segue.evaluation.metrics import percentile
from segue.notes import Notes
from segue.simulation.catalogue import Catalogue, make_catalogue
from segue.simulation.listing import Listing
from streams.messages import ListeningEvent, Track
from streams.runtime.admin import create_topics
from streams.runtime.follower import Follower
from streams.runtime.settings import Settings
from streams.topics import LISTENERS_CHANGELOG

LIKES = 20
PROBES = 120  # listeners that are probed in turn: at fifty a second the row of the last probe has come before the next
WARM_S = 4.0
NEW_TRACK_S_MAX = 30.0


async def measure_freshness(
    seconds: float,
    settings: Settings,
    *,
    events_per_s: float = 500.0,
    requests_per_s: float = 20.0,
    tracks: int = 5000,
    new_tracks: int = 8,
) -> dict[str, float]:
    """Percentiles in ms: the round trip and its parts, and the new track's.

    settings : of a Kafka that does nothing else
    """
    catalogue = make_catalogue(1, tracks=tracks, artists=max(1, tracks // 12))
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as folder:
        await create_topics(settings)
        async with (
            RunningCluster(Path(folder), Notes(), settings=settings),
            SegueClient(settings) as client,
            SegueClient(settings, listen=False) as others,
        ):
            async with Listing(client) as listing:
                await listing.produce(catalogue.tracks)
            prober = _Prober(settings, client, catalogue)
            await prober.start()
            load = asyncio.create_task(
                _load(others, catalogue, seconds + WARM_S + new_tracks * NEW_TRACK_S_MAX, events_per_s)
            )
            try:
                await asyncio.sleep(WARM_S)
                await prober.probe(seconds, requests_per_s)
                fresh = [await prober.new_track(number) for number in range(new_tracks)]
                if load.done():  # what was measured without it is no figure
                    load.result()
                    raise SituationError("the load ended before what it was to load was measured")
            finally:
                load.cancel()
                await asyncio.wait([load])
                await prober.stop()
    return {
        "p50_ms": percentile(prober.round_trip, 50),
        "p99_ms": percentile(prober.round_trip, 99),
        "produce_p50_ms": percentile(prober.produce, 50),
        "learner_p50_ms": percentile(prober.learner, 50),
        "learner_p99_ms": percentile(prober.learner, 99),
        "follower_p50_ms": percentile(prober.follower, 50),
        "answer_p50_ms": percentile(prober.answer, 50),
        "answer_p99_ms": percentile(prober.answer, 99),
        "new_track_p50_ms": percentile(fresh, 50),
        "new_track_p99_ms": percentile(fresh, 99),
        "probes": float(len(prober.round_trip)),
    }


async def _load(client: SegueClient, catalogue: Catalogue, seconds: float, events_per_s: float) -> None:
    """Plays at a steady rate, fifty times a second a handful: a request to the broker for each would be most of the load."""
    began = time.perf_counter()
    for number, event in enumerate(make_events(catalogue, int(seconds * events_per_s))):
        await client.produce(event)
        wait_s = began + number / events_per_s - time.perf_counter()
        if wait_s > 0.02:
            await asyncio.sleep(wait_s)


class _Prober:
    """Measures round trips."""

    def __init__(self, settings: Settings, client: SegueClient, catalogue: Catalogue) -> None:
        self.settings, self.client, self.catalogue = settings, client, catalogue
        self.round_trip: deque[float] = deque(maxlen=100_000)
        self.produce: deque[float] = deque(maxlen=100_000)
        self.learner: deque[float] = deque(maxlen=100_000)
        self.follower: deque[float] = deque(maxlen=100_000)
        self.answer: deque[float] = deque(maxlen=100_000)
        self._made = 0
        self._waiting: dict[str, tuple[int, asyncio.Future[float]]] = {}
        topics = {LISTENERS_CHANGELOG.name: range(settings.partitions)}
        self._rows = Follower(settings, topics, self._row)

    async def start(self) -> None:
        """Follow the listeners' rows."""
        await self._rows.start()
        await self._rows.caught_up()

    async def stop(self) -> None:
        """Stop following."""
        await self._rows.stop()

    async def probe(self, seconds: float, per_s: float) -> None:
        """Round trips at a steady rate; a listener has one at a time."""
        began, running = time.perf_counter(), list[asyncio.Task[None]]()
        counts = [0] * PROBES
        busy: set[int] = set()
        for number in range(int(seconds * per_s)):
            who = number % PROBES
            if who not in busy:
                busy.add(who)
                counts[who] += 1
                task = asyncio.create_task(self._round_trip(f"probe-{who}", counts[who], number))
                running.append(task)
                task.add_done_callback(partial(_done, busy, who))
            await asyncio.sleep(max(0.0, began + (number + 1) / per_s - time.perf_counter()))
        await asyncio.gather(*running)

    async def _round_trip(self, user_id: str, expected: int, number: int) -> None:
        visible: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[user_id] = (expected, visible)
        began = time.perf_counter()
        await self.client.produce(self._play(user_id, self.catalogue.tracks[number % 500].track_id, "play"))
        await self.client.flush()
        produced = time.perf_counter()
        while True:
            asked = time.perf_counter()
            playlist = await self.client.playlist(request_for(user_id))
            answered = time.perf_counter()
            if playlist.seen_events >= expected:
                break
        self.produce.append((produced - began) * 1e3)
        self.follower.append((asked - produced) * 1e3)
        self.answer.append((answered - asked) * 1e3)
        self.round_trip.append((answered - began) * 1e3)
        self.learner.append((await visible - began) * 1e3)

    async def new_track(self, number: int) -> float:
        """Milliseconds from the 20th like of a brand-new track to the first playlist that holds it."""
        artist = self.catalogue.tracks[number]
        track = Track(
            track_id=f"new-{number}",
            title=f"Brand New {number}",
            artist_id=artist.artist_id,
            artist=artist.artist,
            tags=artist.tags,
        )
        await self.client.produce(track)
        for liker in range(LIKES):
            await self.client.produce(self._play(f"liker-{number}-{liker}", track.track_id, "like"))
        await self.client.flush()
        began, asked = time.perf_counter(), 0
        while time.perf_counter() - began < NEW_TRACK_S_MAX:
            playlist = await self.client.playlist(request_for(f"u{asked}", surface="discover-weekly", size=30))
            asked += 1
            if any(slot.track_id == track.track_id for slot in playlist.tracks):
                break
            await asyncio.sleep(0.02)
        return (time.perf_counter() - began) * 1e3

    def _play(self, user_id: str, track_id: str, kind: str) -> ListeningEvent:
        self._made += 1
        at_ms = time.time_ns() // 1_000_000
        return ListeningEvent(event_id=f"p{self._made}", at_ms=at_ms, user_id=user_id, track_id=track_id, kind=kind)  # type: ignore[arg-type]

    def _row(self, _topic: str, _partition: int, rows: Sequence[tuple[bytes, bytes | None]]) -> None:
        for key, value in rows:
            if key[:1] != HEAD:
                continue
            expected, visible = self._waiting.get(user_of(key), (0, None))
            if visible is not None and not visible.done() and sum(head_of(value).counts) >= expected:
                visible.set_result(time.perf_counter())


def _done(busy: set[int], who: int, _task: "asyncio.Task[None]") -> None:
    busy.discard(who)
