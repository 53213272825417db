"""The client without a broker: what it does with messages of others and with what Kafka did not take."""

import asyncio
from typing import Any

import pytest

from segue.client import SegueClient
from segue.errors import SituationError
from streams.messages import Playlist, encode
from streams.runtime.settings import Settings


class SilentProducer:
    """Takes nothing; says that all is sent."""

    async def flush(self) -> None:
        return None


def client() -> SegueClient:
    made = SegueClient(Settings(bootstrap="nowhere:1"))
    made._producer = SilentProducer()  # type: ignore[assignment]
    return made


@pytest.mark.parametrize("value", [None, b"", b"\xff\xfe", b"[1]", b'{"request_id":"\xff"}', b"[" * 5000])
async def test_message_of_others_on_playlists_is_counted_and_the_next_answer_is_taken(value: bytes | None) -> None:
    asking = client()
    answer: asyncio.Future[Playlist] = asyncio.get_running_loop().create_future()
    asking._waiting["r1"] = answer
    asking._take(value)

    assert (asking.errors, answer.done()) == (1, False)
    asking._take(encode(Playlist(request_id="r1", user_id="ann")))

    assert answer.result().user_id == "ann"


async def test_what_was_not_taken_is_said_once() -> None:
    producing = client()
    sent: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    sent.set_exception(ConnectionError("gone"))
    producing._acknowledged(sent)
    with pytest.raises(SituationError, match="did not take what was produced: gone"):
        await producing.flush()
    await producing.flush()
