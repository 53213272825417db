"""More of the artists that were heard last: an album or an artist's best goes on, known or not."""

import numpy as np

from online_models.track import Doubles, Rows
from serving.candidates.channel import NOTHING, best
from serving.slate import Query

HEARD, FADES, ARTISTS = 6, 0.8, 4  # last tracks; of one against the one after it; artists


def same_artist(query: Query, limit: int) -> tuple[Rows, Doubles]:
    """Tracks of the last artists, by how lately the artist was heard, and by how popular each is among that artist's."""
    table = query.replica.table
    weights = dict[int, float]()
    for lag, artist in enumerate(table.parts[query.heard[:HEARD], 1].tolist()):
        if artist:
            weights[artist] = weights.get(artist, 0.0) + FADES**lag
    found, scores = [np.zeros(0, np.int32)], [np.zeros(0)]
    for artist, weight in sorted(weights.items(), key=lambda entry: -entry[1])[:ARTISTS]:
        rows = query.replica.tops.top(artist)
        if len(rows):
            plays = np.log1p(table.decayed("popularity_14d", rows, query.at_ms))
            found.append(rows)
            scores.append(weight * (0.5 + plays / max(2.0 * float(plays.max()), 1e-9)))
    rows = np.concatenate(found)
    return best(rows, np.concatenate(scores), limit) if len(rows) else NOTHING
