"""Two-tower models that differ in their negatives alone: taught the same plays in the same batches, asked for the same lists; and what each costs."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from online_models.track import COLUMN, Rows, TrackMeta, TrackTable
from online_models.two_tower import HISTORY, TwoTower
from streams.messages import ListeningEvent, Track

UNIFORM, IN_BATCH, HARD = "two-tower-uniform", "two-tower-in-batch", "two-tower-hard"
KINDS: dict[str, dict[str, Any]] = {UNIFORM: {"hard": 0}, IN_BATCH: {"uniform": 0, "hard": 0}, HARD: {"hard": 64}}


class Negatives:
    """One two-tower model of each kind, without the chain around it: plays are learnt by `batch`, counts and vectors hold at once.

    >>> event = ListeningEvent("e1", 1, "ann", "t1", "play")
    >>> negatives = Negatives([Track("t1", "Blue"), Track("t2", "Red")], seed=1, batch=1)
    >>> negatives.learn(event)
    >>> [len(rows) for rows in negatives.lists("ann", 10).values()]
    [1, 1, 1]
    """

    def __init__(self, tracks: Sequence[Track], seed: int, *, batch: int) -> None:
        self.towers = {name: TwoTower(_catalogue(tracks), seed=seed, **options) for name, options in KINDS.items()}
        self.table = next(iter(self.towers.values())).table  # all of them have the same rows
        self.listed = self.table.listed_rows()
        self._batch = batch
        self._heard: dict[str, list[int]] = {}
        self._histories, self._targets = list[Rows](), list[int]()
        self._learnt, self._spent_s = 0, dict.fromkeys(KINDS, 0.0)

    @property
    def costs_us(self) -> dict[str, float]:
        """What a play costs each, of this process's time."""
        return {name: 1e6 * spent_s / max(1, self._learnt) for name, spent_s in self._spent_s.items()}

    def lists(self, user_id: str, size: int) -> dict[str, Rows]:
        """The tracks of the catalogue that each says are next, best first, without what the listener has heard."""
        heard = self._heard.get(user_id, [])
        history, unheard = _newest(heard)[: len(heard)], self.listed[~np.isin(self.listed, heard)]
        return {
            name: unheard[np.argsort(-tower.score_many(history, unheard), kind="stable")[:size]]
            for name, tower in self.towers.items()
        }

    def ranks(self, event: ListeningEvent, size: int) -> dict[str, int]:
        """The place of what was heard in each list of `size`, -1 where it is not there."""
        row = self.table.index("t:" + event.track_id)
        found = {name: np.flatnonzero(rows == row) for name, rows in self.lists(event.user_id, size).items()}
        return {name: int(places[0]) if row and len(places) else -1 for name, places in found.items()}

    def learn(self, event: ListeningEvent) -> None:
        """A play; the models take it with the rest of its batch."""
        row = self.table.index("t:" + event.track_id)
        heard = self._heard.setdefault(event.user_id, [])
        self._histories.append(_newest(heard))
        self._targets.append(row)
        if row:
            heard.append(row)
        if len(self._targets) >= self._batch:
            self.flush()

    def flush(self) -> None:
        """Learn what waits for its batch to be full."""
        if not self._targets:
            return
        histories, targets = np.array(self._histories), np.array(self._targets, np.int32)
        self._histories, self._targets = [], []
        known = histories[:, 0] > 0
        self._learnt += int(known.sum())
        for name, tower in self.towers.items():
            np.add.at(tower.table.counts[:, COLUMN["plays"]], targets[targets > 0], 1.0)
            begun_s = time.process_time()
            tower.learn_many(histories[known], targets[known])
            self._spent_s[name] += time.process_time() - begun_s


def _newest(heard: Sequence[int]) -> Rows:
    """The last plays, newest first: int32[HISTORY], 0 for nothing."""
    history = np.zeros(HISTORY, np.int32)
    newest = heard[: -HISTORY - 1 : -1]
    history[: len(newest)] = newest
    return history


def _catalogue(tracks: Sequence[Track]) -> TrackTable:
    table = TrackTable(neighbours_max=0)
    for track in tracks:
        table.list_track(TrackMeta(track.track_id, track.title, track.artist_id, track.artist, track.tags))
    return table
