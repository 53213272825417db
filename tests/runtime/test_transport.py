"""Chunks as the fetcher gets them: none of a log that was made anew is dropped on the way to who decides."""

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

from faust.types.tuples import TP

from streams.runtime.transport import ChunkConsumer
from tests.runtime.fakes import Rec

EVENTS = TP("p-events", 0)


class Fetching(ChunkConsumer):
    """Faust's consumer as far as `getmany` looks at it. fetched : what the thread hands out next"""

    should_stop = False

    def __init__(self, read_offset: int, fetched: list[int]) -> None:
        self.app: Any = SimpleNamespace(consumer_generation_id=1)
        self.flow_active = True
        self._read_offset = defaultdict(lambda: None, {EVENTS: read_offset})
        self._numbers, self._seeks, self._buffered_partitions = {}, 1, set()
        self._fetched = [
            SimpleNamespace(topic=EVENTS.topic, partition=0, timestamp_type=0, **_fields(n)) for n in fetched
        ]

    async def _wait_next_records(self, timeout: float) -> Any:
        return {EVENTS: self._fetched}, None


def _fields(offset: int) -> dict[str, Any]:
    return {"offset": offset, "timestamp": 0} | {"key": Rec(offset).key, "value": Rec(offset).value}


async def read(consumer: ChunkConsumer) -> tuple[list[int], int | None]:
    """Offsets that are handed out, and where Faust would drop what is before it."""
    chunks = [message.value async for _, message in consumer.getmany(1.0)]
    return [record.offset for chunk in chunks for record in chunk.records], consumer._read_offset[EVENTS]


async def test_what_lies_before_what_was_read_is_not_for_faust_to_drop() -> None:
    assert await read(Fetching(10, [0, 1, 2])) == ([0, 1, 2], None)


async def test_what_comes_next_leaves_faust_where_it_is() -> None:
    assert await read(Fetching(10, [11, 12])) == ([11, 12], 10)
    assert await read(Fetching(10, [10, 11])) == ([10, 11], 10)  # of a seek: the first that is to be read
