"""Simulated listeners against a running Segue: they ask, hear, skip, and measure how fresh the answers are."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

import msgspec

from segue.client import SegueClient, request_for
from segue.errors import SituationError
from segue.simulation.listener import SimulatedListener
from streams.messages import ListeningEvent, Playlist

FRESH_WITHIN_S = 10.0


@dataclass(slots=True)
class Figures:
    """What the traffic saw; the last of each, bounded. freshness_ms : event produced to first playlist that reflects it."""

    events: int = 0
    playlists: int = 0
    errors: int = 0
    freshness_ms: deque[float] = field(default_factory=lambda: deque(maxlen=5000))
    latency_ms: deque[float] = field(default_factory=lambda: deque(maxlen=5000))
    outcomes: deque[tuple[float, bool]] = field(default_factory=lambda: deque(maxlen=20_000))  # (when, skipped)
    watched: list[tuple[ListeningEvent | None, Playlist]] = field(
        default_factory=list
    )  # of the watched listener: last two


class Traffic:
    """Keeps some listeners busy.

    pause_s : between two tracks of one listener
    """

    def __init__(self, client: SegueClient, listeners: list[SimulatedListener], *, pause_s: float = 0.5) -> None:
        self.client, self.listeners, self.pause_s = client, listeners, pause_s
        self.figures = Figures()

    async def run(self) -> None:
        """Until cancelled."""
        for listener in self.listeners:
            await self.client.produce(listener.profile())
        await asyncio.gather(*(self._live(listener, number) for number, listener in enumerate(self.listeners)))

    async def _live(self, listener: SimulatedListener, number: int) -> None:
        await asyncio.sleep(self.pause_s * number / max(1, len(self.listeners)))  # they do not all begin at once
        seen, playlist = await self._ask(listener, 0)
        while True:
            position, track_id = self._next(listener, playlist)
            heard = listener.hear(track_id, time.time_ns() // 1_000_000, playlist, position)
            # they hear faster than life: how long they heard would say that it began before the last one ended
            events = [msgspec.structs.replace(event, played_ms=None) for event in heard]
            produced = time.perf_counter()
            for event in events:
                await self.client.produce(event)
            self.figures.events += len(events)
            self.figures.outcomes.append((time.monotonic(), events[0].kind == "skip"))
            first = events[0] if number == 0 else None
            seen, playlist = await self._ask(listener, seen + len(events), produced, first)
            await asyncio.sleep(self.pause_s)

    def _next(self, listener: SimulatedListener, playlist: Playlist) -> tuple[int | None, str]:
        """The next track and its place: mostly one of the list's first, sometimes one of their own, without a place."""
        if playlist.tracks and listener.made % 6:
            place = listener.made % min(5, len(playlist.tracks))
            return place, playlist.tracks[place].track_id
        return None, listener.pick()

    async def _ask(
        self,
        listener: SimulatedListener,
        expected: int,
        produced: float | None = None,
        event: ListeningEvent | None = None,
    ) -> tuple[int, Playlist]:
        """Ask until the answer reflects `expected` events; answers how many it does, and the playlist."""
        deadline = time.perf_counter() + FRESH_WITHIN_S
        while True:
            try:
                playlist = await self.client.playlist(request_for(listener.user_id, surface="daily-mix"))
            except SituationError:  # policy: a worker may be restarting; counted, and asked again
                self.figures.errors += 1
                continue
            self.figures.playlists += 1
            self.figures.errors += playlist.error is not None
            self.figures.latency_ms.append(playlist.latency_ms)
            if playlist.seen_events >= expected or time.perf_counter() > deadline:
                break
            await asyncio.sleep(0.002)
        if produced is not None:
            self.figures.freshness_ms.append((time.perf_counter() - produced) * 1000.0)
        if event is not None:
            self.figures.watched = [*self.figures.watched[-1:], (event, playlist)]
        return playlist.seen_events, playlist
