"""The tracks nearest to what the listener has heard over a long time, in whatever order: what they like, not what they are in the mood for."""

import numpy as np

from online_models.row_sets import among
from online_models.track import COLUMN, Doubles, Rows
from serving.candidates.channel import NOTHING, best
from serving.candidates.long_view import long_view
from serving.slate import Query

KNOWN = 0.2  # of the log of a track's plays, which the model's correction for popularity takes out
SOFTNESS = 2.0  # what products are divided by before the softmax: many tracks spread them wide


def long_term(query: Query, limit: int) -> tuple[Rows, Doubles]:
    """By the two-tower model, from the last hundred tracks nearly alike; none of those themselves."""
    heard, weights = long_view(query)
    if not len(heard):
        return NOTHING
    table = query.replica.table
    vector = (weights / np.linalg.norm(weights)).astype(np.float32) @ table.in_vectors(heard)
    rows, products = query.replica.search(vector, limit + len(heard))
    new = ~among(rows, heard)
    rows, scores = (
        rows[new],
        products[new] + KNOWN * np.log1p(np.maximum(table.counts[rows[new], COLUMN["plays"]], 0.0)),
    )
    return best(rows, np.exp((scores - scores.max(initial=-np.inf)) / SOFTNESS), limit)
