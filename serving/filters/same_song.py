"""The same song again, from another album or in another edition."""

import numpy as np
from numpy.typing import NDArray

from online_models.row_sets import firsts
from serving.slate import Candidates, Query


def same_song(query: Query, candidates: Candidates) -> NDArray[np.bool_]:
    """Keep the best-scored track of each song."""
    songs = query.replica.song[candidates.rows]
    order = np.argsort(-candidates.fused, kind="stable")
    first = firsts(songs[order])
    keep = np.zeros(len(candidates), np.bool_)
    keep[order[first]] = True
    return keep
