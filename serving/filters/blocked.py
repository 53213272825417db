"""Tracks that the listener blocked."""

import numpy as np
from numpy.typing import NDArray

from online_models.row_sets import among
from serving.slate import Candidates, Query


def blocked(query: Query, candidates: Candidates) -> NDArray[np.bool_]:
    """Keep what was not blocked."""
    if not query.listener.blocked:
        return np.ones(len(candidates), np.bool_)
    return ~among(candidates.rows, query.replica.table.indices(list(query.listener.blocked)))
