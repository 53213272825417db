"""New tracks: what few have heard yet, nearest to the listener by artist and tags, those first that were liked when offered."""

import numpy as np

from online_models.bandits.thompson import Thompson
from online_models.track import Doubles, Rows
from serving.candidates.channel import NOTHING, best
from serving.slate import Query

POOL_MAX = 2000


def fresh(query: Query, limit: int) -> tuple[Rows, Doubles]:
    """The chance of a success by the bandit's posterior, times how near the track is."""
    table, pool = query.replica.table, query.replica.new_tracks(query.at_ms)
    if not len(pool):
        return NOTHING
    alpha, beta = Thompson(table).posterior(pool)
    chance = alpha / (alpha + beta)
    if len(pool) > POOL_MAX:
        chosen = np.argpartition(-chance, POOL_MAX)[:POOL_MAX]
        pool, chance = pool[chosen], chance[chosen]
    near = table.out_vectors(pool) @ query.vector if query.vector.any() else np.zeros(len(pool))
    return best(pool, chance / (1.0 + np.exp(-near.astype(np.float64))), limit)
