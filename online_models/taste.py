"""Taste: which artists and tags a listener's tracks have in common, and which tracks have those: an inverted index."""

import numpy as np

from online_models.track import COLUMN, Doubles, Rows, TrackTable


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
    unique, places = np.unique(parts.ravel(), return_inverse=True)
    sums = np.bincount(places, shares.ravel(), len(unique)).astype(np.float64)
    sums[unique == 0] = 0.0
    order = np.argsort(-sums, kind="stable")
    order = order[sums[order] > 0]
    return unique[order].astype(np.int32), sums[order] / max(sums.sum(), 1e-12)


def tracks_of_taste(
    table: TrackTable, parts: Rows, weights: Doubles, n: int, *, per_part: int = 50
) -> tuple[Rows, Doubles]:
    """Tracks of some artists and tags: the most popular `per_part` of each, scored by the weights of all that they belong to."""
    rows: list[int] = []
    scores: list[float] = []
    popularity = table.counts[:, COLUMN["popularity_14d"]]
    for part, weight in zip(parts.tolist(), weights.tolist(), strict=True):
        members = np.fromiter(table.members.get(part, {}), np.int32)
        if len(members) > per_part:
            members = members[np.argpartition(-popularity[members], per_part)[:per_part]]
        rows.extend(members.tolist())
        scores.extend([weight] * len(members))
    unique, places = np.unique(np.array(rows, np.int32), return_inverse=True)
    sums = np.bincount(places, np.array(scores, np.float64), len(unique)).astype(np.float64)
    order = np.argsort(-sums, kind="stable")[:n]
    return unique[order].astype(np.int32), sums[order]
