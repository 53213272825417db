"""The tracks nearest to the listener's vector."""

import numpy as np

from online_models.track import Doubles, Rows
from serving.candidates.channel import NOTHING
from serving.slate import Query


def two_tower(query: Query, limit: int) -> tuple[Rows, Doubles]:
    """By the index; the score is the chance among its neighbours, a softmax. Nothing for somebody of whom nothing is known."""
    if not query.vector.any():
        return NOTHING
    rows, scores = query.replica.index.search(np.append(query.vector, np.float32(1.0)), limit)
    if not len(rows):
        return NOTHING
    shares = np.exp(scores.astype(np.float64) - scores.max())
    return rows, shares
