"""What the listener has heard over a long time, the newest little more than the oldest: what `long-term` and `neighbours` start from."""

import numpy as np

from online_models.track import Doubles, Rows
from serving.slate import Query

TRACKS, PLAYS = 100, 400  # last distinct tracks, among so many last plays
FADES = 0.98  # of a track against the one after it


def long_view(query: Query) -> tuple[Rows, Doubles]:
    """The last tracks heard, each once, newest first, and what each counts for: (rows int32[h], weights float64[h])."""
    heard = query.listener.heard[: -PLAYS - 1 : -1]
    rows = query.replica.table.indices(list(dict.fromkeys(heard))[:TRACKS])
    rows = rows[rows > 0]
    weights: Doubles = FADES ** np.arange(len(rows), dtype=np.float64)
    return rows, weights
