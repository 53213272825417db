"""The client without a broker: what it does with messages of others and with what Kafka did not take."""

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, LeaderNotAvailableError, UnknownTopicOrPartitionError

from segue.client import SegueClient, request_for
from segue.errors import SituationError
from streams.messages import Playlist, PlaylistRequest, decode, encode
from streams.runtime.settings import Settings
from tests.builders import event


class SilentProducer:
    """Says that all is sent. sent : topic and value of each message"""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []

    async def flush(self) -> None:
        return None

    async def send(self, topic: str, value: bytes, _key: bytes) -> "asyncio.Future[Any]":
        self.sent.append((topic, value))
        acknowledged: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        acknowledged.set_result(SimpleNamespace(offset=len(self.sent) + 40))
        return acknowledged


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
    producing._acknowledged(None, sent)
    with pytest.raises(SituationError, match="did not take what was produced: gone"):
        await producing.flush()
    await producing.flush()
    producing._acknowledged(None, sent)
    with pytest.raises(SituationError, match="did not take what was produced: gone"):
        await producing.produce(event("ann", "t1"))  # who only produces hears of it too


async def test_a_reader_that_is_cut_off_in_its_stop_does_not_cut_off_who_leaves() -> None:
    async def cut_off() -> None:
        raise asyncio.CancelledError

    asking, closed = client(), list[str]()

    async def close() -> None:
        closed.append("reader")

    asking._reader = SimpleNamespace(stop=cut_off, _client=SimpleNamespace(close=close))  # type: ignore[assignment]
    asking._producer.stop = asking._producer.flush  # type: ignore[method-assign,union-attr]
    await asking.__aexit__()

    assert closed == ["reader"]


@pytest.mark.parametrize("error", [KafkaTimeoutError, UnknownTopicOrPartitionError, LeaderNotAvailableError])
async def test_what_finds_no_room_for_too_long_is_said(error: type[Exception]) -> None:
    producing = client()

    async def full(*_: Any) -> None:
        raise error

    producing._producer.send = full  # type: ignore[method-assign,union-attr]
    with pytest.raises(SituationError, match="no answer for too long: is it running"):
        await producing.produce(event("ann", "t1"))


@pytest.mark.parametrize("failing", [False, True])
async def test_a_client_does_not_wait_for_ever_for_what_nobody_takes(
    failing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segue.client.FLUSH_S", 0.01)
    monkeypatch.setattr("segue.client.FLUSH_AT_ERROR_S", 0.01)
    closed = list[str]()

    class Alone:
        """A producer without a broker."""

        async def wait(self) -> None:
            await asyncio.Event().wait()

        def __init__(self) -> None:
            self.flush = self.stop = self.wait
            self._sender, self.client = (SimpleNamespace(close=lambda name=name: self.close(name)) for name in "sc")

        async def close(self, name: str) -> None:
            closed.append(name)

    producing = client()
    producing._producer = Alone()  # type: ignore[assignment]
    with pytest.raises(SituationError, match="no answer for too long"):
        await producing.flush()
    with contextlib.nullcontext() if failing else pytest.raises(SituationError, match="no answer for too long"):
        await producing.__aexit__(*((ValueError, ValueError(), None) if failing else ()))

    assert closed == ["s", "c"]


async def test_who_asks_hears_what_became_of_their_request_alone() -> None:
    asking, loop = client(), asyncio.get_running_loop()
    answers = [loop.create_future() for _ in range(2)]
    sent: asyncio.Future[Any] = loop.create_future()
    sent.set_exception(ConnectionError("gone"))
    asking._asked(answers[0], sent)

    assert isinstance(answers[0].exception(), SituationError)
    assert not answers[1].done()
    await asking.flush()  # nothing that was produced is lost
    asking._acknowledged(b"ann", sent)
    with pytest.raises(SituationError, match="did not take what was produced: gone"):
        await asking.playlist(request_for("ann"))


async def asked(asking: SegueClient, user_id: str) -> PlaylistRequest:
    """What is asked, by somebody who does not wait long."""
    asking._task = asyncio.create_task(asyncio.Event().wait())  # type: ignore[arg-type]
    with pytest.raises(SituationError):
        await asking.playlist(request_for(user_id), timeout_s=0.0)
    asking._task.cancel()
    return decode(PlaylistRequest, asking._producer.sent[-1][1])  # type: ignore[union-attr]


async def test_who_asks_says_which_of_the_listeners_events_the_broker_has() -> None:
    asking = client()
    for user_id in ("bob", "ann", "ann"):
        await asking.produce(event(user_id=user_id))
    await asyncio.sleep(0)  # acknowledgements are told in the next turn of the loop

    assert (await asked(asking, "ann")).after_event == 43
    assert (await asked(asking, "bob")).after_event == 41
    assert (await asked(asking, "eve")).after_event is None


async def test_of_so_many_listeners_alone_the_newest_event_is_known() -> None:
    asking = client()
    asking.newest_max = 2
    for user_id in ("ann", "bob", "ann", "eve"):
        await asking.produce(event(user_id=user_id))
    await asyncio.sleep(0)

    assert sorted(asking._newest) == [b"ann", b"eve"]
