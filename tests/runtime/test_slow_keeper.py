"""A keeper that stands still slows nobody: learners go on, and hold a bounded part of what it has not taken."""

from typing import Any, cast

import pytest
from faust.types.tuples import TP

from online_models.track import TrackTable
from online_models.two_tower import TwoTower
from streams.deltas import TrackReplica
from streams.messages import encode
from streams.outstanding import Outstanding
from streams.processor import LearnerProcessor
from streams.runtime.partition import Partition
from streams.runtime.transport import Chunk
from streams.topics import LISTENING_EVENTS, TRACK_DELTAS
from tests.builders import DIMS, NOW_MS, event
from tests.runtime.fakes import Group, MemoryStore, Rec, until

INPUT = TP("p-" + LISTENING_EVENTS.name, 3)
BYTES_MAX = 50_000


async def test_a_learner_commits_though_no_keeper_takes_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    replica = TrackReplica(TrackTable(dims=DIMS), 2, outstanding_bytes_max=BYTES_MAX)
    store, group = MemoryStore(), Group()
    processor = LearnerProcessor(3, replica, TwoTower(replica.table, uniform=4), flush_s=0.0)
    processor.pace_s = 0.0
    cast(Any, store).processor = processor
    looked = list[int]()
    monkeypatch.setattr(Outstanding, "of", lambda self, keeper, taken: looked.append(keeper) or iter(()))
    partition = Partition(cast(Any, store), cast(Any, group))
    for number in range(60):
        heard = [encode(event("ann", f"t{n % 9}", at_ms=NOW_MS, event_id=f"e{number}-{n}")) for n in range(20)]
        records = [Rec(20 * number + n, b"ann", value) for n, value in enumerate(heard)]
        await partition.put(INPUT, Chunk((1, 0), number, records))
        await until(lambda: partition.records == 20 * number + 20)  # noqa: B023
    await partition.close()
    deltas = [each for step, _ in store.commits for each in step.outputs if each.topic == TRACK_DELTAS.name]

    assert processor.meta.events == 1200
    assert {each.partition for each in deltas} == {0, 1}
    assert sum(len(each.value or b"") for each in deltas) > 2 * BYTES_MAX
    assert replica._outstanding.bytes <= BYTES_MAX
    assert group.held == set()
    assert looked == []  # no commit looks at what is outstanding, however much it is
