"""Messages decode and validate in one step, and say what was wrong; whatever arrives, nothing else comes out."""

import json
import random
from typing import Any

import msgspec
import pytest

from streams.messages import (
    VALUE_BYTES_MAX,
    DeadLetter,
    Experiment,
    ListeningEvent,
    MessageError,
    Playlist,
    PlaylistRequest,
    Profile,
    Slot,
    Track,
    decode,
    encode,
)
from streams.topics import BY_NAME, TOPICS

EVENT = {"event_id": "e", "at_ms": 1, "user_id": "u", "track_id": "t", "kind": "play"}
WHOLE: dict[type[msgspec.Struct], dict[str, Any]] = {
    ListeningEvent: {**EVENT, "played_ms": 1, "position": 3, "context": {"surface": "radio", "hour": 23}},
    Track: {"track_id": "t", "title": "x", "artist_id": "a", "tags": ["folk"], "content": [0.5], "released_ms": 1},
    Profile: {"user_id": "u", "country": "SE", "favourite_tags": ["folk"], "favourite_artists": ["a"]},
    PlaylistRequest: {"request_id": "r", "user_id": "u", "surface": "radio", "size": 20, "seed_tracks": ["t"]},
    Playlist: {"request_id": "r", "user_id": "u", "tracks": [{"track_id": "t", "rank": 0, "score": 0.5}]},
    Experiment: {"name": "e", "layer": "l", "arms": {"a": 0.5}, "settings": {"a": {"diversity": 0.5}}},
}


def event(**fields: Any) -> bytes:
    return json.dumps({**EVENT, **fields}).encode()


def test_an_event_survives_the_round_trip() -> None:
    expected = ListeningEvent(event_id="e1", at_ms=1, user_id="u", track_id="t", kind="play", played_ms=1000)

    assert expected == decode(ListeningEvent, encode(expected))


@pytest.mark.parametrize("kind", WHOLE, ids=lambda kind: kind.__name__)
def test_every_message_survives_the_round_trip(kind: type[msgspec.Struct]) -> None:
    expected = decode(kind, json.dumps(WHOLE[kind]).encode())

    assert expected == decode(kind, encode(expected))


def test_a_dead_letter_holds_any_bytes() -> None:
    letter = DeadLetter("t", 0, 1, 2, "why", bytes(range(256)), b"\xff" * 1000)

    assert letter == decode(DeadLetter, encode(letter))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "expected a JSON object"),
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"[]", "Expected `object`"),
        (b"null", "Expected `object`"),
        (b"NaN", "malformed"),
        (b"\x00", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b"\xef\xbb\xbf{}", "malformed"),
        (b'{"event_id":"\xff"}', "utf-8"),
        (b'{"event_id":"\xed\xa0\x80"}', "utf-8"),
        (event(at_ms=-1), "at_ms"),
        (event(at_ms=float("nan")), "malformed"),
        (event(at_ms=float("inf")), "malformed"),
        (event(at_ms=1.5), "Expected `int`, got `float`"),
        (event(at_ms=True), "Expected `int`, got `bool`"),
        (event(at_ms="1"), "Expected `int`, got `str`"),
        (event(at_ms=10**18), "at_ms"),
        (event(at_ms=10**30), "at_ms"),
        (event(at_ms=-(10**30)), "at_ms"),
        (b'{"at_ms":' + b"9" * 100_000 + b"}", "out of range"),
        (b'{"at_ms":1e99999}', "out of range"),
        (
            event(context={"surface": "foo"}),
            "'foo' - at .*surface`, expected one of next-up, daily-mix, discover-weekly, radio",
        ),
        (event(kind="listen"), "'listen' - at .*, expected one of play, skip, like, unlike, save, share, block"),
        (event(kind=["play"]), "kind"),
        (event(event_id=""), "length >= 1"),
        (event(user_id="u" * 129), "length <= 128"),
        (event(user_id=None), "Expected `str`, got `null`"),
        (event(user_id="\ud800"), "surrogate"),
        (event(track_id="\udc00t"), "surrogate"),
        (event(played_ms=7 * 86_400_000 + 1), "played_ms"),
        (event(context=[]), "got `array` - at `\\$.context`"),
        (event(context={"hour": 24}), "hour"),
        (event(context={"country": "SWE"}), "country"),
        (b'{"event_id":"e","at_ms":1,"user_id":"u","track_id":"t"}', "missing required field `kind`"),
        (b'{"unknown":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "recursion"),
        (b'{"unknown":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}", "recursion"),
        (b" " * (VALUE_BYTES_MAX + 1), "at most"),
        (event(unknown="x" * VALUE_BYTES_MAX), "at most"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_a_refused_message_says_what_was_expected(value: bytes | None, says: str) -> None:
    with pytest.raises(MessageError, match=says):
        decode(ListeningEvent, value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Track, {"title": "x" * 513}),
        (Track, {"tags": ["x"] * 17}),
        (Track, {"tags": [""]}),
        (Track, {"content": [float("inf")]}),
        (Track, {"content": [0.0] * 513}),
        (Track, {"released_ms": 10**30}),
        (Track, {"duration_ms": -1}),
        (Profile, {"favourite_artists": ["a"] * 33}),
        (PlaylistRequest, {"size": 0}),
        (PlaylistRequest, {"size": 201}),
        (PlaylistRequest, {"surface": "nowhere"}),
        (PlaylistRequest, {"seed_tracks": ["t"] * 17}),
        (PlaylistRequest, {"deadline_ms": 0}),
        (Experiment, {"arms": {"a": 1.5}}),
        (Experiment, {"settings": {"a": {"x": None}}}),
    ],
)
def test_what_is_out_of_bounds_is_refused(kind: type[msgspec.Struct], value: dict[str, Any]) -> None:
    with pytest.raises(MessageError, match=kind.__name__):
        decode(kind, json.dumps({**WHOLE[kind], **value}).encode())


def test_fields_that_nobody_knows_are_left_out() -> None:
    known = ListeningEvent(event_id="e", at_ms=1, user_id="u", track_id="t", kind="play")

    assert known == decode(ListeningEvent, event(zodiac="lion", nested={"a": [1, 2, {"b": None}]}))


def test_text_of_any_language_is_kept() -> None:
    title = "Sigur Rós — Ágætis byrjun 🎻 \u0000 \u202e"

    assert title == decode(Track, encode(Track("t", title))).title


def test_the_longest_value_is_still_read() -> None:
    value = event()

    assert decode(ListeningEvent, value + b" " * (VALUE_BYTES_MAX - len(value))).event_id == "e"


@pytest.mark.parametrize("kind", WHOLE, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("seed", range(3), ids="seed-{}".format)
def test_whatever_arrives_it_decodes_or_it_is_refused(kind: type[msgspec.Struct], seed: int) -> None:
    rng, outcomes = random.Random(f"{kind.__name__}-{seed}"), {"decoded": 0, "refused": 0}
    for value in _damaged(rng, json.dumps(WHOLE[kind]).encode(), 300):
        try:
            message = decode(kind, value)
        except MessageError:
            outcomes["refused"] += 1
        else:
            outcomes["decoded"] += 1
            assert message == decode(kind, encode(message))

    assert min(outcomes.values()) > 0, outcomes


def _damaged(rng: random.Random, whole: bytes, times: int) -> list[bytes]:
    """A message with bytes changed, cut, doubled, or put in from what does harm."""
    harm = [b"NaN", b"\\ud800", b"1e999", b"9" * 40, b"\xff", b"\x00", b"null", b"[[[[", b'"', b"{}", b"-", b" "]
    values = []
    for _ in range(times):
        value = bytearray(whole)
        for _ in range(rng.randint(0, 3)):
            at = rng.randrange(len(value) + 1)
            match rng.randrange(4):
                case 0:
                    value[at : at + 1] = bytes([rng.randrange(256)])
                case 1:
                    del value[at : at + rng.randint(1, 8)]
                case 2:
                    value[at:at] = value[: rng.randint(1, 20)]
                case _:
                    value[at:at] = rng.choice(harm)
        values.append(bytes(value))
    return values


def test_a_slot_takes_only_what_differs_from_the_default() -> None:
    assert encode(Slot("t", 0, 0.5)) == b'{"track_id":"t","rank":0,"score":0.5}'


def test_topic_names_are_unique() -> None:
    assert len(TOPICS) == len(BY_NAME)
