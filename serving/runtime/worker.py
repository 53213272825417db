"""The serving worker: requests of its partitions in, playlists out, from a replica that follows the changelogs, and events ahead of them.

Every request is answered, at least once: a malformed one with an error, one that waited too long from the cheapest level of the ladder.
The group's offsets follow what was answered and acknowledged (`_commit`), so that a killed worker's requests are answered by the next.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError

from online_models.listeners import Audience
from serving.radio import LADDER, Radio
from serving.replica import Replica
from serving.requests import refusal, request_of
from serving.runtime.event_reader import EventReader
from serving.runtime.namesake import Namesake
from streams.messages import KEY_BYTES_MAX, MessageError, Playlist, PlaylistRequest, encode
from streams.runtime.access import check_rights
from streams.runtime.admin import count_partitions
from streams.runtime.cold_rows import ColdRowsError, RowSpace
from streams.runtime.exits import FAILED, REFUSED
from streams.runtime.follower import Follower, end_process
from streams.runtime.membership import HEAR_S, IDLE_MS_MAX, hear, leave_when_stopped
from streams.runtime.run import run_until_signalled
from streams.runtime.settings import Settings
from streams.runtime.store import WAIT_MS
from streams.topics import (
    EXPERIMENTS,
    LISTENERS_CHANGELOG,
    LISTENING_EVENTS,
    PLAYLIST_REQUESTS,
    PLAYLISTS,
    RANKER_WEIGHTS,
    TRACKS_CHANGELOG,
)

NAME = "serving"
TURNS = 6  # of the loop before each answer: from a socket to whoever reads rows and events, and from the last answer to its socket, it is several
REACH_S = 0.03  # answers to what came together wait for events that were there before them
TICK_S = 0.05
COMMIT_EVERY_S = 1.0
RECALL_EVERY_S = 60

log = logging.getLogger(__name__)


class ServingWorker(ConsumerRebalanceListener):  # type: ignore[misc]
    """One serving process: any number of them share the request partitions."""

    def __init__(self, settings: Settings, *, clock_ms: Callable[[], float] | None = None) -> None:
        self.settings = settings
        self.answered = self.errors = 0
        self._clock_ms = clock_ms or _now_ms
        shelves = RowSpace(settings.listener_rows_mb << 20)
        self._replica = Replica(listeners=Audience(shelves=shelves))
        self._radio = Radio(self._replica)
        self._watermarks: dict[int, int] = {}  # by partition, how far its rows have read the events
        self._answered_to: dict[TopicPartition, int] = {}  # the offset after the last that was answered
        self._committed: dict[TopicPartition, int] = {}
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._clients = contextlib.AsyncExitStack()  # what is to be stopped, whether or not it came to its start's end
        self._namesake = Namesake()
        self._assigned = asyncio.Event()
        self._known = asyncio.Event()  # the listeners of all assigned partitions are known

    async def start(self) -> None:
        """Read tracks and weights, join the group, read the listeners of what was assigned."""
        settings, counts = self.settings, await count_partitions(self.settings)
        everything = {
            TRACKS_CHANGELOG.name: range(counts["track"]),
            RANKER_WEIGHTS.name: range(counts["listener"]),
            EXPERIMENTS.name: range(counts["single"]),
        }
        self._tracks = Follower(settings, everything, self._replica.apply, failed=end_process)
        self._listeners = Follower(
            settings, {}, self._replica.apply, failed=end_process, watermarked=self._take_watermarks
        )
        self._events = EventReader(settings, self._replica.pending)
        for each in (self._tracks, self._listeners, self._events):
            self._clients.push_async_callback(each.stop)
        await self._tracks.start()
        await self._listeners.start()
        await self._events.start()
        self._producer = AIOKafkaProducer(**settings.client(), enable_idempotence=True)
        self._clients.push_async_callback(self._producer.stop)
        await self._producer.start()
        await self._tracks.caught_up()
        while self._replica.tick():
            await asyncio.sleep(0)
        await self._build_index(measure=False)
        self._consumer = AIOKafkaConsumer(
            **settings.client(),
            **settings.membership(NAME),
            max_poll_interval_ms=IDLE_MS_MAX,
            partition_assignment_strategy=[RangePartitionAssignor],
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # what was asked before the first worker came is answered too
            fetch_max_wait_ms=WAIT_MS,
        )
        self._clients.push_async_callback(self._leave)
        await self._consumer.start()
        self._clients.callback(asyncio.create_task(self._guard(self._hear_coordinator())).cancel)
        self._consumer.subscribe([settings.topic(PLAYLIST_REQUESTS)], listener=self)
        await self._assigned.wait()
        self._tasks = [
            asyncio.create_task(self._guard(loop()))
            for loop in (self._answer_requests, self._follow_tracks, self._watch_index, self._commit_now_and_then)
        ]

    async def stop(self) -> None:
        """Answer what was taken, commit, leave."""
        self._stopping = True
        if self._tasks:
            answering, *others = self._tasks
            await asyncio.wait([answering])
            for task in others:
                task.cancel()
            await asyncio.wait(others)
            await self._commit()
        await self._clients.aclose()

    async def _hear_coordinator(self) -> None:
        while True:
            hear(self._consumer)
            await asyncio.sleep(HEAR_S)

    async def _leave(self) -> None:
        leave_when_stopped(self._consumer._coordinator)
        await self._consumer.stop()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Answer nothing more until the listeners of what is assigned next are known; tell the group what was answered."""
        self._known.clear()
        self._check_name()
        await self._guard(self._commit())
        self._answered_to.clear()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Read the listeners of the assigned partitions; only then their requests are answered, though they may be fetched before."""
        await self._guard(self._read_listeners({tp.partition for tp in assigned}))

    def _check_name(self) -> None:
        """End where another worker has our name and takes our place in the group again and again."""
        if not self.settings.member or not self._assigned.is_set() or self._consumer._coordinator.member_id:
            return
        if self._namesake.suspected(self._clock_ms()):
            log.critical(
                "another serving worker has the name %r and takes the place of this one in the group, again and again: "
                "expected a name (SEGUE_MEMBER) of its own for each; ending, the other goes on",
                self.settings.member,
            )
            os._exit(REFUSED)

    async def _read_listeners(self, partitions: set[int]) -> None:
        self._replica.listeners.keep_only(partitions)
        await self._listeners.assign(LISTENERS_CHANGELOG.name, partitions)
        await self._listeners.caught_up()
        await self._events.assign(partitions, self._watermarks)
        self._answered_to.clear()  # what was in hand of partitions that went and came back
        self._known.set()
        self._assigned.set()

    def _take_watermarks(self, partition: int, watermarks: Mapping[str, int]) -> None:
        self._watermarks[partition] = watermarks.get(LISTENING_EVENTS.name, 0)
        self._replica.learnt(partition, self._watermarks[partition])
        self._events.look_again()

    async def _guard(self, loop: Any) -> None:
        try:
            await loop
        except asyncio.CancelledError:
            raise
        except Exception:  # policy: a worker that cannot answer ends; another reads the requests again
            log.exception("the serving worker failed; ending")
            os._exit(FAILED)

    async def _follow_tracks(self) -> None:
        while True:
            self._replica.tick()
            await asyncio.sleep(TICK_S)

    async def _watch_index(self) -> None:
        """Measure the index's recall now and then, and build it anew where it has fallen: by threads, which go through all vectors."""
        for seconds in itertools.count(1):
            await asyncio.sleep(1.0)
            await self._build_index(measure=seconds % RECALL_EVERY_S == 0)

    async def _build_index(self, *, measure: bool) -> None:
        index, due = self._replica.index, self._replica.index.outgrown
        if measure and not due:
            queries = self._replica.last_queries()
            due = index.recall(queries, await asyncio.to_thread(index.true_nearest, queries)) < index.recall_min
        if due:
            log.warning("building the index anew, of %d tracks", len(index))
            self._replica.take_index(await asyncio.to_thread(index.built, *index.stored()))

    async def _commit_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_EVERY_S)
            await self._commit()

    async def _commit(self) -> None:
        """Once the answers are acknowledged, tell the group how far they go."""
        answered = dict(self._answered_to)
        await self._producer.flush()
        owned = {tp: offset for tp, offset in answered.items() if tp in self._consumer.assignment()}
        if owned and owned != self._committed:
            try:
                await self._consumer.commit(owned)
                self._committed = owned
            except CommitFailedError:  # policy: a rebalance took them; to be answered twice does no harm
                log.warning("%d partitions were taken before their offsets were committed", len(owned))

    async def _answer_requests(self) -> None:
        while not self._stopping:
            fetched = await self._consumer.getmany(timeout_ms=100, max_records=200)
            patience_s = REACH_S  # of all that came together
            for tp, records in fetched.items():
                for record in records:
                    for _ in range(TURNS):
                        await asyncio.sleep(0)
                    request = request_of(record.key, record.value)
                    patience_s -= await self._reach(tp.partition, record.timestamp, request, patience_s)
                    await self._wait_until_known()
                    if self._stopping or tp not in self._consumer.assignment():
                        break  # its next owner answers; from here to the answer nothing is awaited, in which it could be taken
                    answer = self._answer(record, request)
                    await self._send(tp, record, answer)
                    self._answered_to[tp] = record.offset + 1

    async def _reach(
        self, partition: int, asked_ms: int, request: PlaylistRequest | MessageError, patience_s: float
    ) -> float:
        """Wait for the event that the request says was there before it, while there is time to answer it in full; answers for how many seconds."""
        if isinstance(request, MessageError) or request.after_event is None:
            return 0.0
        left_ms = LADDER["full"] * request.deadline_ms - (self._clock_ms() - asked_ms)
        began = time.monotonic()
        await self._events.reach(partition, request.after_event, min(patience_s, left_ms / 1e3))
        return time.monotonic() - began

    async def _wait_until_known(self) -> None:
        while not (self._known.is_set() or self._stopping):
            await asyncio.sleep(0.01)

    async def _send(self, tp: TopicPartition, record: Any, playlist: Playlist) -> None:
        topic = self.settings.topic(PLAYLISTS)
        key = None if record.key is None else record.key[:KEY_BYTES_MAX]  # what a longer one asks is refused
        sent = await self._producer.send(topic, encode(playlist), key, partition=tp.partition)
        sent.add_done_callback(self._acknowledged)
        self.answered += 1
        self.errors += playlist.error is not None

    def _acknowledged(self, sent: "asyncio.Future[Any]") -> None:
        if not sent.cancelled() and (error := sent.exception()) is not None:  # its offset must not be committed
            log.critical("Kafka did not take an answer: %r; ending, the request is answered by the next", error)
            os._exit(FAILED)

    def _answer(self, record: Any, request: PlaylistRequest | MessageError) -> Playlist:
        now_ms = self._clock_ms()
        waited_ms = max(0.0, now_ms - record.timestamp)
        if isinstance(request, MessageError):
            return refusal(record.key, record.value, str(request), int(now_ms))
        at_ms = request.at_ms if request.at_ms is not None else int(now_ms)
        try:
            playlist = self._radio.recommend(request, at_ms, lambda: waited_ms + self._clock_ms() - now_ms)
        except ColdRowsError:
            raise  # of all requests to come: this worker cannot go on
        except Exception as error:  # policy: one that we cannot answer stops no others; said, logged and counted
            log.exception("could not answer %s", request)
            reason = f"we failed to answer: {type(error).__name__}; the worker's log says more"
            return refusal(record.key, record.value, reason, int(now_ms))
        return msgspec.structs.replace(playlist, freshness_ms=float(self._listeners.age_ms(int(now_ms))))


def _now_ms() -> float:
    return time.time_ns() / 1e6


async def run(settings: Settings) -> None:
    """Run a serving worker until SIGTERM or Ctrl-C."""
    worker = ServingWorker(settings)

    async def start() -> None:
        await check_rights(settings, NAME)
        await worker.start()

    await run_until_signalled(start, worker.stop, "serving ready")
