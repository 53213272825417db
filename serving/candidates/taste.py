"""Tracks of the artists and tags that the listener's favourites have in common, or that their profile names."""

import numpy as np

from online_models.taste import taste, tracks_of_taste
from online_models.track import Doubles, Rows
from serving.candidates.channel import NOTHING
from serving.slate import Query

PARTS_MAX = 12


def by_taste(query: Query, limit: int) -> tuple[Rows, Doubles]:
    """By the inverted index over artists and tags."""
    table, profile = query.replica.table, query.listener.profile
    known = query.favourites
    parts, weights = taste(table, known.rows, np.maximum(known.likings, 0.0)) if len(known.rows) else NOTHING
    if profile is not None:
        named = [table.index("g:" + tag) for tag in profile.favourite_tags] + [
            table.index("a:" + artist) for artist in profile.favourite_artists
        ]
        named = [row for row in named if row]
        parts = np.concatenate([np.array(named, np.int32), parts[:PARTS_MAX]])
        weights = np.concatenate([np.full(len(named), 1.0 / max(1, len(named))), weights[:PARTS_MAX]])
    if not len(parts):
        return NOTHING
    return tracks_of_taste(table, parts[:PARTS_MAX], weights[:PARTS_MAX], limit, tops=query.replica.tops)
