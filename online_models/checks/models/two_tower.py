"""The two-tower model."""

import copy
from collections.abc import Iterator

import numpy as np

from online_models.checks.checkable import Checkable, Pattern
from online_models.checks.made_up import TRACKS, catalogue, restored, rows_of, table_state
from online_models.track import COLUMN, NO_ROWS, Doubles
from online_models.two_tower import TwoTower


def _teach(tower: TwoTower, n: int) -> None:
    rows = rows_of(tower.table)
    places = (np.arange(4) * 5 + n) % TRACKS
    history = np.stack([rows[(places + step) % TRACKS] for step in (0, 1, 2)], axis=1)
    history[0, 2] = 0  # a short history
    tower.learn_many(history, rows[(places + 3) % TRACKS])


def _ask(tower: TwoTower) -> Doubles:
    rows = rows_of(tower.table)
    histories = (rows[:3], rows[5:6], np.zeros(2, np.int32))
    return np.concatenate([tower.score_many(history, rows) for history in histories]).astype(np.float64)


def _restore(tower: TwoTower) -> TwoTower:
    again = TwoTower(restored(tower.table, backwards=False), uniform=tower.uniform, hard=tower.hard)
    # negatives are drawn by the caller's seed, what is learnt again and what followed is what came last: no row holds any of it
    again.rng.bit_generator.state = tower.rng.bit_generator.state
    again.replay, again.followers = copy.deepcopy(tower.replay), copy.deepcopy(tower.followers)
    return again


def _pair(tower: TwoTower) -> None:
    rows = rows_of(tower.table)
    tower.learn_many(rows[None, :1], rows[7:8])


def _hostile(tower: TwoTower) -> Iterator[Doubles]:
    rows = rows_of(tower.table)
    tower.table.counts[rows[0], COLUMN["plays"]] = 1e15  # all that was ever heard was one track
    histories = np.zeros((6, 20), np.int32)
    histories[1:3] = rows[0]  # one track over and over, and it again
    histories[3:, :3] = rows[:3]
    for _ in range(50):
        tower.learn_many(histories, rows[[0, 0, 1, 0, 0, 0]])
        yield tower.score_many(histories[1], rows).astype(np.float64)
        yield tower.table.vectors[: len(tower.table)].astype(np.float64)


def _empty(tower: TwoTower) -> Iterator[Doubles]:
    rows = rows_of(tower.table)
    yield tower.learn_many(np.zeros((0, 20), np.int32), NO_ROWS).astype(np.float64)
    yield tower.learn_many(rows[None, :3], np.zeros(1, np.int32)).astype(np.float64)  # a target that is not known
    yield tower.listener_vectors(np.zeros((0, 20), np.int32)).astype(np.float64)
    yield tower.score_many(rows[:3], NO_ROWS).astype(np.float64)


TWO_TOWER: Checkable[TwoTower] = Checkable(
    name="two-tower",
    make=lambda seed: TwoTower(catalogue(), uniform=16, hard=8, seed=seed),
    teach=_teach,
    ask=_ask,
    state=lambda tower: table_state(tower.table) + repr(tower.rng.bit_generator.state).encode(),
    restore=_restore,
    pattern=Pattern(
        teach=_pair,
        predict=lambda tower: float(tower.score_many(rows_of(tower.table)[:1], rows_of(tower.table)[7:8])[0]),
    ),
    hostile=_hostile,
    empty=_empty,
)
