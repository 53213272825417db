"""What is no request is answered too, under whatever can be read of it."""

import pytest

from serving.requests import refusal
from streams.messages import Playlist, decode, encode


@pytest.mark.parametrize(
    ("key", "value", "request_id", "user_id"),
    [
        (b"ann", b'{"request_id":"r1","user_id":"ann","size":0}', "r1", "ann"),
        (b"ann", b'{"request_id":7}', "7", "ann"),
        (b"ann", b"{}", "", "ann"),
        (b"ann", b"[]", "", "ann"),
        (b"ann", b"junk", "", "ann"),
        (b"ann", b"", "", "ann"),
        (b"ann", None, "", "ann"),
        (b"ann", b"\xff\xfe", "", "ann"),
        (b"ann", b'{"request_id":"\\ud800"}', "", "ann"),
        (b"ann", b'{"request_id":"\xff"}', "", "ann"),
        (b"ann", b'{"request_id":NaN}', "", "ann"),
        (b"ann", b'{"a":' * 100_000, "", "ann"),
        (b"ann", b'{"request_id":1' + b"0" * 30 + b"}", "1" + "0" * 30, "ann"),
        (b"ann", b'{"request_id":1' + b"0" * 5000 + b"}", "", "ann"),
        (None, b'{"request_id":"r1"}', "r1", ""),
        (b"\xff\xfe", b'{"request_id":"r1"}', "r1", "\ufffd\ufffd"),
        (b"u" * 1000, b'{"request_id":"' + b"r" * 1000 + b'"}', "r" * 128, "u" * 128),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_request_is_answered_with_the_reason(
    key: bytes | None, value: bytes | None, request_id: str, user_id: str
) -> None:
    answer = refusal(key, value, "PlaylistRequest: why", 5)

    expected = Playlist(request_id=request_id, user_id=user_id, at_ms=5, error="PlaylistRequest: why")
    assert expected == answer
    assert answer == decode(Playlist, encode(answer))


def test_a_long_reason_is_cut() -> None:
    answer = refusal(b"ann", b"", "x" * 100_000, 0)

    assert answer.error == "x" * 2000
