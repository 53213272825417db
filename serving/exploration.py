"""Exploration: some places of a list belong to new tracks, chosen by Thompson sampling, with the probability of each choice."""

import numpy as np

from serving.candidates.fresh import fresh
from serving.filters import FILTERS
from serving.ranking import rank
from serving.slate import Candidates, Place, Query

POOL = 32  # new tracks that are looked at: those nearest to the listener
LIKELY = 8  # of them that a place is chosen from, at least, and two for each place: those of the greatest utility to this listener


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
    candidates = candidates.take(np.array([int(songs[row]) not in taken for row in candidates.rows.tolist()], np.bool_))
    pool = rank(query, candidates).candidates.rows[: max(LIKELY, 2 * (size // every))]
    bandit = query.replica.bandit
    explored = list(places)
    for at in range(every - 1, size, every):
        if not len(pool):
            break
        row, propensity = bandit.choose(pool, query.rng)
        explored.insert(min(at, len(explored)), Place(row, -1, propensity))
        pool = pool[pool != row]
    return explored[:size]
