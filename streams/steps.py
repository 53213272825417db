"""The contract between the engine and what it runs: records in, one step out.

State of one partition number = rows + watermarks. A step is a function of that state and of the records, and is committed
as one Kafka transaction: changed rows and watermarks to the changelog, outputs to their topics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

WATERMARK = b"w"  # key of the changelog row of the watermarks
Row = tuple[bytes, bytes | None]  # of a compacted topic: key and value, None where it is deleted


class Record(msgspec.Struct, frozen=True, gc=False):
    """One consumed message. `topic` is the logical name, without the configured prefix."""

    topic: str
    offset: int
    key: bytes | None
    value: bytes | None
    at_ms: int


class Output(NamedTuple):
    """One message to produce in the step's transaction; `partition=None` is the step's own partition number."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None


@dataclass(slots=True)
class Step:
    """What one step changed.

    rows : changelog rows by key; None is a tombstone
    outputs : messages for other topics, in order
    warnings : what an operator should know, for the log
    """

    rows: dict[bytes, bytes | None] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.rows or self.outputs)


def unseen(records: Sequence[Record], watermarks: Mapping[str, int]) -> list[Record]:
    """The records that the rows have not seen, each once, whatever was delivered again.

    watermarks : by topic, the next offset that the rows have not seen
    """
    marks, fresh = dict(watermarks), list[Record]()
    for record in records:
        if record.offset >= marks.get(record.topic, 0):
            marks[record.topic] = record.offset + 1
            fresh.append(record)
    return fresh


def laid_out(step: Step, changelog: str, watermarks: Mapping[str, int]) -> list[Output]:
    """The records of a commit, in their order: rows, outputs, the watermarks after it."""
    rows = [Output(changelog, key, value) for key, value in step.rows.items()]
    return [*rows, *step.outputs, Output(changelog, WATERMARK, msgspec.msgpack.encode(dict(watermarks)))]


class Numbering:
    """Chunks of an input are numbered from 0 in each epoch, of an assignment or a seek: another number means that one was lost on the way."""

    def __init__(self) -> None:
        self._next: dict[str, tuple[object, int]] = {}

    def next(self, topic: str, epoch: object) -> tuple[int, bool]:
        """The number that the chunk which has arrived must have, and whether its epoch is new."""
        known, number = self._next.get(topic, (None, 0))
        new = known != epoch
        number = 0 if new else number
        self._next[topic] = epoch, number + 1
        return number, new


class Processor(Protocol):
    """The pure core of one partition of one worker.

    inputs : logical topics whose partition of this number is consumed, co-partitioned
    changelog : logical topic that holds the rows and the watermark row
    restores : further compacted topics whose partition of this number is read at restoring (outputs of its own)
    pace_s : the least time from a commit to the step that the next records begin, so that more arrive; what comes after a pause waits for nothing
    flush_s : seconds between flushes of the coalesced state; a clean stop flushes too
    """

    inputs: tuple[str, ...]
    changelog: str
    restores: tuple[str, ...]
    pace_s: float
    flush_s: float

    def restore(self, topic: str, rows: Sequence[Row]) -> None:
        """Take rows of `changelog` or of a topic in `restores`, in the order of the topic; never the watermark row."""

    def step(self, records: Sequence[Record], now_ms: int) -> Step:
        """Apply records. Total: a record that cannot be used becomes an output to `dead-letters`, never an exception.

        now_ms : wall clock, only used to refuse events from the future and to stamp outputs
        """

    def flush(self, now_ms: int, *, last: bool = False) -> Step:
        """Hand out the coalesced state that is due (empty where there is none); all of it where the partition is given back."""


def next_step(
    processor: Processor,
    records: Sequence[Record],
    watermarks: Mapping[str, int],
    now_ms: int,
    *,
    flush: bool,
    last: bool = False,
) -> tuple[Step, list[Record]]:
    """What is to be committed next, with the coalesced state where `flush`, all of it where it is the `last`; and the records that it has taken."""
    fresh = unseen(records, watermarks)
    step = processor.step(fresh, now_ms) if fresh else Step()
    if flush:
        flushed = processor.flush(now_ms, last=last)
        step.rows.update(flushed.rows)
        step.outputs.extend(flushed.outputs)
        step.warnings.extend(flushed.warnings)
    return step, fresh
