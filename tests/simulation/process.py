"""The engine in miniature: one process owns partition numbers, and applies and commits what it reads as `streams/runtime` does."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import msgspec

from online_models.track import TrackTable
from online_models.two_tower import TwoTower
from streams.deltas import TrackReplica
from streams.keeper import KeeperProcessor
from streams.processor import LearnerProcessor
from streams.steps import Record, Step, unseen
from streams.topics import TRACKS_CHANGELOG
from tests.simulation.log import Log

Kind = Literal["learner", "keeper"]
Sabotage = Literal["", "watermark", "watermark-first", "transaction", "restore"]
WATERMARK = b"w"
DIMS = 4
NOW_MS = 1_760_000_000_000
INPUTS: dict[Kind, tuple[str, ...]] = {"learner": LearnerProcessor.inputs, "keeper": KeeperProcessor.inputs}


class CrashError(Exception):
    """The process ends where it stands."""


class Owner:
    """One partition number, opened by one process.

    hints : the group's offsets by topic, where reading begins
    """

    def __init__(
        self,
        log: Log,
        kind: Kind,
        processor: LearnerProcessor | KeeperProcessor,
        hints: dict[str, int],
        break_: Sabotage,
    ) -> None:
        self.log, self.kind, self.processor, self.sabotage = log, kind, processor, break_
        self.number = processor.partition
        self.watermarks: dict[str, int] = {}
        self._producer = log.producer(f"{kind}-{self.number}")
        for topic in (processor.changelog, *processor.restores):
            self._restore(topic)
        self.positions = {topic: hints.get(topic, 0) for topic in processor.inputs}

    def _restore(self, topic: str) -> None:
        for record in self.log.all(topic, self.number):
            assert record.key is not None
            if topic == self.processor.changelog and record.key == WATERMARK:
                self.watermarks = msgspec.msgpack.decode(record.value or b"", type=dict[str, int])
            elif self.sabotage != "restore":
                self.processor.restore(topic, record.key, record.value)

    def waits(self) -> bool:
        """Whether there are records that the rows have not seen."""
        marks, read = self.watermarks, self.log.read
        return any(read(topic, self.number, marks.get(topic, 0), 1)[0] for topic in self.processor.inputs)

    def step(self, limit: int, *, flush: bool = False, crash_at: float | None = None) -> int:
        """Read up to `limit` records of each input, apply, commit; answers how many were new.

        crash_at : share of the commit's moves after which the process ends, None for never
        """
        fresh = list[Record]()
        for topic in self.processor.inputs:
            records, self.positions[topic] = self.log.read(topic, self.number, self.positions[topic], limit)
            fresh += records if self.sabotage == "watermark" else unseen(records, self.watermarks)
        step = self.processor.step(fresh, NOW_MS) if fresh else Step()
        if flush:
            flushed = self.processor.flush(NOW_MS)
            step.rows.update(flushed.rows)
            step.outputs.extend(flushed.outputs)
        if fresh or step:
            self._commit(step, self.watermarks | {record.topic: record.offset + 1 for record in fresh}, crash_at)
        return len(fresh)

    def _commit(self, step: Step, marks: dict[str, int], crash_at: float | None) -> None:
        send = self.log.append if self.sabotage == "transaction" else self._producer.send
        changelog, number = self.processor.changelog, self.number
        moves: list[Callable[[], None]] = [
            partial(send, changelog, number, key, value) for key, value in step.rows.items()
        ]
        for output in step.outputs:
            to = number if output.partition is None else output.partition
            moves.append(partial(send, output.topic, to, output.key, output.value))
        watermark = changelog, number, WATERMARK, msgspec.msgpack.encode(marks)
        moves.append(partial(send, *watermark))
        if self.sabotage == "watermark-first":
            moves = [partial(self.log.append, *watermark), *moves[:-1]]
        moves.append(self._producer.commit)
        last = len(moves) + 1 if crash_at is None else int(crash_at * (len(moves) + 1))
        for made, move in enumerate(moves):
            if made == last:
                raise CrashError
            move()
        if last == len(moves):
            raise CrashError  # committed, and nobody here knows
        self.watermarks = marks


class Process:
    """A learner or a keeper process. A learner's partitions share the track replica, which follows `tracks-changelog`."""

    def __init__(self, log: Log, kind: Kind, name: str, keepers: int, sabotage: Sabotage = "") -> None:
        self.log, self.kind, self.name, self.sabotage = log, kind, name, sabotage
        self.owners: dict[int, Owner] = {}
        self.replica = TrackReplica(TrackTable(dims=DIMS), keepers)
        self.tower = TwoTower(self.replica.table, uniform=8)
        self.followed = dict.fromkeys(range(keepers), 0) if kind == "learner" else {}
        for keeper in self.followed:
            self.follow(keeper, 1 << 60)

    def follow(self, keeper: int, limit: int) -> int:
        """Take up to `limit` rows of a keeper partition; answers how many there were."""
        records, self.followed[keeper] = self.log.read(TRACKS_CHANGELOG.name, keeper, self.followed[keeper], limit)
        self.replica.apply(keeper, [(record.key or b"", record.value) for record in records])
        return len(records)

    def open(self, number: int, hints: dict[str, int]) -> None:
        """Own a partition number from now on."""
        processor: LearnerProcessor | KeeperProcessor
        if self.kind == "learner":
            processor = LearnerProcessor(number, self.replica, self.tower)
            processor.lesson.tower_batch = 12  # so that vectors are learnt in steps too, and flushed by any partition
        else:
            processor = KeeperProcessor(number, TrackTable(dims=DIMS))
        self.owners[number] = Owner(self.log, self.kind, processor, hints, self.sabotage)
