"""Serving workers that have read the same hold the same: as each other, and as one that comes new and reads the compacted topics."""

from collections.abc import Sequence

import numpy as np

from online_models.initial import initial_vector
from online_models.listeners import Listeners
from online_models.track import NEIGHBOURS, Floats, TrackTable
from serving.replica import Replica
from tests.simulation.log import Log
from tests.simulation.serving import Serving
from tests.simulation.workload import KEEPERS, LEARNERS


def unequal_replicas(log: Log, serving: Sequence[Serving]) -> list[str]:
    """What living workers hold otherwise than a fresh one, at the same offsets."""
    fresh = Serving(log, LEARNERS, KEEPERS)
    fresh.follow_all()
    wrong = list[str]()
    for number, each in enumerate(serving):
        assert each.followed == fresh.followed, "both have read everything"
        wrong += [f"serving {number} holds {len(each.replica.pending)} pending events"] * bool(each.replica.pending)
        wrong += [f"serving {number} holds other {what}" for what in _unequal(each.replica, fresh.replica)]
    return wrong


def _unequal(mine: Replica, theirs: Replica) -> list[str]:
    wrong = ["weights"] if mine.ranker.blocks != theirs.ranker.blocks else list[str]()
    if not np.array_equal(mine.ranker.weights()[0], theirs.ranker.weights()[0]):
        wrong.append("sums of weights")
    for number, there in theirs.listeners.partitions.items():
        here = mine.listeners.partitions[number]
        if here.rows != there.rows:
            wrong.append(f"rows of listeners {number}")
        wrong += [f"memories of {user}" for user in there.users() if _mind(here, user) != _mind(there, user)]
    return wrong + _unequal_tracks(mine.table, theirs.table)


def _mind(listeners: Listeners, user_id: str) -> tuple[object, ...]:
    one = listeners.get(user_id)
    plays = {track_id: (memory.count, memory.plays) for track_id, memory in one.tracks.items()}
    return one.counts, one.history, one.heard, plays, one.liked, one.blocked, one.offered, one.profile, list(one.marks)


def _unequal_tracks(mine: TrackTable, theirs: TrackTable) -> list[str]:
    keys = sorted({*mine.keys, *theirs.keys} - {""})
    here, there = mine.rows_of(keys), theirs.rows_of(keys)
    same = (mine.listed[here] == theirs.listed[there]) & (mine.counts[here] == theirs.counts[there]).all(1)
    same &= (_vectors(mine, keys) == _vectors(theirs, keys)).all(1)
    pairs = [
        mine.encode_row(NEIGHBOURS, one)[1] == theirs.encode_row(NEIGHBOURS, other)[1]
        for one, other in zip(here.tolist(), there.tolist(), strict=True)
    ]
    return [f"row of {key}" for key, alike in zip(keys, (same & pairs).tolist(), strict=True) if not alike]


def _vectors(table: TrackTable, keys: list[str]) -> Floats:
    """float32[n, width]; of what is not known as it begins: a reader who comes late never hears of a removed track that nobody heard."""
    vectors = [table.vectors[row] if (row := table.index(key)) else initial_vector(key, table.dims) for key in keys]
    return np.array(vectors, np.float32)
