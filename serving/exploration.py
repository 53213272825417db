"""Exploration: some places of a list belong to new tracks, chosen by Thompson sampling, with the probability of each choice."""

import numpy as np

from online_models.track import NO_ROWS, Rows
from serving.candidates.fresh import fresh
from serving.filters import FILTERS
from serving.slate import Candidates, Place, Query

POOL = 32  # new tracks that are looked at: those nearest to the listener
LIKELY = 8  # of them that a place is chosen from, at least, and two for each place: those of the greatest utility to this listener


def pool_of(query: Query) -> Rows:
    """The new tracks that are allowed here, int32[n], n <= POOL: to be ranked with the candidates. None where no place is theirs."""
    if not _places(query):
        return NO_ROWS
    pool, _ = fresh(query, POOL)
    candidates = Candidates(pool, np.zeros((len(pool), 0)), np.zeros(len(pool)))
    for keep in FILTERS.values():
        candidates = candidates.where(keep(query, candidates))
    return candidates.rows


def explore(query: Query, places: list[Place], pool: Rows) -> list[Place]:
    """The list with every `explore_every`-th place given to one of the pool, int32[n], best first, that is not in the list."""
    at = _places(query)
    if not at or not len(pool):
        return places
    songs = query.replica.song
    taken = set(songs[[place.row for place in places]].tolist())
    likely = [row for row, song in zip(pool.tolist(), songs[pool].tolist(), strict=True) if song not in taken]
    pool = np.array(likely[: max(LIKELY, 2 * len(at))], np.int32)
    explored = list(places)
    for place, chosen in zip(at, query.replica.bandit.choose_some(pool, len(at), query.rng), strict=False):
        explored.insert(min(place, len(explored)), Place(chosen[0], -1, chosen[1]))
    return explored[: query.request.size]


def _places(query: Query) -> range:
    """The places of the list that are the bandit's."""
    every, size = query.surface.explore_every, query.request.size
    return range(every - 1, size, every) if every else range(0)
