"""The track table: sums by entity, and its rows."""

from collections.abc import Iterator

import numpy as np

from online_models.checks.checkable import Bounded, Checkable
from online_models.checks.made_up import AT_MS, TIMES_MS, TRACKS, catalogue, meta, restored, rows_of, table_state
from online_models.track import COLUMNS, HALF_LIFE_DAYS, NO_ROWS, Doubles, TrackTable, forward_decay


def _teach(table: TrackTable, n: int) -> None:
    """A delta: counts, decayed sums, vectors."""
    rows = rows_of(table)[[n % TRACKS, n * n % TRACKS]]
    for column, name in enumerate(COLUMNS):
        days = HALF_LIFE_DAYS.get(name)
        weight = 1.0 if days is None else forward_decay(AT_MS + 86_400_000 * n, days)
        np.add.at(table.counts[:, column], rows, weight)
    np.add.at(table.vectors, rows, np.float32(n) / 1024)


def _list(table: TrackTable, n: int) -> None:
    table.list_track(meta(n))


def _ask(table: TrackTable) -> Doubles:
    rows = rows_of(table)
    answers: list[Doubles] = [table.decayed(name, rows, AT_MS + 10**10) for name in HALF_LIFE_DAYS]
    answers += [table.counts[rows, column] for column in range(len(COLUMNS) - len(HALF_LIFE_DAYS))]
    answers += [table.out_vectors(rows).astype(np.float64), table.in_vectors(rows).astype(np.float64)]
    answers.append(np.array([table.listed[row] for row in rows], np.float64))
    return np.concatenate([each.ravel() for each in answers])


def _hostile(table: TrackTable) -> Iterator[Doubles]:
    rows = rows_of(table)
    for at_ms in TIMES_MS:
        for name, days in HALF_LIFE_DAYS.items():
            table.counts[rows[0], COLUMNS.index(name)] += forward_decay(at_ms, days)
            yield table.decayed(name, rows, at_ms)
            yield table.counts[rows]


def _empty(table: TrackTable) -> Iterator[Doubles]:
    yield table.out_vectors(NO_ROWS).astype(np.float64)
    yield table.decayed("plays_90d", NO_ROWS, AT_MS)
    yield table.indices([]).astype(np.float64)


TRACK_TABLE: Checkable[TrackTable] = Checkable(
    name="track-table",
    make=lambda seed: catalogue(),
    teach=_teach,
    ask=_ask,
    state=table_state,
    restore=restored,
    commutes=True,
    bounded=Bounded(
        make=lambda: TrackTable(dims=4, entities_max=20),
        teach=_list,
        lessons=60,
        sizes=lambda table: {"entities_max": (len(table), 20)},
    ),
    hostile=_hostile,
    empty=_empty,
)
