"""New tracks: what few have heard yet, nearest to the listener by artist and tags, those first that were liked when offered."""

import numpy as np

from online_models.track import Doubles, Rows
from serving.candidates.channel import NOTHING, best
from serving.slate import Query


def fresh(query: Query, limit: int) -> tuple[Rows, Doubles]:
    """The chance of a success by the bandit's posterior, times how near the track is."""
    new = query.replica.newcomers
    if not len(new.rows):
        return NOTHING
    near = np.exp(-(new.vectors @ query.vector).astype(np.float64))
    return best(new.rows, new.chance / (1.0 + near), limit)
