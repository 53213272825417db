"""The item neighbours of what the listener has heard over a long time: what followed it, and more so what came before it too."""

import numpy as np

from online_models.colistening import score_companions
from online_models.track import Doubles, Rows
from serving.candidates.channel import NOTHING, best, distinct
from serving.slate import Query

HEARD, FADES = 100, 0.98  # last distinct tracks; of one against the one after it


def neighbours(query: Query, limit: int) -> tuple[Rows, Doubles]:
    """By co-listening over everybody, from the last hundred tracks nearly alike; none of those themselves."""
    heard = distinct(query, HEARD)
    if not len(heard):
        return NOTHING
    rows, scores = score_companions(query.replica.table, heard, lag_decay=FADES)
    new = ~np.isin(rows, heard)
    return best(rows[new], scores[new], limit)
