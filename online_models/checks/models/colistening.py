"""Co-listening: the table's neighbours, as `add_pairs` and `score_followers` see them."""

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
from online_models.colistening import add_pairs, score_followers, session_weights
from online_models.track import NEIGHBOUR_HALF_LIFE_DAYS, NO_ROWS, Doubles, TrackTable, forward_decay


def _add(table: TrackTable, followed: list[int], follower: int, at_ms: int) -> None:
    """The follower came after those, newest first."""
    rows = rows_of(table)
    weights = np.array(session_weights(len(followed))) * forward_decay(at_ms, NEIGHBOUR_HALF_LIFE_DAYS)
    add_pairs(table, rows[followed], np.full(len(followed), rows[follower], np.int32), weights)


def _teach(table: TrackTable, n: int) -> None:
    _add(table, [n % TRACKS, (n + 7) % TRACKS, (3 * n) % TRACKS], (n * n + 1) % TRACKS, AT_MS + 86_400_000 * n)


def _ask(table: TrackTable) -> Doubles:
    rows = rows_of(table)
    recents = (rows[:1], rows[3:9], np.zeros(2, np.int32))
    return np.concatenate([by_track(table, *score_followers(table, recent)) for recent in recents])


def _hostile(table: TrackTable) -> Iterator[Doubles]:
    for at_ms in TIMES_MS:
        for _ in range(3):
            _add(table, [2, 3, 2, 3], 4, at_ms)
            yield _ask(table)


def _empty(table: TrackTable) -> Iterator[Doubles]:
    yield add_pairs(table, NO_ROWS, NO_ROWS, np.zeros(0)).astype(np.float64)
    yield score_followers(table, NO_ROWS)[1]
    yield score_followers(table, np.zeros(3, np.int32))[1]


def _sizes(table: TrackTable) -> dict[str, tuple[int, int]]:
    held = int((table.neighbour_weights[: len(table)] > 0).sum(1).max())
    return {"neighbours_max": (held, table.neighbours_max)}


COLISTENING: Checkable[TrackTable] = Checkable(
    name="co-listening",
    make=lambda seed: catalogue(),
    teach=_teach,
    ask=_ask,
    state=table_state,
    low=0.0,
    restore=restored,
    commutes=True,
    pattern=Pattern(
        teach=lambda table: _add(table, [0], 11, AT_MS + 86_400_000 * 30),
        predict=lambda table: float(by_track(table, *score_followers(table, rows_of(table)[:1]))[11]),
    ),
    bounded=Bounded(
        make=lambda: catalogue(neighbours_max=6),
        teach=lambda table, n: _add(table, [0, 1], n % TRACKS, AT_MS),
        lessons=2 * TRACKS,
        sizes=_sizes,
    ),
    hostile=_hostile,
    empty=_empty,
)
