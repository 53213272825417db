"""More of the artists that were heard last: an album or an artist's best goes on, known or not."""

from operator import itemgetter

import numpy as np

from online_models.track import Doubles, Rows
from serving.candidates.channel import NOTHING, best
from serving.slate import Query

HEARD, FADES, ARTISTS = 6, 0.8, 4  # last tracks; of one against the one after it; artists


def same_artist(query: Query, limit: int) -> tuple[Rows, Doubles]:
    """Tracks of the last artists, by how lately the artist was heard, and by how popular each is."""
    table = query.replica.table
    weights = dict[int, float]()
    for lag, artist in enumerate(table.parts[query.heard[:HEARD], 1].tolist()):
        if artist:
            weights[artist] = weights.get(artist, 0.0) + FADES**lag
    if not weights:
        return NOTHING
    lately = sorted(weights.items(), key=itemgetter(1), reverse=True)[:ARTISTS]
    found = [query.replica.tops.top(artist) for artist, _ in lately]
    rows = np.concatenate(found)
    plays = np.log1p(table.decayed("popularity_14d", rows, query.at_ms))
    known = plays / max(float(plays.max(initial=0.0)), 1e-9)
    return best(rows, np.repeat([weight for _, weight in lately], [len(each) for each in found]) * (1.0 + known), limit)
