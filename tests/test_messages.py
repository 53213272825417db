"""Messages decode and validate in one step, and say what was wrong."""

import pytest

from streams.messages import ListeningEvent, MessageError, decode, encode
from streams.topics import BY_NAME, TOPICS


def test_an_event_survives_the_round_trip() -> None:
    event = ListeningEvent(event_id="e1", at_ms=1, user_id="u", track_id="t", kind="play", played_ms=1000)

    actual = decode(ListeningEvent, encode(event))

    assert event == actual


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "expected a JSON object"),
        (b"{", "truncated"),
        (b"[]", "Expected `object`"),
        (b'{"event_id":"e","at_ms":-1,"user_id":"u","track_id":"t","kind":"play"}', "at_ms"),
        (b'{"event_id":"e","at_ms":1,"user_id":"u","track_id":"t","kind":"listen"}', "listen"),
        (b'{"event_id":"","at_ms":1,"user_id":"u","track_id":"t","kind":"play"}', "length >= 1"),
        (b" " * 1_000_001, "at most"),
    ],
)
def test_a_refused_message_says_what_was_expected(value: bytes | None, says: str) -> None:
    with pytest.raises(MessageError, match=says):
        decode(ListeningEvent, value)


def test_topic_names_are_unique() -> None:
    assert len(TOPICS) == len(BY_NAME)
