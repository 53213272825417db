"""Whether the order in which somebody listens says anything: whether tracks near each other in a history are near each other in everybody's.

Films that are rated in the order of a list, albums and playlists have such an order; a history on shuffle, or one without times, has none.
"""

import numpy as np

from online_models.colistening import session_weights
from online_models.track import Doubles, Rows, TrackTable

PRIOR = 1e-3  # of the mean share, added to both: where little is known of a history, order says little


def order_lift(table: TrackTable, heard: Rows, own: Doubles, *, near: int = 6) -> float:
    """How often everybody goes on from a track to one that comes `near` plays or fewer after it in this history, against one that comes later.

    heard : int32[h], newest first; more than `near` + 1
    own : float64[h], the forward-decayed weight that the play itself gave to the pairs that end with it, which say nothing and are left out

    1 where order says nothing, more where it does.

    >>> table = TrackTable(dims=4)
    >>> heard = np.array([table.add(f"t:{n}") for n in range(10)], np.int32)
    >>> order_lift(table, heard, np.ones(10))
    1.0
    """
    newer, older = np.triu_indices(len(heard), 1)
    lags, followed, follower = older - newer, heard[older], heard[newer]
    weights = (table.neighbour_weights[followed] * (table.neighbours[followed] == follower[:, None])).sum(1)
    lately = lags <= near
    weights[lately] -= np.array(session_weights(near))[lags[lately] - 1] * own[newer[lately]]
    totals = table.neighbour_weights[heard].sum(1)[older]
    shares = np.divide(np.maximum(weights, 0.0), totals, out=np.zeros_like(weights), where=totals > 0.0)
    return float((shares[lately].mean() + PRIOR) / (shares[~lately].mean() + PRIOR))
