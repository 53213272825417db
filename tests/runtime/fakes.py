"""Kafka as far as the runtimes look at it, in memory, moved by the test."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError

from streams.runtime.settings import Settings
from streams.steps import Record, Row, Step

SETTINGS = Settings(bootstrap="nowhere:9", prefix="p-")
DEADLINE_S = 2.0


class Ended(Exception):  # noqa: N818
    """What `os._exit` raises here."""


class Rec(NamedTuple):
    """A record as aiokafka hands it out."""

    offset: int
    key: bytes | None = b"key"
    value: bytes | None = b"value"
    timestamp: int = 0


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds; fails after a deadline."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.001)


async def turns(n: int = 50) -> None:
    """Let everybody else run, n times."""
    for _ in range(n):
        await asyncio.sleep(0)


def going_on() -> tuple[SimpleNamespace, SimpleNamespace]:
    """aiokafka's client and fetcher, whose tasks go on."""
    new = asyncio.get_event_loop().create_future
    return SimpleNamespace(_sync_task=new()), SimpleNamespace(_fetch_task=new())


class Reader:
    """A consumer without a group.

    logs : records by partition; shown : how many of them a fetch may see, all where it is not said
    ends_known : until it is set, nobody learns where a partition ends
    """

    def __init__(self, logs: Mapping[TopicPartition, list[Rec]]) -> None:
        self.logs, self.shown = logs, dict[TopicPartition, int]()
        self.polls, self.stopped = 0, False
        self.ends_known = asyncio.Event()
        self.ends_known.set()
        self.stable: dict[TopicPartition, int | None] = {}
        self._positions: dict[TopicPartition, int | None] = {}
        self._client, self._fetcher = going_on()

    async def start(self) -> None: ...

    async def stop(self) -> None:
        self.stopped = True

    def assign(self, tps: Sequence[TopicPartition]) -> None:
        self._positions = dict.fromkeys(sorted(tps))  # so that fetches come in one order
        self.stable = {}

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self._positions)

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._look_up(tp)
        self._positions[tp] = offset

    async def seek_to_beginning(self, *tps: TopicPartition) -> None:
        await asyncio.sleep(0)
        for tp in tps:
            self.seek(tp, 0)

    async def position(self, tp: TopicPartition) -> int:
        while (position := self._look_up(tp)) is None:
            await asyncio.sleep(0)
        return position

    async def end_offsets(self, tps: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        ends = {tp: len(self.logs[tp]) for tp in tps}
        await self.ends_known.wait()
        return ends

    def last_stable_offset(self, tp: TopicPartition) -> int | None:
        self._look_up(tp)
        return self.stable.get(tp)

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Rec]]:
        self.polls += 1
        await asyncio.sleep(0)
        fetched = {}
        for tp, position in self._positions.items():
            if position is not None:
                self.stable[tp] = len(self.logs[tp])
                fetched[tp] = self.logs[tp][position : self.shown.get(tp)][:max_records]
                self._positions[tp] = position + len(fetched[tp])
        return {tp: records for tp, records in fetched.items() if records}

    def _look_up(self, tp: TopicPartition) -> int | None:
        if tp not in self._positions:
            raise IllegalStateError(f"Partition {tp} is not assigned")
        return self._positions[tp]


class Counting:
    """A processor that keeps what it was given; a flush hands out how many records came since the last."""

    inputs: tuple[str, ...] = ("events", "profiles")
    changelog, restores = "rows", ("more",)
    pace_s, flush_s = 0.0, 3600.0

    def __init__(self) -> None:
        self.seen: list[Record] = []
        self.restored: list[tuple[str, bytes, bytes | None]] = []
        self.error: Exception | None = None
        self._unflushed = 0
        self.lasts = list[bool]()  # of each flush, whether it was to hand out all

    def offsets(self, topic: str = "events") -> list[int]:
        """The offsets of a topic that were applied, in their order."""
        return [record.offset for record in self.seen if record.topic == topic]

    def restore(self, topic: str, rows: Sequence[Row]) -> None:
        self.restored += [(topic, *row) for row in rows]

    def step(self, records: Sequence[Record], now_ms: int) -> Step:
        if self.error is not None:
            raise self.error
        self.seen.extend(records)
        self._unflushed += len(records)
        return Step({b"all": str(len(self.seen)).encode()})

    def flush(self, now_ms: int, *, last: bool = False) -> Step:
        step = Step({b"unflushed": str(self._unflushed).encode()}) if self._unflushed else Step()
        self._unflushed = 0
        self.lasts.append(last)
        return step


class MemoryStore:
    """A store whose commits are kept; `may_open` and `may_commit` hold it up."""

    settings, name, partition = SETTINGS, "test", 3
    restored_rows, restore_s = 0, 0.0

    def __init__(self, watermarks: Mapping[str, int] | None = None) -> None:
        self.processor = Counting()
        self.watermarks = dict(watermarks or {})
        self.commits: list[tuple[Step, Mapping[str, int]]] = []
        self.error: Exception | None = None
        self.closed = False
        self.may_open, self.may_commit = asyncio.Event(), asyncio.Event()
        self.may_open.set()
        self.may_commit.set()

    async def open(self) -> None:
        await self.may_open.wait()

    async def commit(self, step: Step, watermarks: Mapping[str, int]) -> None:
        await self.may_commit.wait()
        if self.error is not None:
            raise self.error
        self.commits.append((step, dict(watermarks)))
        self.watermarks = {**self.watermarks, **watermarks}

    async def check_owner(self) -> None:
        if self.error is not None:
            raise self.error

    async def close(self) -> None:
        self.closed = True


class Group:
    """What a partition asks of Faust's consumer. began : where the group's offsets were; first, end : where the logs begin and end."""

    def __init__(self) -> None:
        self.watermarks: dict[Any, int] = {}
        self.began: dict[Any, int] = {}
        self.first: dict[Any, int] = {}
        self.end: dict[Any, int] = {}
        self.asked = 0
        self.held: set[Any] = set()
        self.answers = asyncio.Event()
        self.answers.set()

    def hold(self, tps: Iterable[Any]) -> None:
        self.held |= set(tps)

    def let(self, tps: Iterable[Any]) -> None:
        self.held -= set(tps)

    async def highwaters(self, *tps: Any) -> dict[Any, int]:
        return {tp: self.end.get(tp, 1 << 40) for tp in tps}

    async def earliest_offsets(self, *tps: Any) -> dict[Any, int]:
        self.asked += 1
        await self.answers.wait()
        return {tp: self.first.get(tp, 0) for tp in tps}


class RequestConsumer:
    """A consumer in a group that hands out what the test puts into `fetches`."""

    def __init__(self, assigned: Iterable[TopicPartition]) -> None:
        self.assigned, self.fetches = set(assigned), list[dict[TopicPartition, list[Rec]]]()
        self.polls, self.stopped = 0, False
        self.commits: list[dict[TopicPartition, int]] = []
        self.error: Exception | None = None
        self._coordinator = SimpleNamespace(
            _group_instance_id="serving-1", member_id="serving-1-a", _maybe_leave_group=self._leave
        )

    @property
    def leaves(self) -> bool:
        return self._coordinator._group_instance_id is None

    def assignment(self) -> set[TopicPartition]:
        return set(self.assigned)

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Rec]]:
        await asyncio.sleep(0)
        self.polls += 1
        return self.fetches.pop(0) if self.fetches else {}

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        if self.error is not None:
            raise self.error
        self.commits.append(dict(offsets))

    async def stop(self) -> None:
        await self._coordinator._maybe_leave_group()
        self.stopped = True

    async def _leave(self) -> None:
        pass


class Producer:
    """Takes answers; `flush` waits for `may_flush`. `taking` is called with each partition number before it is taken."""

    def __init__(self) -> None:
        self.sent: dict[int, list[bytes]] = defaultdict(list)
        self.pending: list[asyncio.Future[None]] = []
        self.flushing, self.stopped = 0, False
        self.may_flush = asyncio.Event()
        self.may_flush.set()
        self.taking: Callable[[int], Any] | None = None

    async def send(self, topic: str, value: bytes, key: bytes, *, partition: int) -> "asyncio.Future[None]":
        if self.taking is not None:
            await self.taking(partition)
        self.sent[partition].append(key)
        self.pending.append(asyncio.get_running_loop().create_future())
        return self.pending[-1]

    async def flush(self) -> None:
        self.flushing += 1
        await self.may_flush.wait()
        for each in self.pending:
            if not each.done():
                each.set_result(None)

    async def stop(self) -> None:
        self.stopped = True


class Listeners:
    """A follower of listeners' rows that has caught up when the test says so."""

    def __init__(self) -> None:
        self.assigned: list[set[int]] = []
        self.known = asyncio.Event()
        self.known.set()
        self.stopped = False

    async def assign(self, topic: str, partitions: Collection[int]) -> None:
        self.assigned.append(set(partitions))

    async def caught_up(self) -> None:
        await self.known.wait()

    def age_ms(self, now_ms: int) -> int:
        return 0

    async def stop(self) -> None:
        self.stopped = True


class Events:
    """A reader of events; assigned : with the watermarks that were known then; `waiting` is called where somebody waits, `waits` is for what and how long."""

    def __init__(self) -> None:
        self.assigned: list[tuple[set[int], dict[int, int]]] = []
        self.waits: list[tuple[int, int, float]] = []
        self.waiting: Callable[[], Any] | None = None

    def look_again(self) -> None:
        pass

    async def reach(self, partition: int, offset: int, within_s: float) -> None:
        self.waits.append((partition, offset, within_s))
        if self.waiting is not None:
            await self.waiting()

    async def assign(self, partitions: Collection[int], watermarks: Mapping[int, int]) -> None:
        self.assigned.append((set(partitions), dict(watermarks)))
