"""How far a list is to trust the order of the last plays: in full where that order is everybody's, not at all where they came in any order."""

import numpy as np

from online_models.listener import Listener
from online_models.order import order_lift
from online_models.recollection import NOTHING
from online_models.track import NEIGHBOUR_HALF_LIFE_DAYS, TrackTable, forward_decay

PLAYS, FEWEST = 50, 8  # last plays that are looked at; with fewer, their order is trusted
MIDDLE, STEEP = 0.5, 6.0  # of the log of the lift: where order is trusted half, and how fast that changes


def trust_in_order(listener: Listener, table: TrackTable) -> float:
    """0 to 1, by how much tracks near each other in the last plays follow each other in everybody's (`order_lift`)."""
    ids = listener.heard[: -PLAYS - 1 : -1]
    if len(ids) < FEWEST:
        return 1.0
    ended_ms = np.array([listener.tracks.get(track_id, NOTHING).last_ms for track_id in ids], np.float64)
    lift = order_lift(table, table.indices(ids), forward_decay(ended_ms, NEIGHBOUR_HALF_LIFE_DAYS))
    return float(1.0 / (1.0 + np.exp(-STEEP * (np.log(lift) - MIDDLE))))
