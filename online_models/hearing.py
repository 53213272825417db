"""What is kept of an event: the same by the learner, and by a serving worker that has read it before the learner has committed it."""

from hashlib import blake2b
from typing import Protocol

from online_models.listener_rows import KIND_CODE, SKIP, Heard
from online_models.track import TrackTable


class Event(Protocol):
    """What a listener did, as it was sent."""

    @property
    def track_id(self) -> str: ...
    @property
    def at_ms(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def played_ms(self) -> int | None: ...


def mark_of(event_id: str) -> int:
    """48 bits of an event's id.

    >>> mark_of("e1").bit_length() <= 48, mark_of("e1") == mark_of("e2")
    (True, False)
    """
    return int.from_bytes(blake2b(event_id.encode(), digest_size=6).digest(), "big")


def heard_of(event: Event, mark: int, table: TrackTable, row: int) -> tuple[Heard, bool]:
    """The event of a history, and whether it is timed: somebody knows how long it was heard, and how long the track is.

    row : of its track in the table, 0 where the table does not know it
    """
    meta = table.meta.get(row)
    kind, played_ms = KIND_CODE[event.kind], event.played_ms or 0
    known_ms = meta.duration_ms if meta is not None else None
    timed = bool(known_ms) and event.played_ms is not None
    share = min(100, 100 * played_ms // known_ms) if known_ms and timed else 100 * (kind != SKIP)
    artist_id, tags = (table.artist_of(row), table.tags_of(row)) if meta is not None else (None, ())
    return Heard(event.track_id, artist_id, event.at_ms, kind, played_ms, share, mark, tags), timed
