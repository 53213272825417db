"""The changelog rows of a listener.

A head b"h" + user_id is rewritten with every event: counters and the newest events, fewer than PAGE_EVENTS. Pages b"p" + page number +
user_id hold PAGE_EVENTS events each and are written once. Choices b"l" + user_id: likes, blocks, profile, offers.
"""

import struct
from collections.abc import Callable, Iterable

import msgspec

from online_models.tags import shared

KINDS = ("play", "skip", "like", "unlike", "save", "share", "block")
KIND_CODE = {kind: code for code, kind in enumerate(KINDS)}
PLAY, SKIP, LIKE, UNLIKE, SAVE, SHARE, BLOCK = range(len(KINDS))
PAGE_EVENTS = 32
HEAD, PAGE, CHOICES = b"h", b"p", b"l"
VERSION = b"\x02"
READ = (b"\x01", VERSION)  # before, events had no tags


class Heard(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One event of the history.

    kind : index into KINDS
    share : percent of the track that was heard, 0 to 100; where nobody knows how long it is, 100 of a play and 0 of a skip
    mark : 48 bits of its event_id, to know a repetition by
    tags : of the track, as the catalogue had them then
    """

    track_id: str
    artist_id: str | None
    at_ms: int
    kind: int
    played_ms: int
    share: int
    mark: int
    tags: tuple[str, ...] = ()

    @property
    def start_ms(self) -> int:
        """When it began, a moment at least before it ended: what was known then is what it may be predicted from."""
        return self.at_ms - (self.played_ms or 1)


class Profile(msgspec.Struct, frozen=True, array_like=True):
    """What a listener told about themselves."""

    country: str | None = None
    age_band: str | None = None
    favourite_tags: list[str] = []
    favourite_artists: list[str] = []


class Head(msgspec.Struct, frozen=True, array_like=True):
    """counts : exact events by kind; base : events that the history has dropped; tail : events that fill no page yet."""

    counts: list[int]
    base: int
    tail: list[Heard]


class WrittenHead(msgspec.Struct, frozen=True, array_like=True):
    """A head whose events are encoded already: the same bytes, and each event is encoded once, not once for each that comes after it."""

    counts: list[int]
    base: int
    tail: list[msgspec.Raw]


class Choices(msgspec.Struct, frozen=True, array_like=True):
    """liked : when, by track; offered : the request that offered a track by exploration."""

    liked: dict[str, int] = {}
    blocked: dict[str, int] = {}
    profile: Profile | None = None
    offered: dict[str, str] = {}


def page_key(page: int, user: bytes) -> bytes:
    """The changelog key of a page of history."""
    return PAGE + struct.pack(">I", page) + user


def user_of(key: bytes) -> str:
    """The listener that a changelog key belongs to."""
    return key[5 if key[:1] == PAGE else 1 :].decode()


def body_of(value: bytes) -> bytes:
    if value[:1] not in READ:
        raise ValueError(
            f"listener row version {value[:1]!r}, expected at most {VERSION!r}: a newer release wrote it, update this one"
        )
    return value[1:]


def head_of(value: bytes | None) -> Head:
    return Head([0] * len(KINDS), 0, []) if value is None else msgspec.msgpack.decode(body_of(value), type=Head)


def events_of(head: Head, start: int, user: bytes, row: Callable[[bytes], bytes | None]) -> Iterable[Heard]:
    """Events of the history from place `start` on, from pages and tail."""
    kept = sum(head.counts) - head.base
    tail_start = kept - len(head.tail)
    while start < tail_start:
        page = row(page_key((head.base + start) // PAGE_EVENTS, user))
        if page is None:
            raise ValueError(
                f"{user!r}: page {(head.base + start) // PAGE_EVENTS} of the history is missing, its head counts on it"
            )
        events = msgspec.msgpack.decode(body_of(page), type=list[Heard])
        yield from map(_sharing, events[(head.base + start) % PAGE_EVENTS :])
        start += PAGE_EVENTS - (head.base + start) % PAGE_EVENTS
    yield from map(_sharing, head.tail[start - tail_start :])


def _sharing(event: Heard) -> Heard:
    """An event that was just decoded, with the tags that all others have: nobody else holds it yet."""
    if event.tags:
        msgspec.structs.force_setattr(event, "tags", shared(event.tags))
    return event
