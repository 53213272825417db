"""What goes with the tracks that the request names; with the last that were heard where it names none that is known."""

import numpy as np

from online_models.colistening import score_followers
from online_models.row_sets import among
from online_models.track import Doubles, Rows
from serving.candidates.channel import NOTHING, best
from serving.slate import Query


def named_seeds(query: Query) -> Rows:
    """The known ones among the tracks that the request names, int32[n]."""
    rows = query.replica.table.indices(query.request.seed_tracks)
    return rows[rows > 0]


def seeds(query: Query, limit: int) -> tuple[Rows, Doubles]:
    """Followers of the seeds, and the tracks nearest to them by the two-tower model."""
    table, rows = query.replica.table, named_seeds(query)
    if not len(rows):
        rows = query.heard[:3]
    if not len(rows):
        return NOTHING
    followed, scores = best(*score_followers(table, rows, lag_decay=1.0), limit // 2)
    vector = query.replica.tower.listener_vectors(rows[None, :])[0]
    near, products = query.replica.search(vector, limit // 2)
    shares = np.exp(products - products.max(initial=-np.inf))
    scores = scores / scores.max() if len(scores) else scores
    fresh = ~among(near, followed)
    return np.concatenate([followed, near[fresh]]).astype(np.int32), np.concatenate([scores, 0.5 * shares[fresh]])
