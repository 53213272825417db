"""What a listener plays again and again, and what they liked: looked up once a request, for several channels."""

from dataclasses import dataclass

import numpy as np

from online_models.listener import Listener
from online_models.recollection import NOTHING
from online_models.track import NO_ROWS, Doubles, Rows, TrackTable, forward_decay

LIKE = 2.0  # plays that a like counts for


@dataclass(frozen=True, slots=True)
class Favourites:
    """rows : int32[n]; likings : float64[n], plays less skips, decayed, and likes; last_ms : float64[n], when each was last heard."""

    rows: Rows
    likings: Doubles
    last_ms: Doubles


NO_FAVOURITES = Favourites(NO_ROWS, np.zeros(0), np.zeros(0))


def favourites_of(listener: Listener, table: TrackTable, at_ms: int) -> Favourites:
    """A listener's favourites as they stand at `at_ms`; those that the table does not know are left out."""
    ids = list(dict.fromkeys([*listener.favourites, *listener.liked]))
    if not ids:
        return NO_FAVOURITES
    memories = [listener.tracks.get(track_id, NOTHING) for track_id in ids]
    likings = np.array([memory.liking for memory in memories]) / forward_decay(at_ms, 90.0)
    likes = np.array([LIKE * (track_id in listener.liked) for track_id in ids])
    last_ms = np.array([memory.last_ms for memory in memories], np.float64)
    rows = table.indices(ids)
    known = rows > 0
    return Favourites(rows[known], (likings + likes)[known], last_ms[known])
