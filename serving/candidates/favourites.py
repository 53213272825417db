"""What the listener plays again and again, and what they liked."""

import numpy as np

from online_models.listener import Listener
from online_models.track import DAY_MS, Doubles, Rows, forward_decay
from serving.candidates.channel import NOTHING, best
from serving.slate import Query

LIKED = 2.0  # plays that a like counts for
TRACKS_MAX = 2000  # of the newest looked at


def favourite_tracks(listener: Listener, at_ms: int) -> tuple[list[str], Doubles]:
    """Tracks and how much the listener likes them now: plays heard out, decayed over 90 days, less skips, and likes."""
    ids = list(dict.fromkeys([*listener.heard[-TRACKS_MAX:], *listener.liked]))
    memories = [listener.tracks.get(track_id) for track_id in ids]
    plays = np.array(
        [0.0 if memory is None else memory.plays - 1.5 * memory.skips for memory in memories]
    ) / forward_decay(at_ms, 90.0)
    liked = np.array([LIKED * (track_id in listener.liked) for track_id in ids])
    return ids, plays + liked


def favourites(query: Query, limit: int) -> tuple[Rows, Doubles]:
    """The favourites; what was heard in the last ten minutes waits."""
    ids, scores = favourite_tracks(query.listener, query.at_ms)
    if not ids:
        return NOTHING
    last = [memory.last_ms if (memory := query.listener.tracks.get(track_id)) else 0 for track_id in ids]
    rested = np.minimum((query.at_ms - np.array(last)) / (DAY_MS / 144.0), 1.0)
    scores = scores * np.maximum(rested, 0.0)
    rows = query.replica.table.indices(ids)
    known = (rows > 0) & (scores > 0)
    return best(rows[known], scores[known], limit)
