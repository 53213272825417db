"""Popularity: over everybody, and by country."""

from collections.abc import Iterator

import numpy as np

from online_models.checks.checkable import Bounded, Checkable, Pattern
from online_models.checks.made_up import (
    AT_MS,
    TIMES_MS,
    TRACKS,
    by_track,
    catalogue,
    restored,
    rows_of,
    table_state,
)
from online_models.colistening import add_pairs
from online_models.popularity import Popularity
from online_models.track import COLUMN, HALF_LIFE_DAYS, NEIGHBOUR_HALF_LIFE_DAYS, NO_ROWS, Doubles, forward_decay

_LATER_MS = AT_MS + 60 * 86_400_000


def _play(popularity: Popularity, track: int, at_ms: int) -> None:
    table = popularity.table
    row = rows_of(table)[[track]]
    table.counts[row, COLUMN["popularity_14d"]] += forward_decay(at_ms, HALF_LIFE_DAYS["popularity_14d"])
    country = np.array([table.add("c:NZ")], np.int32)
    add_pairs(table, country, row, np.array([forward_decay(at_ms, NEIGHBOUR_HALF_LIFE_DAYS)]))


def _ask(popularity: Popularity) -> Doubles:
    table, rows = popularity.table, rows_of(popularity.table)
    at_home = by_track(table, *popularity.top_of_country("NZ", TRACKS))
    return np.concatenate(
        [popularity.score_many(rows, _LATER_MS), np.sort(popularity.top(TRACKS, _LATER_MS)[1]), at_home]
    )


def _hostile(popularity: Popularity) -> Iterator[Doubles]:
    for at_ms in TIMES_MS:
        yield popularity.top(5, at_ms)[1]
        yield popularity.score_many(rows_of(popularity.table), at_ms)
    for at_ms in TIMES_MS:
        _play(popularity, 3, at_ms)
        yield popularity.top(5, max(at_ms, AT_MS))[1]
        yield popularity.top_of_country("NZ", 5)[1]


def _empty(popularity: Popularity) -> Iterator[Doubles]:
    yield popularity.top(0, AT_MS)[1]
    yield popularity.score_many(NO_ROWS, AT_MS)
    yield popularity.top_of_country("a country that nobody listens in", 5)[1]
    yield Popularity(catalogue(0)).top(5, AT_MS)[1]


POPULARITY: Checkable[Popularity] = Checkable(
    name="popularity",
    make=lambda seed: Popularity(catalogue()),
    teach=lambda popularity, n: _play(popularity, n * n % TRACKS, AT_MS + 86_400_000 * n),
    ask=_ask,
    state=lambda popularity: table_state(popularity.table),
    low=0.0,
    restore=lambda popularity: Popularity(restored(popularity.table)),
    commutes=True,
    pattern=Pattern(
        teach=lambda popularity: _play(popularity, 5, _LATER_MS),
        predict=lambda popularity: float(popularity.score_many(rows_of(popularity.table)[5:6], _LATER_MS)[0]),
    ),
    bounded=Bounded(
        make=lambda: Popularity(catalogue(), tops_max=5),
        teach=lambda popularity, n: _play(popularity, n % TRACKS, AT_MS),
        lessons=2 * TRACKS,
        sizes=lambda popularity: {"tops_max": (len(popularity.top(10**6, AT_MS)[0]), 5)},
    ),
    hostile=_hostile,
    empty=_empty,
)
