"""Truth outside the system: what was produced, and what the topics say of it."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from online_models.listener_rows import KINDS
from online_models.listeners import Listeners
from online_models.track import COLUMN, META, TrackTable
from streams.deltas import TrackDelta, decode_delta
from streams.messages import DeadLetter, EventKind, ListeningEvent
from streams.runtime.follower import Follower
from streams.runtime.settings import Settings
from streams.runtime.store import READER
from streams.topics import DEAD_LETTERS, LISTENERS_CHANGELOG, TRACK_DELTAS, TRACKS_CHANGELOG

START_MS = 1_750_000_000_000
SENT_KINDS: tuple[EventKind, ...] = ("play", "play", "play", "skip", "skip", "like", "save")


@dataclass(slots=True)
class Ledger:
    """What was sent. by_listener, by_track : events by (id, kind); repeated ones are not counted"""

    by_listener: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_track: Counter[tuple[str, str]] = field(default_factory=Counter)
    order: dict[str, list[str]] = field(default_factory=dict)  # track ids by listener, as they were sent
    refused: int = 0
    repeated: int = 0

    @property
    def events(self) -> int:
        """Events that are to be learnt."""
        return self.by_listener.total()

    def note(self, event: ListeningEvent) -> None:
        """Take an event that was sent once."""
        self.by_listener[event.user_id, event.kind] += 1
        self.by_track[event.track_id, event.kind] += 1
        self.order.setdefault(event.user_id, []).append(event.track_id)


def event_of(draw: Random, number: int, *, listeners: int, tracks: int) -> ListeningEvent:
    """One of somebody, a second after the one before."""
    return ListeningEvent(
        event_id=f"e{number}",
        at_ms=START_MS + 1000 * number,
        user_id=f"u{draw.randrange(listeners)}",
        track_id=f"t{draw.randrange(tracks)}",
        kind=draw.choice(SENT_KINDS),
        played_ms=draw.randrange(200_000),
    )


async def read_all(settings: Settings, topic: str) -> list[tuple[int, bytes | None, bytes | None]]:
    """Every committed message of a topic as (partition, key, value)."""
    reader = AIOKafkaConsumer(**settings.client(), **READER)
    await reader.start()
    try:
        parts = [TopicPartition(settings.topic(topic), number) for number in range(settings.partitions)]
        reader.assign(parts)
        await reader.seek_to_beginning(*parts)
        ends, found = await reader.end_offsets(parts), []
        while any([await reader.position(part) < ends[part] for part in parts]):
            for part, records in (await reader.getmany(timeout_ms=200)).items():
                found.extend((part.partition, record.key, record.value) for record in records)
        return found
    finally:
        await reader.stop()


async def read_listeners(settings: Settings) -> Listeners:
    """All listeners, from the changelog."""
    listeners = Listeners()

    def apply(_topic: str, _partition: int, rows: Sequence[tuple[bytes, bytes | None]]) -> None:
        for key, value in rows:
            listeners.apply_row(key, value)

    await _follow(settings, LISTENERS_CHANGELOG.name, apply)
    return listeners


async def read_tracks(settings: Settings) -> TrackTable:
    """All tracks, from the changelog."""
    table = TrackTable()

    def apply(_topic: str, _partition: int, rows: Sequence[tuple[bytes, bytes | None]]) -> None:
        for key, value in rows:
            if key[:1] != META:
                table.apply_row(key, value)

    await _follow(settings, TRACKS_CHANGELOG.name, apply)
    return table


async def _follow(
    settings: Settings, topic: str, apply: Callable[[str, int, Sequence[tuple[bytes, bytes | None]]], None]
) -> None:
    follower = Follower(settings, {topic: range(settings.partitions)}, apply)
    await follower.start()
    await follower.caught_up()
    await follower.stop()


def listener_counts(listeners: Listeners) -> Counter[tuple[str, str]]:
    """Events by (user_id, kind), as the rows have them."""
    counts = Counter[tuple[str, str]]()
    for user in listeners.users():
        counts.update({(user, kind): n for kind, n in zip(KINDS, listeners.get(user).counts, strict=True) if n})
    return counts


def track_counts(table: TrackTable) -> Counter[tuple[str, str]]:
    """Events by (track_id, kind), as the rows have them."""
    return Counter(
        {
            (key[2:], kind): int(table.counts[row, COLUMN[f"{kind}s"]])
            for row, key in enumerate(table.keys)
            if key.startswith("t:")
            for kind in KINDS
            if table.counts[row, COLUMN[f"{kind}s"]]
        }
    )


async def read_dead_letters(settings: Settings) -> list[DeadLetter]:
    """All dead letters."""
    return [
        msgspec.json.decode(value or b"", type=DeadLetter)
        for _, _, value in await read_all(settings, DEAD_LETTERS.name)
    ]


async def read_deltas(settings: Settings) -> list[tuple[int, TrackDelta]]:
    """All track deltas as (keeper partition, delta)."""
    return [(partition, decode_delta(value)) for partition, _, value in await read_all(settings, TRACK_DELTAS.name)]


async def until(what: str, holds: Callable[[], bool | Awaitable[bool]], within_s: float) -> None:
    """Poll until something holds; AssertionError says what did not."""
    deadline = time.monotonic() + within_s
    while True:
        answer = holds()
        if answer if isinstance(answer, bool) else await answer:
            return
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(0.05)
