"""Plays a real log through the topics, as fast as it goes, and each event once however often the command is ended and begun again.

How far a log was played is kept in a small file, written after every SLICE events that the broker has acknowledged. What was produced
between the last writing and a kill is produced again, and the learners know it by its event ids: SLICE is less than they remember.
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from segue.client import SegueClient, request_for
from segue.errors import InputError, SituationError
from segue.simulation.traffic import Figures
from streams.messages import ListeningEvent

SLICE = 400
ASK_EVERY_S = 0.25
SOON_S = 2.0  # a list that takes longer to be fresh is asked for less often
SETTLED_S = 2.0  # how much later a playlist reflects all that is learnt, at most


class Place(msgspec.Struct, frozen=True):
    """How far a log was played: events, and the id of the last of them."""

    events: int = 0
    last_id: str = ""


class Played:
    """The places of all logs that were played in one home, by path."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.places: dict[str, Place] = {}
        if file.exists():
            self.places = msgspec.json.decode(file.read_bytes(), type=dict[str, Place])

    def of(self, path: Path, events: Sequence[ListeningEvent]) -> int:
        """How many of the events were produced before.

        Raises
        ------
        InputError
            where the log is not the one that was played
        """
        place = self.places.get(str(path.resolve()), Place())
        if place.events and (place.events > len(events) or events[place.events - 1].event_id != place.last_id):
            raise InputError(
                f"{path}: has changed since {place.events:,} events of it were played here: play it with --fresh, which starts anew, or under another SEGUE_TOPIC_PREFIX"
            )
        return place.events

    def save(self, path: Path, events: Sequence[ListeningEvent], done: int) -> None:
        """Keep how far a log was played."""
        self.places[str(path.resolve())] = Place(done, events[done - 1].event_id)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self.places))
        fresh.replace(self.file)


class Player:
    """Produces a log's events, and asks now and then for the list of who was heard last.

    learnt : how many of the events produced here were learnt, known already or refused
    """

    def __init__(self, client: SegueClient, figures: Figures, learnt: Callable[[], int]) -> None:
        self.client, self.figures, self.learnt = client, figures, learnt
        self.produced = 0
        self._of = Counter[str]()  # events of each listener, produced now or before
        self._last: ListeningEvent | None = None

    async def play(self, path: Path, events: Sequence[ListeningEvent], played: Played) -> int:
        """Produce what was not produced before; answers how many events that was."""
        first = played.of(path, events)
        self._of.update(event.user_id for event in events[:first])
        for part in _slices(events[first:]):
            for event in part:
                await self.client.produce(event)
                self._of[event.user_id] += 1
            await self.client.flush()
            self._last = part[-1]
            self.produced += len(part)
            self.figures.events += len(part)
            played.save(path, events, first + self.produced)
        return self.produced

    async def watch(self) -> None:
        """Ask for the list of whoever was heard last, until it reflects all that was produced of them, or no more is to come; until cancelled."""
        shown: ListeningEvent | None = None
        while True:
            event = self._last
            if event is not None and event is not shown:
                shown = event
                await self._ask(event, self._of[event.user_id])
            await asyncio.sleep(ASK_EVERY_S)

    async def _ask(self, event: ListeningEvent, expected: int) -> None:
        """Until the answer reflects `expected` events, or all is learnt: a log that repeats an id, or has an event that is refused, never comes to so many."""
        figures, began, produced, until = self.figures, time.perf_counter(), self.produced, math.inf
        while time.perf_counter() < until:
            if self.learnt() >= produced:
                until = min(until, time.perf_counter() + SETTLED_S)
            try:
                playlist = await self.client.playlist(request_for(event.user_id, at_ms=event.at_ms))
            except SituationError:  # policy: a worker may be restarting; counted, and asked again
                figures.errors += 1
                continue
            figures.playlists += 1
            figures.errors += playlist.error is not None
            figures.latency_ms.append(playlist.latency_ms)
            figures.watched = [*figures.watched[-1:], (event, playlist)]
            if playlist.seen_events >= expected:
                figures.freshness_ms.append((time.perf_counter() - began) * 1000.0)
                return
            soon = time.perf_counter() - began < SOON_S
            await asyncio.sleep(ASK_EVERY_S / 10.0 if soon else ASK_EVERY_S)


def _slices(events: Sequence[ListeningEvent]) -> Iterator[Sequence[ListeningEvent]]:
    for start in range(0, len(events), SLICE):
        yield events[start : start + SLICE]
