"""Exploration: some places of a list belong to new tracks, chosen by Thompson sampling, with the probability of each choice."""

import numpy as np

from serving.candidates.fresh import fresh
from serving.filters import FILTERS
from serving.slate import Candidates, Place, Query

POOL = 32  # new tracks that a place is chosen from: those nearest to the listener


def explore(query: Query, places: list[Place], size: int) -> list[Place]:
    """The list with every `explore_every`-th place given to a new track that is allowed here and not in the list."""
    every = query.surface.explore_every
    if not every or size < every:
        return places
    pool, _ = fresh(query, POOL)
    empty = np.zeros((len(pool), 0))
    candidates = Candidates(pool, empty, np.zeros(len(pool)))
    for keep in FILTERS.values():
        candidates = candidates.take(keep(query, candidates))
    songs = query.replica.song
    taken = {int(songs[place.row]) for place in places}
    pool = (
        candidates.rows[[int(songs[row]) not in taken for row in candidates.rows.tolist()]]
        if len(candidates)
        else candidates.rows
    )
    bandit = query.replica.bandit
    explored = list(places)
    for at in range(every - 1, size, every):
        if not len(pool):
            break
        row, propensity = bandit.choose(pool, query.rng)
        explored.insert(min(at, len(explored)), Place(row, -1, propensity))
        pool = pool[pool != row]
    return explored[:size]
