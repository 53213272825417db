"""Taste: of a listener whose tracks are collected here, since `taste` itself keeps nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from online_models.checks.checkable import Checkable, Pattern
from online_models.checks.made_up import TRACKS, by_track, catalogue, restored, rows_of, table_state
from online_models.taste import taste, tracks_of_taste
from online_models.track import NO_ROWS, Doubles, TrackTable


@dataclass(slots=True)
class Tasting:
    """A table and the tracks, by their place in the catalogue, that somebody heard."""

    table: TrackTable = field(default_factory=catalogue)
    heard: list[int] = field(default_factory=list)


def _taste(tasting: Tasting) -> tuple[Doubles, Doubles]:
    """The weight of every artist and tag, by key; the score of every track."""
    table = tasting.table
    parts, weights = taste(table, rows_of(table)[tasting.heard], np.ones(len(tasting.heard)))
    dense = np.zeros(len(table))
    dense[parts] = weights
    keys = sorted(key for key in table.keys if key[:2] in ("a:", "g:"))
    tracks = by_track(table, *tracks_of_taste(table, parts, weights, TRACKS))
    return dense[[table.index(key) for key in keys]], tracks


def _hostile(tasting: Tasting) -> Iterator[Doubles]:
    rows = rows_of(tasting.table)
    for weight in (0.0, 1e-300, 1e300):
        yield taste(tasting.table, rows, np.full(len(rows), weight))[1]
    yield taste(tasting.table, np.zeros(3, np.int32), np.ones(3))[1]  # tracks that nobody knows


def _empty(tasting: Tasting) -> Iterator[Doubles]:
    yield taste(tasting.table, NO_ROWS, np.zeros(0))[1]
    yield tracks_of_taste(tasting.table, NO_ROWS, np.zeros(0), 5)[1]


TASTE: Checkable[Tasting] = Checkable(
    name="taste",
    make=lambda seed: Tasting(),
    teach=lambda tasting, n: tasting.heard.append(n * n % TRACKS),
    ask=lambda tasting: np.concatenate(_taste(tasting)),
    state=lambda tasting: table_state(tasting.table) + repr(tasting.heard).encode(),
    low=0.0,
    high=1.0 + 1e-12,  # sums of shares
    restore=lambda tasting: Tasting(restored(tasting.table), list(tasting.heard)),
    commutes=True,
    pattern=Pattern(
        teach=lambda tasting: tasting.heard.append(5),
        predict=lambda tasting: float(_taste(tasting)[1][20]),  # another track of the same artist and tags
    ),
    hostile=_hostile,
    empty=_empty,
)
