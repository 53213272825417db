"""Co-listening: what was heard after what, over everybody; order-aware item-to-item collaborative filtering (Sarwar et al. 2001).

A pair's weight fades with the plays between (`session_weights`) and with time (forward decay, `track.NEIGHBOUR_HALF_LIFE_DAYS`), so weights of
one row keep their order for ever and rows are sums. A row keeps its heaviest pairs; its last places are for the newest, so that a new
follower of a full row can gather weight (after the space-saving idea, Metwally et al. 2005).
"""

import numpy as np

from online_models.row_sets import distinct
from online_models.track import COLUMN, NO_ROWS, Doubles, Rows, TrackTable

OFTEN, EVERYBODYS = 0.6, 0.2  # powers of their plays that what was heard and what goes with it are divided by
PAIRS_MAX = 6  # plays before a play that it is paired with
SIEVE = 4096  # a power of two: by the last bits of their rows most tracks are told from those that were heard
NEWEST_KEPT = 8  # places of a full row that are for its newest pairs


def session_weights(plays: int, decay: float = 0.8) -> list[float]:
    """What a pair weighs by the number of plays between its two tracks: 1, decay, decay^2, ..."""
    return [decay**lag for lag in range(plays)]


def add_pairs(table: TrackTable, from_rows: Rows, to_rows: Rows, weights: Doubles) -> Rows:
    """Add forward-decayed weights to the neighbours of `from_rows`; answers the unique rows that changed.

    from_rows, to_rows : int32[m]; a pair with row 0, or of a track with itself, is left out
    weights : float64[m]; equal pairs of one call are summed

    >>> table = TrackTable(dims=4)
    >>> one, two = table.add("t:1"), table.add("t:2")
    >>> add_pairs(table, np.array([one, one], np.int32), np.array([two, two], np.int32), np.array([1.0, 0.5])).tolist() == [one]
    True
    >>> table.keys[table.neighbours[one, 0]], float(table.neighbour_weights[one, 0])
    ('t:2', 1.5)
    """
    chosen = (from_rows > 0) & (to_rows > 0) & (from_rows != to_rows)
    if not chosen.any():
        return NO_ROWS
    code = from_rows[chosen].astype(np.int64) << 32 | to_rows[chosen]
    pairs, places = np.unique(code, return_inverse=True)
    sums = np.bincount(places, weights[chosen])
    followed, followers = (pairs >> 32).astype(np.int32), (pairs & 0xFFFFFFFF).astype(np.int32)
    rows, owner = np.unique(followed, return_inverse=True)

    same = table.neighbours[followed] == followers[:, None]
    known = same.any(1)
    table.neighbour_weights[followed[known], same[known].argmax(1)] += sums[known]

    ids, held = table.neighbours[rows], table.neighbour_weights[rows]
    if not known.all():
        new_owner, new_ids, new_sums = owner[~known], followers[~known], sums[~known]
        count = np.bincount(new_owner, minlength=len(rows))
        lane = np.arange(len(new_owner)) - np.repeat(np.cumsum(count) - count, count)
        width = int(count.max())
        fresh_ids, fresh = np.zeros((len(rows), width), np.int32), np.zeros((len(rows), width))
        fresh_ids[new_owner, lane], fresh[new_owner, lane] = new_ids, new_sums
        # the last places of a full row give way to what is new, the rest of the row does not; it was in order before the sums
        order = np.argsort(-held, axis=1, kind="stable")
        ids, held = np.take_along_axis(ids, order, 1), np.take_along_axis(held, order, 1)
        room = table.neighbours_max - min(width, NEWEST_KEPT)
        crowded = (held > 0).sum(1) + count > table.neighbours_max
        held[crowded, room:] = 0.0
        ids[crowded, room:] = 0
        ids, held = np.concatenate([ids, fresh_ids], 1), np.concatenate([held, fresh], 1)
    order = np.argsort(-held, axis=1, kind="stable")[:, : table.neighbours_max]
    table.neighbours[rows] = np.take_along_axis(ids, order, 1)
    table.neighbour_weights[rows] = np.take_along_axis(held, order, 1)
    return rows.astype(np.int32)


def score_followers(
    table: TrackTable, recent: Rows, *, lag_decay: float = 0.8, power: float = 1.0
) -> tuple[Rows, Doubles]:
    """What followed the recent tracks, as (rows, scores), unordered.

    recent : int32[h], newest first; each counts `lag_decay` times the one after it, and gives its followers their weight / its own ** power
    power : 1 gives shares; 0.5 trusts more what was heard more

    >>> table = TrackTable(dims=4)
    >>> one, two = table.add("t:1"), table.add("t:2")
    >>> _ = add_pairs(table, np.array([one], np.int32), np.array([two], np.int32), np.array([3.0]))
    >>> rows, scores = score_followers(table, np.array([one], np.int32))
    >>> [table.keys[row] for row in rows], scores.tolist()
    (['t:2'], [1.0])
    """
    weights = table.neighbour_weights[recent]
    total = weights.sum(1, keepdims=True)
    share = np.divide(weights, total**power, out=np.zeros_like(weights), where=total > 0)
    share *= (lag_decay ** np.arange(len(recent)))[:, None]
    rows, places = distinct(table.neighbours[recent].ravel())
    scores = np.bincount(places, share.ravel(), len(rows)).astype(np.float64)
    chosen = rows > 0
    return rows[chosen], scores[chosen]


def score_neighbours(table: TrackTable, heard: Rows, weights: Doubles, *, most: int = 600) -> tuple[Rows, Doubles]:
    """What goes with some tracks, as (rows, scores), unordered: of what followed them, what came before them too, less what everybody hears.

    heard : int32[h], unique, none of them 0
    weights : float64[h], what each counts for
    most : of those that followed, so many are looked at the other way too

    >>> table = TrackTable(dims=4)
    >>> one, two, three = (table.add(key) for key in ("t:1", "t:2", "t:3"))
    >>> _ = add_pairs(table, np.array([one, one, two], np.int32), np.array([two, three, one], np.int32), np.ones(3))
    >>> rows, scores = score_neighbours(table, np.array([one], np.int32), np.ones(1))
    >>> [table.keys[row] for row in rows], scores.tolist()
    (['t:2', 't:3'], [2.0, 1.0])
    """
    plays, order = COLUMN["plays"], np.argsort(heard)
    heard = heard[order]
    weights = weights[order] / np.maximum(table.counts[heard, plays], 1.0) ** OFTEN
    after = table.neighbour_weights[heard] * weights[:, None]
    rows, places = distinct(table.neighbours[heard].ravel())
    scores = np.bincount(places, after.ravel(), len(rows)).astype(np.float64)
    fewer = np.maximum(table.counts[rows, plays], 1.0) ** EVERYBODYS
    kept = np.flatnonzero(rows)
    if len(kept) > most:
        kept = kept[np.argpartition(-scores[kept] / fewer[kept], most)[:most]]
    rows, scores, fewer = rows[kept], scores[kept], fewer[kept]
    return rows, (scores + _before(table, rows, heard, weights)) / fewer


def _before(table: TrackTable, rows: Rows, heard: Rows, weights: Doubles) -> Doubles:
    """What tracks gave to their followers that were heard, float64 like `rows`; `heard` is sorted. Costs the same whatever the catalogue's size."""
    likely = np.zeros(SIEVE, np.bool_)  # a search of every follower among those heard would take five times as long
    likely[heard & (SIEVE - 1)] = True
    followers = table.neighbours[rows]
    owner, lane = np.nonzero(likely[followers & (SIEVE - 1)])
    found = followers[owner, lane]
    at = np.searchsorted(heard, found).clip(max=len(heard) - 1)
    counted = table.neighbour_weights[rows[owner], lane] * np.where(heard[at] == found, weights[at], 0.0)
    return np.bincount(owner, counted, len(rows)).astype(np.float64)
