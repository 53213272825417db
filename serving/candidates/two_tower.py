"""The tracks nearest to the listener's vector."""

import numpy as np

from online_models.track import Doubles, Rows
from serving.candidates.channel import NOTHING
from serving.slate import Query


def two_tower(query: Query, limit: int) -> tuple[Rows, Doubles]:
    """By the index; the score is the chance among its neighbours, a softmax. Nothing for somebody of whom nothing is known."""
    if not query.vector.any():
        return NOTHING
    rows, scores = query.replica.search(query.vector, limit)
    return rows, np.exp(scores - scores.max(initial=-np.inf))
