"""The engine in miniature: one process owns partition numbers, and applies and commits what it reads as `streams/runtime` does.

What the next step is, how its records are laid out and how chunks are numbered is the engine's own code (`streams.steps`).
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import msgspec
import numpy as np

from online_models.listeners import Listeners
from online_models.track import TrackTable
from online_models.two_tower import TwoTower
from streams.deltas import TrackReplica
from streams.keeper import KeeperProcessor
from streams.processor import LearnerProcessor
from streams.steps import WATERMARK, Numbering, Record, Step, laid_out, next_step
from streams.topics import TRACKS_CHANGELOG
from tests.simulation.log import Log

Kind = Literal["learner", "keeper"]
Sabotage = Literal["", "watermark", "watermark-first", "transaction", "restore", "numbering"]
Trouble = tuple[float, Callable[[], None]]  # after which share of the commit's moves something happens
DIMS = 4
NOW_MS = 1_760_000_000_000
FLUSH_STEPS = 8  # a flush interval: more steps are not made between two flushes
OUTSTANDING_MAX, EVENTS_MAX = 40, 110
BOUNDS = {"history_max": 64, "marks_max": 24, "likes_max": 4, "offers_max": 3}  # of each listener
INPUTS: dict[Kind, tuple[str, ...]] = {"learner": LearnerProcessor.inputs, "keeper": KeeperProcessor.inputs}


class CrashError(Exception):
    """The process ends where it stands."""


class Owner:
    """One partition number, opened by one process.

    hints : the group's offsets by topic, where reading begins
    skew_ms : of the process' clock
    since_flush : steps since the last flush; flushed : examples that the ranker's blocks in the log hold
    """

    def __init__(
        self,
        log: Log,
        kind: Kind,
        processor: LearnerProcessor | KeeperProcessor,
        hints: dict[str, int],
        break_: Sabotage,
        skew_ms: int = 0,
    ) -> None:
        self.log, self.kind, self.processor, self.sabotage = log, kind, processor, break_
        self.number, self.now_ms = processor.partition, NOW_MS + skew_ms
        self.watermarks: dict[str, int] = {}
        self.transactional_id = f"{kind}-{self.number}"
        self.producer = log.producer(self.transactional_id)
        for topic in (processor.changelog, *processor.restores):
            self._restore(topic)
        self.positions = {topic: hints.get(topic, 0) for topic in processor.inputs}
        self.since_flush, self.flushed = 0, self.examples()
        self._numbering = Numbering()
        self._chunks = dict.fromkeys(processor.inputs, (0, 0))  # epoch, number of the next chunk

    def _restore(self, topic: str) -> None:
        rows = [(record.key or b"", record.value) for record in self.log.all(topic, self.number)]
        if topic == self.processor.changelog:
            for _, value in (row for row in rows if row[0] == WATERMARK):
                self.watermarks = msgspec.msgpack.decode(value or b"", type=dict[str, int])
        if self.sabotage != "restore":
            self.processor.restore(topic, [row for row in rows if row[0] != WATERMARK])

    def examples(self) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
        """What the ranker has seen, by objective."""
        return self.processor.ranker.examples.copy() if isinstance(self.processor, LearnerProcessor) else np.zeros(0)

    def rank(self) -> None:
        """Learn the examples that wait for others."""
        if isinstance(self.processor, LearnerProcessor):
            self.processor.lesson.rank()

    def waits(self) -> bool:
        """Whether there are records that the rows have not seen."""
        marks, read = self.watermarks, self.log.read
        return any(read(topic, self.number, marks.get(topic, 0), 1)[0] for topic in self.processor.inputs)

    def lag(self) -> int:
        """How many records the rows have not seen."""
        marks, read = self.watermarks, self.log.read
        return sum(len(read(topic, self.number, marks.get(topic, 0), 1 << 60)[0]) for topic in self.processor.inputs)

    def seek(self, topic: str, offset: int) -> None:
        """Deliver again, or go on, from an offset: a new epoch."""
        self.positions[topic] = offset
        self._chunks[topic] = self._chunks[topic][0] + 1, 0

    def stalled(self) -> list[str]:
        """Inputs whose delivery has passed what the rows have not seen, and has nothing more to deliver."""
        read, marks = self.log.read, self.watermarks
        return [
            topic
            for topic, position in self.positions.items()
            if position > marks.get(topic, 0)
            and not read(topic, self.number, position, 1)[0]
            and read(topic, self.number, marks.get(topic, 0), 1)[0]
        ]

    def fetch(self, topic: str, limit: int) -> list[Record]:
        """The next chunk, checked as it is on arrival."""
        records, self.positions[topic] = self.log.read(topic, self.number, self.positions[topic], limit)
        if not records:
            return []
        epoch, number = self._chunks[topic]
        self._chunks[topic] = epoch, number + 1
        expected, _ = self._numbering.next(topic, epoch)
        if number != expected and self.sabotage != "numbering":
            raise CrashError("a chunk was lost on the way")
        return records

    def lose(self, topic: str, limit: int) -> bool:
        """The next chunk is fetched and never arrives; answers whether there was one."""
        records, self.positions[topic] = self.log.read(topic, self.number, self.positions[topic], limit)
        if records:
            epoch, number = self._chunks[topic]
            self._chunks[topic] = epoch, number + 1
        return bool(records)

    def step(self, limit: int, *, flush: bool = False, last: bool = False, trouble: Trouble | None = None) -> int:
        """Read up to `limit` records of each input, apply, commit; answers how many were new."""
        records = [record for topic in self.processor.inputs for record in self.fetch(topic, limit)]
        flush |= last or self.since_flush == FLUSH_STEPS - 1
        marks = {} if self.sabotage == "watermark" else self.watermarks
        step, fresh = next_step(self.processor, records, marks, self.now_ms, flush=flush, last=last)
        self.since_flush += bool(fresh)
        if fresh or step:
            self._commit(step, self.watermarks | {record.topic: record.offset + 1 for record in fresh}, trouble)
        if flush:
            self.since_flush, self.flushed = 0, self.examples()
        return len(fresh)

    def _commit(self, step: Step, marks: dict[str, int], trouble: Trouble | None) -> None:
        send = self.log.append if self.sabotage == "transaction" else self.producer.send
        moves: list[Callable[[], None]] = [
            partial(send, topic, self.number if to is None else to, key, value)
            for topic, key, value, to in laid_out(step, self.processor.changelog, marks)
        ]
        if self.sabotage == "watermark-first":
            last = laid_out(step, self.processor.changelog, marks)[-1]
            moves = [partial(self.log.append, last.topic, self.number, last.key, last.value), *moves[:-1]]
        moves.append(self.producer.commit)
        at = -1 if trouble is None else int(trouble[0] * (len(moves) + 1))
        for made, move in enumerate([*moves, lambda: None]):
            if trouble is not None and made == at:
                trouble[1]()
            move()
        self.watermarks = marks


class Process:
    """A learner or a keeper process. A learner's partitions share the track replica, which follows `tracks-changelog`."""

    def __init__(
        self, log: Log, kind: Kind, name: str, keepers: int, sabotage: Sabotage = "", *, skew_ms: int = 0
    ) -> None:
        self.log, self.kind, self.name, self.sabotage, self.skew_ms = log, kind, name, sabotage, skew_ms
        self.owners: dict[int, Owner] = {}
        self.replica = TrackReplica(TrackTable(dims=DIMS), keepers, outstanding_max=OUTSTANDING_MAX)
        self.replica.learnt.rows_max = 6  # so that some of what is learnt waits
        self.tower = TwoTower(self.replica.table, uniform=8)
        self.followed = dict.fromkeys(range(keepers), 0) if kind == "learner" else {}
        for keeper in self.followed:
            self.follow(keeper, 1 << 60)

    def follow(self, keeper: int, limit: int) -> int:
        """Take up to `limit` rows of a keeper partition; answers how many there were."""
        records, self.followed[keeper] = self.log.read(TRACKS_CHANGELOG.name, keeper, self.followed[keeper], limit)
        self.replica.apply(keeper, [(each.key or b"", each.value) for each in records if each.key != WATERMARK])
        return len(records)

    def open(self, number: int, hints: dict[str, int]) -> None:
        """Own a partition number from now on."""
        processor: LearnerProcessor | KeeperProcessor
        if self.kind == "learner":
            listeners = Listeners(events_max=EVENTS_MAX, **BOUNDS)
            processor = LearnerProcessor(number, self.replica, self.tower, listeners=listeners, rank_batch=5)
            processor.lesson.tower_batch = 20  # so that vectors are learnt in steps too, and flushed by any partition
        else:
            processor = KeeperProcessor(number, TrackTable(dims=DIMS))
        self.owners[number] = Owner(self.log, self.kind, processor, hints, self.sabotage, self.skew_ms)
