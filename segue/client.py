"""A client of Segue: produces events and catalogues, asks for playlists, over Kafka alone."""

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    LeaderNotAvailableError,
    UnknownTopicOrPartitionError,
)

from segue.errors import SituationError
from streams.messages import (
    ListeningEvent,
    MessageError,
    Playlist,
    PlaylistRequest,
    Profile,
    Track,
    decode,
    encode,
)
from streams.rights import Right
from streams.runtime.access import AccessError, refused, require
from streams.runtime.admin import count_partitions
from streams.runtime.settings import Settings
from streams.runtime.store import READER
from streams.topics import LISTENERS, LISTENING_EVENTS, PLAYLIST_REQUESTS, PLAYLISTS, TRACKS

Message = ListeningEvent | Track | Profile
FLUSH_S, FLUSH_AT_ERROR_S = 60.0, 5.0
NO_ANSWER = KafkaTimeoutError, LeaderNotAvailableError, UnknownTopicOrPartitionError  # of topics that were there


class SegueClient:
    """Use it as an async context manager.

    listen : read `playlists` too, which `playlist` needs
    newest_max : listeners whose newest event is known
    sent : messages handed to the producer; errors : answers that did not come, or could not be read
    """

    def __init__(self, settings: Settings, *, listen: bool = True, newest_max: int = 10_000) -> None:
        self.settings, self.listen, self.newest_max = settings, listen, newest_max
        self.sent = self.errors = 0
        self._lost: BaseException | None = None
        self._producer: AIOKafkaProducer | None = None
        self._reader: AIOKafkaConsumer | None = None
        self._waiting: dict[str, asyncio.Future[Playlist]] = {}
        # listener -> offset of their newest event that the broker has
        self._newest = OrderedDict[bytes, int]()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "SegueClient":
        try:
            counts = await count_partitions(self.settings)  # says so where topics are missing
            if self.listen:
                requests, playlists = self.settings.topic(PLAYLIST_REQUESTS), self.settings.topic(PLAYLISTS)
                rights = [Right("topic", requests, "Write"), Right("topic", playlists, "Read")]
                await require(self.settings, rights)
            producer = AIOKafkaProducer(**self.settings.client(), enable_idempotence=True, max_batch_size=262_144)
            self._producer = producer
            await producer.start()
            if self.listen:
                await self._listen(counts["listener"])
        except BaseException as error:
            await self.__aexit__()
            if isinstance(error, KafkaConnectionError):
                raise SituationError(
                    f"no Kafka answers at {self.settings.bootstrap}: start `segue up`, or set KAFKA_BOOTSTRAP_SERVERS"
                ) from error
            if (reason := refused(error, "Write", self.settings)) is not None:
                raise SituationError(reason) from error
            raise
        return self

    async def _listen(self, partitions: int) -> None:
        """Read the answers from now on."""
        self._reader = AIOKafkaConsumer(**self.settings.client(), **READER)
        await self._reader.start()
        parts = [TopicPartition(self.settings.topic(PLAYLISTS), number) for number in range(partitions)]
        self._reader.assign(parts)
        await self._reader.seek_to_end(*parts)
        for part in parts:
            await self._reader.position(part)  # the seek is lazy: what is asked after this is seen
        self._task = asyncio.create_task(self._read())

    async def __aexit__(self, kind: object = None, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._reader is not None:
            stopping = asyncio.ensure_future(self._reader.stop())
            await asyncio.wait([stopping])
            # what aiokafka cancels of its own, while its broker is away, comes out as if it was for us
            if stopping.cancelled():
                await self._reader._client.close()
            else:
                stopping.result()
        if self._producer is not None:
            await self._stop_producer(self._producer, failing=kind is not None)

    async def _stop_producer(self, producer: AIOKafkaProducer, *, failing: bool) -> None:
        """Without a broker an idempotent producer waits for ever for what is left in it to be taken."""
        try:
            async with asyncio.timeout(FLUSH_AT_ERROR_S if failing else FLUSH_S):
                await producer.stop()
        except TimeoutError as error:
            await producer._sender.close()
            await producer.client.close()
            if not failing:  # another error is on its way
                raise self._not_taken(error) from error

    async def produce(self, message: Message) -> None:
        """Hand a message to the producer, which sends it with others; waits only where its buffer is full.

        Raises
        ------
        SituationError
            where it stays full for 40 s, as without a broker, or something that was produced before is lost
        """
        topic, key = _address(message)
        await self.send(topic, key, encode(message))

    async def produce_many(self, messages: Iterable[Message]) -> AsyncIterator[int]:
        """Produce messages as fast as they go; yields how many were handed over, every thousand and at the end, then all are acknowledged."""
        count = 0
        for message in messages:
            await self.produce(message)
            count += 1
            if count % 1000 == 0:
                yield count
        await self.flush()
        yield count

    async def send(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Any bytes to a topic of ours; None is a tombstone. Raises as `produce` does."""
        self._say_lost()
        told = partial(self._acknowledged, key if topic == LISTENING_EVENTS.name else None)
        await self._send(topic, key, value, told)

    async def _send(
        self, topic: str, key: bytes | None, value: bytes | None, told: Callable[["asyncio.Future[Any]"], None]
    ) -> None:
        """told : what became of it"""
        assert self._producer is not None, "the client is used as a context manager"
        try:
            sent = await self._producer.send(self.settings.topic(topic), value, key)
        except NO_ANSWER as error:
            raise self._not_taken(error) from error
        sent.add_done_callback(told)
        self.sent += 1

    def _asked(self, answer: "asyncio.Future[Playlist]", sent: "asyncio.Future[Any]") -> None:
        if not sent.cancelled() and (error := sent.exception()) is not None and not answer.done():
            answer.set_exception(self._not_taken(error))

    async def flush(self) -> None:
        """Wait until the broker has all that was produced.

        Raises
        ------
        SituationError
            where it did not take something, or not within a minute
        """
        assert self._producer is not None, "the client is used as a context manager"
        try:
            async with asyncio.timeout(FLUSH_S):
                await self._producer.flush()
        except TimeoutError as error:
            raise self._not_taken(error) from error
        self._say_lost()

    def _say_lost(self) -> None:
        """SituationError where something that was produced is lost; once: what is produced after it is another matter."""
        lost, self._lost = self._lost, None
        if lost is not None:
            raise self._not_taken(lost) from lost

    def _acknowledged(self, listener: bytes | None, sent: "asyncio.Future[Any]") -> None:
        if sent.cancelled():
            return
        if (error := sent.exception()) is not None:
            self._lost = self._lost or error
        elif self.listen and listener is not None and sent.result().offset >= 0:  # unknown of what came twice
            self._newest[listener] = sent.result().offset
            self._newest.move_to_end(listener)
            if len(self._newest) > self.newest_max:
                self._newest.popitem(last=False)

    def _not_taken(self, error: BaseException) -> SituationError:
        if isinstance(error, (*NO_ANSWER, TimeoutError)):
            reason = "no answer for too long: is it running?"
        else:
            reason = refused(error, "Write", self.settings) or str(error)
        return SituationError(f"Kafka at {self.settings.bootstrap} did not take what was produced: {reason}")

    def _tell(self, error: Exception) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)

    async def playlist(self, request: PlaylistRequest, timeout_s: float = 10.0) -> Playlist:
        """Ask, and wait for the answer. It waits for what this client has produced of the listener and the broker has acknowledged, some 30 ms at most.

        Raises
        ------
        SituationError
            where none comes in time, Kafka does not take the request, or has not taken what was produced before
        """
        self._say_lost()
        assert self._task is not None, "a client that is to ask listens"
        if self._task.done():  # the reader has failed
            self._task.result()
        key = request.user_id.encode()
        if request.after_event is None and key in self._newest:
            request = msgspec.structs.replace(request, after_event=self._newest[key])
        answer: asyncio.Future[Playlist] = asyncio.get_running_loop().create_future()
        self._waiting[request.request_id] = answer
        try:
            async with asyncio.timeout(timeout_s):
                await self._send(PLAYLIST_REQUESTS.name, key, encode(request), partial(self._asked, answer))
                return await answer
        except TimeoutError as error:
            self.errors += 1
            raise SituationError(
                f"no answer within {timeout_s:g} s: is a serving worker running (`segue worker serving`)?"
            ) from error
        finally:
            del self._waiting[request.request_id]

    async def _read(self) -> None:
        assert self._reader is not None
        try:
            while True:
                for records in (await self._reader.getmany(timeout_ms=100)).values():
                    for record in records:
                        self._take(record.value)
        except KafkaError as error:  # policy: who waits is told; the client has ended
            reason = refused(error, "Read", self.settings)
            told = error if reason is None else AccessError(reason)
            self._tell(told)
            raise told from error

    def _take(self, value: bytes | None) -> None:
        try:
            playlist = decode(Playlist, value)
        except MessageError:  # policy: somebody else's message in our topic answers nobody
            self.errors += 1
            return
        waiting = self._waiting.get(playlist.request_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(playlist)


def request_for(user_id: str, **fields: Any) -> PlaylistRequest:
    """A request with an id of its own."""
    return PlaylistRequest(request_id=uuid.uuid4().hex, user_id=user_id, **fields)


def _address(message: Message) -> tuple[str, bytes]:
    match message:
        case ListeningEvent():
            return LISTENING_EVENTS.name, message.user_id.encode()
        case Track():
            return TRACKS.name, message.track_id.encode()
        case Profile():
            return LISTENERS.name, message.user_id.encode()
