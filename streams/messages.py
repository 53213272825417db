"""Every public message: msgspec types that decode and validate in one step, and encoders by orjson.

Binary rows and deltas are not here: each is written and read by the module that owns the state (`online_models.track`,
`online_models.listener`, `streams.deltas`).
"""

from types import NoneType
from typing import Annotated, Any, Literal, Protocol, TypeVar, get_args, get_type_hints

import msgspec
import orjson
from msgspec import Meta

Id = Annotated[str, Meta(min_length=1, max_length=128)]
OptionalId = Annotated[str, Meta(max_length=128)]  # empty where it could not be read
Text = Annotated[str, Meta(max_length=512)]
Tag = Annotated[str, Meta(min_length=1, max_length=64)]
AtMs = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]  # up to the year 9999
ReleasedMs = Annotated[int, Meta(ge=-62_135_596_800_000, le=253_402_300_799_999)]  # from the year 1 on
DurationMs = Annotated[int, Meta(ge=0, le=7 * 86_400_000)]

EventKind = Literal["play", "skip", "like", "unlike", "save", "share", "block"]
Surface = Literal["next-up", "daily-mix", "discover-weekly", "radio"]

VALUE_BYTES_MAX = 1_000_000
KEY_BYTES_MAX = 1024  # a longer key is no user_id
FUTURE_MS_MAX = 3_600_000  # an event from further ahead of the clock is refused


class MessageError(ValueError):
    """A message was refused: what the sender did. Its text says what was seen and what was expected."""


class Context(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where and when something was heard or asked for. `hour` is local, 0 to 23; without it UTC is taken."""

    surface: Surface | None = None
    device: Tag | None = None
    country: Annotated[str, Meta(min_length=2, max_length=2)] | None = None
    hour: Annotated[int, Meta(ge=0, le=23)] | None = None


class ListeningEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a listener did. One listen is one event: `skip` where it was left early, else `play`.

    at_ms : when it ended, Unix epoch
    played_ms : how much of it was heard
    request_id, position : the playlist it was heard from and its rank there, counted from 0
    """

    event_id: Id
    at_ms: AtMs
    user_id: Id
    track_id: Id
    kind: EventKind
    played_ms: DurationMs | None = None
    session_id: Id | None = None
    request_id: Id | None = None
    position: Annotated[int, Meta(ge=0, le=1000)] | None = None
    context: Context | None = None


class Track(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row of the catalogue.

    released_ms : Unix epoch; content : an optional content vector, float[dims]
    """

    track_id: Id
    title: Text
    artist_id: Id | None = None
    artist: Text | None = None
    album_id: Id | None = None
    tags: Annotated[list[Tag], Meta(max_length=16)] = []
    released_ms: ReleasedMs | None = None
    duration_ms: DurationMs | None = None
    content: Annotated[list[float], Meta(max_length=512)] | None = None


class Profile(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a listener told about themselves (topic `listeners`)."""

    user_id: Id
    country: Annotated[str, Meta(min_length=2, max_length=2)] | None = None
    age_band: Tag | None = None
    favourite_tags: Annotated[list[Tag], Meta(max_length=32)] = []
    favourite_artists: Annotated[list[Id], Meta(max_length=32)] = []


class PlaylistRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody wants a playlist.

    deadline_ms : how long the answer may take from its arrival
    after_event : the offset in `listening-events` of the listener's newest event that the asker knows to be there; the answer waits for it a moment
    """

    request_id: Id
    user_id: Id
    surface: Surface = "next-up"
    size: Annotated[int, Meta(ge=1, le=200)] = 20
    seed_tracks: Annotated[list[Id], Meta(max_length=16)] = []
    context: Context | None = None
    deadline_ms: Annotated[int, Meta(ge=1, le=60_000)] = 250
    explain: bool = False
    at_ms: AtMs | None = None
    after_event: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)] | None = None


class Slot(msgspec.Struct, frozen=True, omit_defaults=True):
    """One place of a playlist.

    propensity : with what probability this track was put here (1 where nothing was left to chance)
    objectives : predicted probability by objective; of `share_heard` the mean share that is heard, of 1
    channels : the candidate channels that proposed it
    """

    track_id: Id
    rank: int
    score: float
    propensity: float = 1.0
    explored: bool = False
    objectives: dict[str, float] = {}
    channels: list[str] = []
    reason: str = ""
    title: str = ""
    artist: str = ""


class Playlist(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to a request, and the record of what was shown; `error` instead of tracks where it was refused.

    level : the step of the deadline ladder that answered: full, no-rerank or popular
    seen_events : how many of the listener's events this answer reflects: those of their row, and what no learner has committed yet
    latency_ms : from the request's arrival to the answer; freshness_ms : how old the rows may be that it was made from
    removed : with `explain`, how many candidates each filter took out
    """

    request_id: OptionalId
    user_id: OptionalId
    surface: str = ""
    tracks: Annotated[list[Slot], Meta(max_length=200)] = []
    arms: dict[str, str] = {}
    model: str = ""
    level: str = ""
    at_ms: int = 0
    latency_ms: float = 0.0
    freshness_ms: float = 0.0
    seen_events: int = 0
    removed: dict[str, int] = {}
    channels: dict[str, int] = {}
    error: str | None = None


class DeadLetter(msgspec.Struct, frozen=True, omit_defaults=True):
    """What could not be used: `key` and `value` are the bytes as received (base64 in JSON).

    left_out : bytes at their ends that a letter has no room for, as of a message that was compressed; all of them stand where it came from
    """

    topic: str
    partition: int
    offset: int
    at_ms: int
    reason: str
    key: bytes | None = None
    value: bytes | None = None
    left_out: int = 0


class Experiment(msgspec.Struct, frozen=True, omit_defaults=True):
    """An A/B test or a canary release: arms with their share of the layer's traffic and the settings that they change."""

    name: Id
    layer: Id
    arms: Annotated[dict[Tag, Annotated[float, Meta(ge=0, le=1)]], Meta(max_length=32)]
    settings: dict[str, dict[str, float | str | bool]] = {}
    salt: str = ""


M = TypeVar("M", bound=msgspec.Struct)
_DECODERS: dict[type, Any] = {}


def decode(kind: type[M], value: bytes | None) -> M:
    """Decode and validate a message.

    Raises
    ------
    MessageError
        saying what was seen and what was expected
    """
    if value is None:
        raise MessageError(f"{kind.__name__}: no value, expected a JSON object")
    if len(value) > VALUE_BYTES_MAX:
        raise MessageError(f"{kind.__name__}: {len(value):,} bytes, expected at most {VALUE_BYTES_MAX:,}")
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.json.Decoder(kind)
    try:
        message: M = decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"{kind.__name__}: {error}{_choice(kind, str(error))}") from error
    return message


class _OfListener(Protocol):
    @property
    def user_id(self) -> str: ...


U = TypeVar("U", bound=_OfListener)


def text_of(key: bytes, name: str) -> str:
    """A key as text; MessageError where it is none."""
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise MessageError(f"key {key[:32]!r}: expected a {name} in UTF-8") from error


def owned(message: U, key: bytes | None) -> U:
    """The message, where its key is its user_id: else another partition would own the same person. MessageError where it is not."""
    if not key or text_of(key, "user_id") != message.user_id:
        raise MessageError(f"{type(message).__name__}: key {key!r}, expected the message's user_id {message.user_id!r}")
    return message


def event_of(key: bytes | None, value: bytes | None, now_ms: int) -> ListeningEvent:
    """An event that may be learnt from; MessageError where it may not."""
    event = owned(decode(ListeningEvent, value), key)
    if event.at_ms > now_ms + FUTURE_MS_MAX:
        ahead_s = (event.at_ms - now_ms) // 1000
        raise MessageError(
            f"ListeningEvent: at_ms {event.at_ms} is {ahead_s:,} s ahead of the clock, expected at most 3,600 s"
        )
    return event


def _choice(kind: type[Any], told: str) -> str:
    """What a field may be, where msgspec tells only that it is none of it: `$.context.surface`, say."""
    if not told.startswith("Invalid enum value"):
        return ""
    found: Any = kind
    for field in told.rpartition("`$.")[2].removesuffix("`").split("."):
        found = _named(get_type_hints(found).get(field)) if isinstance(found, type) else None
    choice = get_args(found)
    return f", expected one of {', '.join(map(str, choice))}" if choice else ""


def _named(hint: Any) -> Any:
    """A hint without its `| None`."""
    return next((each for each in get_args(hint) if each is not NoneType), None) if NoneType in get_args(hint) else hint


def encode(message: msgspec.Struct) -> bytes:
    """A message as JSON bytes."""
    return orjson.dumps(msgspec.to_builtins(message), option=orjson.OPT_SERIALIZE_NUMPY)
