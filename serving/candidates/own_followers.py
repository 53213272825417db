"""What this listener heard after what they heard last, each time before: habits, albums, playlists of their own."""

import numpy as np

from online_models.track import Doubles, Rows
from serving.candidates.channel import NOTHING, best
from serving.slate import Query

SEEDS, REACH, PLACES = 6, 6, 32  # last tracks; plays after each; earlier times looked at, newest first
DECAY = 0.8


def own_followers(query: Query, limit: int) -> tuple[Rows, Doubles]:
    """Each time that one of the last tracks was heard before gives what followed it DECAY ** (plays between), on both sides."""
    listener = query.listener
    heard, scores = listener.heard, dict[str, float]()
    end = len(heard)
    for lag in range(min(SEEDS, end)):
        now = end - 1 - lag
        for place in listener.tracks[heard[now]].places[-PLACES:]:
            if place >= now:
                break
            for distance, track_id in enumerate(heard[place + 1 : place + 1 + REACH]):
                scores[track_id] = scores.get(track_id, 0.0) + DECAY ** (lag + distance)
    if not scores:
        return NOTHING
    rows = query.replica.table.indices(list(scores))
    values = np.fromiter(scores.values(), np.float64)
    known = rows > 0
    return best(rows[known], values[known], limit)
