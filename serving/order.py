"""How far a list is to trust the order of the last plays: in full where that order is everybody's, not at all where they came in any order."""

import numpy as np

from online_models.listener import Listener
from online_models.order import order_lift
from online_models.track import NEIGHBOUR_HALF_LIFE_DAYS, TrackTable, forward_decay

PLAYS, OWN = 50, 1000  # last plays that are looked at; and those whose own pairs are left out
MIDDLE, STEEP = 0.5, 6.0  # of the log of the lift: where order is trusted half, and how fast that changes
UNKNOWN = 2.0  # known pairs that are half enough to doubt the order; ten times as many are enough


def trust_in_order(listener: Listener, table: TrackTable) -> float:
    """0 to 1, by how much tracks near each other in the last plays follow each other in everybody's (`order_lift`); 1 where nothing is known."""
    heard, at_ms = listener.heard[: -OWN - 1 : -1], listener.heard_at_ms[: -OWN - 1 : -1]
    own = forward_decay(np.array(at_ms), NEIGHBOUR_HALF_LIFE_DAYS)
    lift, known = order_lift(table, table.indices(heard), own, plays=PLAYS)
    trust = 1.0 / (1.0 + np.exp(-STEEP * (np.log(lift) - MIDDLE)))
    doubt = known**2 / (known**2 + UNKNOWN**2)
    return float(1.0 - doubt * (1.0 - trust))
