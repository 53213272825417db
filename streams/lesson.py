"""What one step's events teach: collected event by event, learnt together.

Per event only what depends on the order is done (a listener's features before, the listener after); arithmetic waits until the end of the
step, and the ranker's until there are enough examples, and is vectorised. What an event is an example of, `online_models.objectives` says.
"""

from struct import Struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from online_models.colistening import PAIRS_MAX, session_weights
from online_models.features import features
from online_models.gathering import CONTEXT, MEMORY, NOT_OFFERED, context_of, memory_of, tracks_of
from online_models.listener import Listener
from online_models.listener_rows import KINDS, LIKE, PLAY, SAVE, SHARE, SKIP, Heard
from online_models.objectives import COMPLETE, OBJECTIVE, Events
from online_models.ranker import OBJECTIVES, Ranker
from online_models.track import (
    COLUMN,
    COLUMNS,
    NEIGHBOUR_HALF_LIFE_DAYS,
    NO_ROWS,
    Doubles,
    Rows,
    TrackTable,
    forward_decay,
)
from online_models.two_tower import HISTORY, TwoTower
from streams.deltas import TrackReplica

COUNTER_OF_KIND = ("plays", "skips", "likes", "unlikes", "saves", "shares", "blocks")
_COLUMN_OF_KIND = [COLUMN[counter] for counter in COUNTER_OF_KIND]
EXAMPLES = (PLAY, SKIP, LIKE, SAVE, SHARE)  # kinds of events that teach the ranker
LIKE_SAMPLE = 4  # one play in so many is a negative example of a like and of a save, weighing as many
Whole = NDArray[np.int64]
Places = NDArray[np.intp]
# what waits for the end of the step is packed at once: a float alive is an object of its own, and a step has sixty thousand
_CONTEXT, _MEMORY, _EVENT = Struct(f"{len(CONTEXT)}d"), Struct(f"{len(MEMORY)}d"), Struct("7q")
_COUNTED = Struct("3d")


class Ranked(NamedTuple):
    """What the ranker learnt at once, in order: features float64[n, features]; by objective, labels, weights and what was predicted before.

    plays : bool[n], those that are a play or a skip; at_ms : int64[n], event times
    """

    x: Doubles
    labels: Doubles
    weights: Doubles
    predicted: Doubles
    plays: NDArray[np.bool_]
    at_ms: Whole

    @property
    def skips(self) -> Doubles:
        """The chance of a skip that was predicted of each play or skip, in order."""
        chances: Doubles = self.predicted[self.plays, OBJECTIVES.index("skip")]
        return chances


class Lesson:
    """Collects examples (`hear`, `count`), then learns them at once (`learn`).

    tower_batch : positive plays per two-tower step
    rank_batch : the ranker learns once so many examples wait, and in `rank`: a handful costs it as much as many
    pairs_max : plays before a play that it is paired with
    """

    def __init__(
        self,
        replica: TrackReplica,
        two_tower: TwoTower,
        ranker: Ranker,
        *,
        tower_batch: int = 256,
        rank_batch: int = 1,
        pairs_max: int = PAIRS_MAX,
    ) -> None:
        self.replica, self.two_tower, self.ranker = replica, two_tower, ranker
        self.tower_batch, self.pair_weights = tower_batch, session_weights(pairs_max)
        self.rank_batch = rank_batch
        self.ranked: Ranked | None = None  # what was learnt last; None where the last step left it to a later one
        # context, memory, tracks and events of each step: all as it was before them, whenever the ranker learns
        self._unranked: list[tuple[Doubles, Doubles, Doubles, Whole]] = []
        self._histories: list[
            Rows
        ] = []  # int32[n, HISTORY] of each step, newest first, not yet learnt by the two-tower model
        self._targets: list[Rows] = []
        self._clear()

    def _clear(self) -> None:
        self._context: list[bytes] = []
        self._memory: list[bytes] = []
        self._events: list[bytes] = []  # kind, share, mark, at_ms, played_ms, row, timed of each example
        self._counted: list[bytes] = []  # row, column, how much
        self._before: list[
            str
        ] = []  # what was heard before each positive play, newest first; of the next play the same after it
        self._lengths: list[int] = []
        self._heard_rows: list[int] = []
        self._heard_at_ms: list[int] = []
        self._homes: list[tuple[int, int, int]] = []  # country, track, at_ms

    def hear(
        self,
        listener: Listener,
        event: Heard,
        row: int,
        hour: int | None,
        *,
        timed: bool,
        offer: tuple[float, ...] = NOT_OFFERED,
    ) -> None:
        """Take one event: what was known before it, then the listener learns it.

        timed : somebody knows how long it was heard, and how long it is; offer : where it stood (`offer_of`)
        """
        if event.kind in EXAMPLES:
            start_ms = event.start_ms
            memory = memory_of(listener, listener.begun(start_ms), event.track_id, event.artist_id, event.tags)
            self._context.append(_CONTEXT.pack(*context_of(listener, start_ms, hour, offer)))
            self._memory.append(_MEMORY.pack(*memory))
            self._events.append(
                _EVENT.pack(event.kind, event.share, event.mark, event.at_ms, event.played_ms, row, timed)
            )
        self._counted.append(_COUNTED.pack(row, _COLUMN_OF_KIND[event.kind], 1.0))
        before = listener.heard[: -HISTORY - 1 : -1]
        heard = listener.learn_one(event)
        if heard and row and before:
            self._before += before
            self._lengths.append(len(before))
            self._heard_rows.append(row)
            self._heard_at_ms.append(event.at_ms)
        if row and event.kind == PLAY and listener.profile is not None and listener.profile.country:
            self._homes.append((self.replica.table.add("c:" + listener.profile.country), row, event.at_ms))

    def count(self, row: int, counter: str, amount: float) -> None:
        """Add to an exact counter of a track."""
        if row and amount:
            self._counted.append(_COUNTED.pack(row, COLUMN[counter], amount))

    def learn(self) -> tuple[Rows, Doubles, Rows, Rows, Doubles]:
        """Learn what was collected; answers the track counts and pairs to send: (rows, sums, pairs_from, pairs_to, weights)."""
        events = np.frombuffer(b"".join(self._events), np.int64).reshape(-1, 7)
        if len(events):
            context = np.frombuffer(b"".join(self._context)).reshape(-1, len(CONTEXT))
            memory = np.frombuffer(b"".join(self._memory)).reshape(-1, len(MEMORY))
            tracks = tracks_of(self.replica.table, events[:, 5].astype(np.int32), context[:, 0])
            self._unranked.append((context, memory, tracks, events))
        self.ranked = None
        if sum(len(each) for *_, each in self._unranked) >= self.rank_batch:
            self.rank()
        pairs_from, pairs_to, weights = self._follow()
        if sum(map(len, self._targets)) >= self.tower_batch:
            self.train_tower()
        rows, sums = self._sums(events)
        self._clear()
        return rows, sums, pairs_from, pairs_to, weights

    def _follow(self) -> tuple[Rows, Rows, Doubles]:
        """What followed what: kept for the two-tower model, and as pairs with forward-decayed weights for co-listening."""
        size, table = len(self._lengths), self.replica.table
        histories, targets = np.zeros((size, HISTORY), np.int32), np.array(self._heard_rows, np.int32)
        distinct = list(dict.fromkeys(self._before))
        rows = table.indices(distinct)
        if not rows.all():  # heard before a restart, and no keeper has told of them yet
            rows = np.array([table.add("t:" + track_id) for track_id in distinct], np.int32)
        row_of = dict(zip(distinct, rows.tolist(), strict=True))
        flat = np.fromiter(map(row_of.__getitem__, self._before), np.int32, len(self._before))
        histories[np.arange(HISTORY) < np.array(self._lengths, np.intp)[:, None]] = flat
        if size:
            self._histories.append(histories)
            self._targets.append(targets)
        lags = len(self.pair_weights)
        followed = histories[:, :lags]
        homes = np.array(self._homes, np.int64).reshape(-1, 3)
        pairs_from = np.concatenate([followed.ravel(), homes[:, 0]])
        pairs_to = np.concatenate([np.repeat(targets, lags), homes[:, 1]])
        age = forward_decay(self._heard_at_ms, NEIGHBOUR_HALF_LIFE_DAYS)
        weights = np.concatenate(
            [np.outer(age, self.pair_weights).ravel(), forward_decay(homes[:, 2], NEIGHBOUR_HALF_LIFE_DAYS)]
        )
        chosen = (pairs_from > 0) & (pairs_from != pairs_to)
        return pairs_from[chosen].astype(np.int32), pairs_to[chosen].astype(np.int32), weights[chosen]

    def rank(self) -> bool:
        """Learn the examples that wait by the ranker; answers whether there are any."""
        if not self._unranked:
            return False
        context, memory, tracks, events = (np.concatenate(each) for each in zip(*self._unranked, strict=True))
        self._unranked = []
        kinds, shares, marks, at_ms, played_ms, _, timed = events.T
        x = features(context, memory, tracks)
        played, skipped, liked = kinds == PLAY, kinds == SKIP, kinds == LIKE
        heard = played | skipped
        measured, sampled = heard & (timed > 0), LIKE_SAMPLE * (heard & (marks % LIKE_SAMPLE == 0))
        of = Events(shares, played_ms, played, skipped, heard, measured, liked, ~heard & ~liked, sampled)
        examples = zip(*(objective.examples(of) for objective in OBJECTIVE.values()), strict=True)
        labels, weights = (np.stack(each, 1).astype(np.float64) for each in examples)
        self.ranked = Ranked(x, labels, weights, self.ranker.learn_many(x, labels, weights), heard, at_ms)
        return True

    @property
    def predicted_skips(self) -> list[float]:
        """Of what the ranker learnt in the last step, one per play or skip, in order; of that step alone where `rank_batch` is 1."""
        return [] if self.ranked is None else self.ranked.skips.tolist()

    def train_tower(self) -> None:
        """Learn the collected positive plays by the two-tower model, and say which vectors changed."""
        if not self._targets:
            return
        histories, targets = np.concatenate(self._histories), np.concatenate(self._targets)
        self._histories, self._targets = [], []
        self.replica.fit()
        for start in range(0, len(targets), self.tower_batch):
            batch = slice(start, start + self.tower_batch)
            self.replica.learnt.touch(self.two_tower.learn_many(histories[batch], targets[batch]))

    def _sums(self, events: Whole) -> tuple[Rows, Doubles]:
        """Counts of the step by track, artist and tag: unique rows and float64[n, len(COLUMNS)]."""
        if not self._counted:
            return NO_ROWS, np.zeros((0, len(COLUMNS)))
        table = self.replica.table
        counted = np.frombuffer(b"".join(self._counted)).reshape(-1, 3)
        rows, columns, amounts = counted[:, 0].astype(np.int32), counted[:, 1].astype(np.intp), counted[:, 2]
        entries = [(rows, columns, amounts)]
        kinds, shares, _, ended_ms, _, example_rows, _ = events.T
        plays = (kinds == PLAY) | (kinds == SKIP)
        if plays.any():
            rows, at_ms = example_rows[plays].astype(np.int32), ended_ms[plays].astype(np.float64)
            skipped = (kinds[plays] == SKIP).astype(np.float64)
            completed = (1.0 - skipped) * (shares[plays] >= COMPLETE)
            weight_90 = forward_decay(at_ms, 90.0)
            for name, amounts in (
                ("completes", completed),
                ("plays_90d", weight_90),
                ("skips_90d", weight_90 * skipped),
                ("popularity_14d", forward_decay(at_ms, 14.0) * (1.0 - skipped)),
            ):
                entries.append((rows, np.full(len(rows), COLUMN[name]), amounts))
        rows, columns, amounts = _parts(table, *(np.concatenate(column) for column in zip(*entries, strict=True)))
        unique, places = np.unique(rows, return_inverse=True)
        size, width = len(unique), len(COLUMNS)
        sums = np.bincount(places * width + columns, amounts, size * width).astype(np.float64).reshape(size, width)
        return unique.astype(np.int32), sums


def _parts(table: TrackTable, rows: Rows, columns: Places, amounts: Doubles) -> tuple[Rows, Places, Doubles]:
    """The same amounts for each track, its artist and its tags, without the places that stand for nothing."""
    parts = table.parts[rows]
    chosen = parts > 0
    width = parts.shape[1]
    return parts[chosen], np.repeat(columns, width)[chosen.ravel()], np.repeat(amounts, width)[chosen.ravel()]


assert len(COUNTER_OF_KIND) == len(KINDS)
