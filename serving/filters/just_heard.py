"""Tracks heard or skipped too short a time ago for the surface."""

import numpy as np
from numpy.typing import NDArray

from online_models.row_sets import among
from serving.slate import Candidates, Query


def just_heard(query: Query, candidates: Candidates) -> NDArray[np.bool_]:
    """Keep what was not heard within the surface's `heard_within_ms`."""
    within_ms = query.surface.heard_within_ms
    if not within_ms:
        return np.ones(len(candidates), np.bool_)
    since_ms = query.at_ms - within_ms
    tracks = query.listener.tracks
    if len(tracks) < len(candidates):
        heard = [track_id for track_id, memory in tracks.items() if memory.last_ms > since_ms]
        return ~among(candidates.rows, query.replica.table.indices(heard))
    keys = query.replica.table.keys
    memories = [tracks.get(keys[row][2:]) for row in candidates.rows.tolist()]
    return np.array([memory is None or memory.last_ms <= since_ms for memory in memories], np.bool_)
