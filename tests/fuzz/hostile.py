"""Hostile messages: valid ones of every public topic, then broken field by field and byte by byte, all from one seeded chance."""

import json
from collections.abc import Callable
from random import Random
from typing import NamedTuple

import orjson

from streams.topics import EXPERIMENTS, LISTENERS, LISTENING_EVENTS, PLAYLIST_REQUESTS, PLAYLISTS, TRACKS

Fields = dict[str, bytes]  # values as JSON, so that they may be no JSON


class Message(NamedTuple):
    """What somebody sent. `how` says what was done to it; empty for a good one."""

    topic: str
    key: bytes | None
    value: bytes | None
    how: tuple[str, ...] = ()


TEXTS = (
    "",
    " ",
    "\0",
    "\x1b[31m",
    "\u202eevil\u2069",
    "\ufeff",
    "\ufffe",
    "null",
    "a" * 129,
    "\U0001f3b5" * 128,
    "\0" * 512,
    "e\u0301" * 60,
    "‮'\"\\;--",
    "t:t1",
    "../../etc",
    "{}",
    "\U0010ffff",
)
HOSTILE_IDS = tuple(text for text in TEXTS if 1 <= len(text) <= 128)
RAW = (
    *(json.dumps(text).encode() for text in TEXTS),
    *(b"null", b"true", b"false", b"NaN", b"Infinity", b"-Infinity", b"-0.0", b"0", b"-1", b"1", b"0.5", b"1e-320"),
    *(b"1e308", b"-1e308", b"1e309", b"9223372036854775807", b"-9223372036854775808", b"18446744073709551616"),
    *(b"1" + b"0" * 400, b"1" + b"0" * 5000, b"253402300799999", b"253402300800000", b"-62135596800000"),
    *(b"[]", b"{}", b"[[]]", b"[" * 2000, b'{"a":' * 2000, b'"\\ud800"', b'"\xff"', b'"\xed\xa0\x80"', b'"', b""),
    *(b'["t1","t1"]', b'[""]', b"[null]", b"[1e308,-1e308]", b'{"a":NaN}', b"[" + b"1," * 3000 + b"1]"),
    b'"' + b"x" * 100_000 + b'"',
)
LARGE = (
    b"x" * 2_000_000,  # as much as a topic takes
    b'{"user_id":"' + b"\0" * 1_900_000 + b'"}',
    # larger than any topic takes: whoever has set up topics of their own may still let them in
    b"x" * 10_000_000,
    b'{"event_id":"' + b"e" * 10_000_000 + b'"}',
    b"[" * 10_000_000,
)
KEYS = (None, b"", b"\xff\xfe", b"\0", b"somebody", b"u" * 1000, b"w", b"m", "‮ann".encode())
USERS = tuple(f"u{n}" for n in range(24)) + HOSTILE_IDS
TRACK_IDS = tuple(f"t{n}" for n in range(250)) + HOSTILE_IDS
ARTIST_IDS = tuple(f"a{n}" for n in range(40)) + HOSTILE_IDS
KINDS = ("play", "skip", "like", "unlike", "save", "share", "block")
SURFACES = ("next-up", "daily-mix", "discover-weekly", "radio")
DAY_MS = 86_400_000


def good(chance: Random, topic: str, now_ms: int) -> Message:
    """A message that must be taken."""
    owner, fields = _BUILDERS[topic](chance, now_ms)
    return Message(topic, owner.encode(), orjson.dumps(fields))


def joined(fields: Fields) -> bytes:
    """A JSON object of fields."""
    return b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name, value in fields.items()) + b"}"


def _event(chance: Random, now_ms: int) -> tuple[str, dict[str, object]]:
    user = chance.choice(USERS)
    at_ms = now_ms - chance.choice((0, 1000, DAY_MS, 400 * DAY_MS))
    if chance.random() < 0.1:
        at_ms = chance.choice((0, 1, now_ms + 3_600_000))
    fields: dict[str, object] = {
        "event_id": f"e{chance.randrange(1000)}",
        "at_ms": at_ms,
        "user_id": user,
        "track_id": chance.choice(TRACK_IDS),
        "kind": chance.choice(KINDS[:2] if chance.random() < 0.7 else KINDS),
    }
    if chance.random() < 0.6:
        fields["played_ms"] = chance.choice((0, 1, 180_000, 7 * DAY_MS))
        fields["context"] = {"hour": chance.randrange(24), "country": chance.choice(("SE", "\0\0", "𝕊𝔼"))}
    return user, fields


def _track(chance: Random, now_ms: int) -> tuple[str, dict[str, object]]:
    track_id = chance.choice(TRACK_IDS)
    fields: dict[str, object] = {
        "track_id": track_id,
        "title": chance.choice((f"Song {track_id}", f"{track_id:\0<512}", f"{track_id:\0<512}", *TEXTS)),
    }
    fields["artist_id"] = chance.choice(ARTIST_IDS)
    fields["artist"] = chance.choice((f"Artist {track_id}", "\0" * 512, *TEXTS))
    fields["tags"] = [chance.choice(("folk", "jazz", "\0", "\U0001f3b5" * 64)) for _ in range(chance.randrange(5))]
    fields["duration_ms"] = chance.choice((0, 1, 200_000, 7 * DAY_MS))
    fields["released_ms"] = chance.choice((-62_135_596_800_000, 0, now_ms, 253_402_300_799_999))
    return track_id, fields


def _profile(chance: Random, _: int) -> tuple[str, dict[str, object]]:
    user = chance.choice(USERS)
    tags = [chance.choice(("folk", "jazz", "\0")) for _ in range(chance.randrange(4))]
    artists = [chance.choice(HOSTILE_IDS)] * chance.randrange(4)
    fields: dict[str, object] = {"user_id": user, "favourite_tags": tags, "favourite_artists": artists}
    return user, fields | {"country": chance.choice(("SE", "\0\0"))}


def _request(chance: Random, now_ms: int) -> tuple[str, dict[str, object]]:
    user = chance.choice(USERS)
    fields: dict[str, object] = {"request_id": f"r{chance.randrange(10**6)}", "user_id": user}
    fields |= {
        "surface": chance.choice(SURFACES),
        "size": chance.choice((1, 3, 3, 20, 20, 20, 20, 200)),
        "explain": chance.random() < 0.3,
    }
    fields["seed_tracks"] = [chance.choice(TRACK_IDS) for _ in range(chance.randrange(3))]
    fields["deadline_ms"] = chance.choice((1, 250, 60_000))
    if chance.random() < 0.3:
        fields["at_ms"] = chance.choice((0, 1, now_ms, now_ms + 10**11, 253_402_300_799_999))
        fields["after_event"] = chance.choice((0, 1, (1 << 63) - 1))
    return user, fields


def _playlist(chance: Random, now_ms: int) -> tuple[str, dict[str, object]]:
    user = chance.choice(USERS)
    slots = [
        {"track_id": chance.choice(TRACK_IDS), "rank": rank, "score": 1.0, "explored": chance.random() < 0.5}
        for rank in range(chance.randrange(4))
    ]
    return user, {"request_id": f"r{chance.randrange(50)}", "user_id": user, "tracks": slots, "at_ms": now_ms}


def _experiment(chance: Random, _: int) -> tuple[str, dict[str, object]]:
    name, value = f"x{chance.randrange(6)}", chance.choice((0, -1, 1e308, -1e308, 1e-308, True, "high", 5, 0.5))
    setting = chance.choice(("weights.skip", "channel_weights.popular", "diversity", "familiar", "spacing"))
    settings = {"b": {setting: value, "explore_every": chance.choice((0, 1, 3, 1e300))}}
    return name, {"name": name, "layer": f"l{chance.randrange(3)}", "arms": {"a": 0.5, "b": 0.5}, "settings": settings}


_BUILDERS: dict[str, Callable[[Random, int], tuple[str, dict[str, object]]]] = {
    LISTENING_EVENTS.name: _event,
    TRACKS.name: _track,
    LISTENERS.name: _profile,
    PLAYLIST_REQUESTS.name: _request,
    PLAYLISTS.name: _playlist,
    EXPERIMENTS.name: _experiment,
}
TOPICS = tuple(_BUILDERS)
_SHARES = (48, 18, 10, 4, 14, 6)


def hostile(chance: Random, now_ms: int) -> Message:
    """A message of any topic: one in five is good, others were broken in one to three ways."""
    (topic,) = chance.choices(TOPICS, _SHARES)
    message = good(chance, topic, now_ms)
    if chance.random() < 0.2:
        return message
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        breaker = chance.choice(_BREAKERS)
        value, key = breaker(chance, message)
        message = message._replace(value=value, key=key, how=(*message.how, breaker.__name__.strip("_")))
    if chance.random() < 0.0002:
        message = message._replace(
            **{chance.choice(("key", "value")): chance.choice(LARGE)}, how=(*message.how, "large")
        )
    return message


Broken = tuple[bytes | None, bytes | None]


def _fields_of(message: Message) -> Fields | None:
    try:
        return {name: orjson.dumps(value) for name, value in orjson.loads(message.value or b"").items()}
    except (ValueError, AttributeError):
        return None  # broken already


def _set_field(chance: Random, message: Message) -> Broken:
    fields = _fields_of(message)
    if not fields:
        return message.value, message.key
    return joined(fields | {chance.choice(list(fields)): chance.choice(RAW)}), message.key


def _set_inner(chance: Random, message: Message) -> Broken:
    """A value somewhere inside, of any depth."""
    parts = (message.value or b"").split(b":")
    place = chance.randrange(len(parts))
    return b":".join([*parts[:place], chance.choice(RAW), *parts[place + 1 :]]), message.key


def _set_id(chance: Random, message: Message) -> Broken:
    """Value and key together, so that they fit each other."""
    fields = _fields_of(message)
    name = {TRACKS.name: "track_id", EXPERIMENTS.name: "name"}.get(message.topic, "user_id")
    text = chance.choice(TEXTS)
    return (joined(fields | {name: json.dumps(text).encode()}), text.encode()) if fields else (None, text.encode())


def _drop_field(chance: Random, message: Message) -> Broken:
    fields = _fields_of(message)
    if fields:
        del fields[chance.choice(list(fields))]
    return joined(fields or {}), message.key


def _add_field(chance: Random, message: Message) -> Broken:
    fields = _fields_of(message) or {}
    return joined(fields | {f"unknown{chance.randrange(9)}": chance.choice(RAW)}), message.key


def _twice_field(chance: Random, message: Message) -> Broken:
    fields = _fields_of(message) or {"a": b"1"}
    name, value = chance.choice(list(fields.items()))
    return joined(fields)[:-1] + b',"%s":%s}' % (name.encode(), chance.choice((value, chance.choice(RAW)))), message.key


def _change_bytes(chance: Random, message: Message) -> Broken:
    value = bytearray(message.value or b"{}")
    for _ in range(chance.choice((1, 1, 2, 5))):
        if value:
            value[chance.randrange(len(value))] = chance.randrange(256)
    return bytes(value), message.key


def _cut(chance: Random, message: Message) -> Broken:
    value = message.value or b"{}"
    start, end = sorted((chance.randrange(len(value) + 1), chance.randrange(len(value) + 1)))
    return chance.choice(
        (value[:start], value[end:], value[:start] + value[end:], value + value[start:end])
    ), message.key


def _other_topics(chance: Random, message: Message) -> Broken:
    """What belongs on another topic."""
    return good(chance, chance.choice(TOPICS), 1_760_000_000_000).value, message.key


def _change_key(chance: Random, message: Message) -> Broken:
    return message.value, chance.choice(KEYS)


def _tombstone(chance: Random, message: Message) -> Broken:
    return None, chance.choice((message.key, message.key, chance.choice(KEYS)))


def _no_json(chance: Random, message: Message) -> Broken:
    return chance.choice((b"", b"junk", b"\xef\xbb\xbf{}", chance.randbytes(40), chance.choice(RAW))), message.key


def _time(chance: Random, message: Message) -> Broken:
    fields = _fields_of(message) or {}
    times = (b"0", b"-1", b"1e12", b"253402300799999", b"253402300800000", b"-62135596800000", b"1760003600001", b"1.5")
    return joined(fields | {chance.choice(("at_ms", "released_ms", "played_ms")): chance.choice(times)}), message.key


_BREAKERS = (
    *(_set_field, _set_field, _set_inner, _set_id, _drop_field, _add_field, _twice_field, _change_bytes, _change_bytes),
    *(_cut, _other_topics, _change_key, _tombstone, _no_json, _time),
)
