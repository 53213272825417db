"""Whether the order in which somebody listens says anything: whether tracks near each other in a history are near each other in everybody's.

Films that are rated in the order of a list, albums and playlists have such an order; a history on shuffle, or one without times, has none.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from online_models.colistening import PAIRS_MAX, session_weights
from online_models.row_sets import among, distinct
from online_models.track import Doubles, Rows, TrackTable

PRIOR = 1e-3  # of the mean share, added to both: where the shares are small, order says little
ROUNDING = 1e-9  # of a sum: what is left of it by the error of doubles once its parts are taken away


def order_lift(
    table: TrackTable, heard: Rows, own: Doubles, *, plays: int = 50, near: int = PAIRS_MAX
) -> tuple[float, float]:
    """How often others go on from a track to one that comes `near` plays or fewer after it in this history, against one that comes later.

    heard : int32[h], newest first; the first `plays` are looked at, the rest are for what the listener's own plays gave to their pairs
    own : float64[h], the forward-decayed weight that each play gave to the pairs that end with it, which say nothing and are left out

    (lift, known): 1 where order says nothing, more where it does; and of how many pairs that is known: those, near or later, whichever are
    fewer, by the share of all pairs that others have. (1, 0) where others have none.

    >>> table = TrackTable(dims=4)
    >>> heard = np.array([table.add(f"t:{n}") for n in range(10)], np.int32)
    >>> order_lift(table, heard, np.ones(10))
    (1.0, 0.0)
    """
    newer, older = _pairs(min(plays, len(heard)))
    others = heard[newer] != heard[older]
    newer, older = newer[others], older[others]
    followed, follower, lately = heard[older], heard[newer], older - newer <= near
    asked = _code(followed, follower)
    everybodys = _everybodys_weights(table, heard[:plays], asked)
    weights, known = np.zeros(len(asked)), np.flatnonzero(everybodys)
    weights[known] = everybodys[known] - _own_weights(heard, own, near, asked[known], among(heard, heard[:plays]))
    weights[weights < ROUNDING * everybodys] = 0.0
    totals = table.neighbour_weights[heard[:plays]].sum(1)[older]
    shares = np.divide(weights, totals, out=np.zeros_like(weights), where=totals > 0.0)
    fewer = min(lately.sum(), (~lately).sum())
    if not fewer or not shares.any():
        return 1.0, 0.0
    lift = (shares[lately].mean() + PRIOR) / (shares[~lately].mean() + PRIOR)
    return float(lift), float(fewer * (shares > 0.0).mean())


@cache
def _pairs(plays: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each place of so many with each after it."""
    return np.triu_indices(plays, 1)


def _everybodys_weights(table: TrackTable, heard: Rows, asked: NDArray[np.int64]) -> Doubles:
    """What everybody's plays gave to some pairs of tracks of which the first are `heard`: float64 like `asked`."""
    once = distinct(heard)[0]
    pairs, weights = _code(once[:, None], table.neighbours[once]).ravel(), table.neighbour_weights[once].ravel()
    order = np.argsort(pairs)
    at = order[np.searchsorted(pairs[order], asked).clip(max=len(pairs) - 1)]
    return np.where(pairs[at] == asked, weights[at], 0.0)


def _own_weights(heard: Rows, own: Doubles, near: int, asked: NDArray[np.int64], within: NDArray[np.bool_]) -> Doubles:
    """What the listener's own plays, all of `heard`, gave to some pairs of tracks that are `within`: float64 like `asked`."""
    if len(heard) < 2 or not len(asked):
        return np.zeros(len(asked))
    places = [np.flatnonzero(within[:-lag] & within[lag:]) for lag in range(1, near + 1)]
    codes = np.concatenate([_code(heard[at + lag], heard[at]) for lag, at in enumerate(places, 1)])
    weights = np.concatenate([decay * own[at] for decay, at in zip(session_weights(near), places, strict=True)])
    pairs, sum_of = np.unique(asked, return_inverse=True)
    at = np.searchsorted(pairs, codes).clip(max=len(pairs) - 1)
    wanted = pairs[at] == codes
    return np.bincount(at[wanted], weights[wanted], len(pairs)).astype(np.float64)[sum_of]


def _code(followed: Rows, follower: Rows) -> NDArray[np.int64]:
    """One number for each pair."""
    return followed.astype(np.int64) << 32 | follower
