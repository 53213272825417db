"""Requests as they come: read, or refused with what is wrong with them."""

import msgspec

from streams.messages import MessageError, Playlist, PlaylistRequest, decode, owned


def request_of(key: bytes | None, value: bytes | None) -> PlaylistRequest | MessageError:
    """The request, or why it is none."""
    try:
        return owned(decode(PlaylistRequest, value), key)
    except MessageError as error:
        return error


def refusal(key: bytes | None, value: bytes | None, reason: str, at_ms: int) -> Playlist:
    """The answer to what is no request; its ids as far as they can be read."""
    request_id, user_id = "", (key or b"").decode("utf-8", "replace")[:128]
    try:
        seen = msgspec.json.decode(value or b"", type=dict[str, msgspec.Raw]).get("request_id", b'""')
        request_id = str(msgspec.json.decode(seen, type=str | int))[:128]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass  # policy: nothing can be read of it; the answer goes out under its key alone
    return Playlist(request_id=request_id, user_id=user_id, at_ms=at_ms, error=reason[:2000])
