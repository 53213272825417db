"""Taste: which artists and tags a listener's tracks have in common, and which tracks have those: an inverted index."""

import numpy as np

from online_models.row_sets import distinct
from online_models.track import COLUMN, NO_ROWS, Doubles, Rows, TrackTable


def taste(table: TrackTable, rows: Rows, weights: Doubles) -> tuple[Rows, Doubles]:
    """Artists and tags of some tracks, heaviest first, with weights that sum to one.

    rows, weights : int32[n], float64[n], the listener's tracks and how much each counts

    >>> from online_models.track import TrackMeta
    >>> table = TrackTable(dims=4)
    >>> row = table.list_track(TrackMeta("t1", "Blue", "a1", "Ann", ["folk"]))
    >>> parts, weights = taste(table, np.array([row], np.int32), np.array([2.0]))
    >>> [table.keys[part] for part in parts], weights.tolist()
    (['a:a1', 'g:folk'], [0.5, 0.5])
    """
    parts = table.parts[rows, 1:]
    shares = table.part_weights[rows, 1:] * weights[:, None]
    unique, places = distinct(parts.ravel())
    sums = np.bincount(places, shares.ravel(), len(unique)).astype(np.float64)
    sums[unique == 0] = 0.0
    order = np.argsort(-sums, kind="stable")
    order = order[sums[order] > 0]
    return unique[order], sums[order] / max(sums.sum(), 1e-12)


class Tops:
    """The most popular tracks of each artist and tag, looked up anew now and then.

    per_part : tracks of each; reuse : times that an answer is given before it is looked up anew; parts_max : answers kept
    """

    def __init__(self, table: TrackTable, *, per_part: int = 50, reuse: int = 64, parts_max: int = 50_000) -> None:
        self.table, self.per_part, self.reuse, self.parts_max = table, per_part, reuse, parts_max
        self._known: dict[int, tuple[int, int, Rows]] = {}  # part -> (times left, members then, tracks)

    def top(self, part: int) -> Rows:
        """The tracks of a part, unordered, int32[n], n <= per_part; looked up at once where tracks came or went."""
        members = self.table.members.get(part, {})
        left, size, rows = self._known.get(part, (0, 0, NO_ROWS))
        if left <= 0 or size != len(members):
            left, rows = self.reuse, np.fromiter(members, np.int32)
            if len(rows) > self.per_part:
                popularity = self.table.counts[rows, COLUMN["popularity_14d"]]
                rows = rows[np.argpartition(-popularity, self.per_part)[: self.per_part]]
            if len(self._known) >= self.parts_max:
                del self._known[next(iter(self._known))]
        self._known[part] = left - 1, len(members), rows
        return rows


def tracks_of_taste(
    table: TrackTable, parts: Rows, weights: Doubles, n: int, *, tops: Tops | None = None
) -> tuple[Rows, Doubles]:
    """The most popular tracks of some artists and tags, scored by the weights of all that they belong to, best first."""
    tops = Tops(table) if tops is None else tops
    found = [tops.top(part) for part in parts.tolist()] or [NO_ROWS]
    scores = np.repeat(weights, [len(rows) for rows in found]) if len(parts) else np.zeros(0)
    unique, places = distinct(np.concatenate(found))
    sums = np.bincount(places, scores, len(unique)).astype(np.float64)
    order = np.argsort(-sums, kind="stable")[:n]
    return unique[order], sums[order]
